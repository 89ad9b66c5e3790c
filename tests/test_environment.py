"""The application's settings are put back whatever has become of them, and of the folder they lie in, meanwhile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dixis_tui.context import Context
from dixis_tui.hosts import laravel
from dixis_tui.model import DixisError, Outcome
from dixis_tui.redact import Redactor
from dixis_tui.sandbox import RunningServer
from dixis_tui.switch import cutover, rollback
from tests.data_path import Driver, make_config

# As an editor on Windows leaves it, with a key set twice, another exported, and no end of the last line.
SQLITE = b"# the shop\r\nexport DB_CONNECTION='sqlite'\r\nDB_URL=sqlite:///x\r\nDB_CONNECTION=sqlite\r\nAPP_KEY=\"a=\xc3\xa9\""


class Shop:
    """Folders as a deployment tool lays them out: releases, what they share, and a link to the one in use."""

    def __init__(self, ctx: Context, folder: Path) -> None:
        self.current, self.shared = folder / "current", folder / "shared"
        self.shared.mkdir()
        self.env = self.shared / ".env"
        self.env.write_bytes(SQLITE)
        self.env.chmod(0o640)
        self.deploy("one")
        app = ctx.config.app.model_copy(update={"root": str(self.current)})
        self.ctx = replace(ctx, config=ctx.config.model_copy(update={"app": app}))
        laravel.save_env(self.ctx, laravel.read_env(self.ctx))
        assert cutover._switch(self.ctx).status.settled

    def deploy(self, name: str) -> None:
        release = self.current.with_name(name)
        release.mkdir()
        (release / ".env").symlink_to(self.env)
        self.current.unlink(missing_ok=True)
        self.current.symlink_to(release)

    @property
    def saved(self) -> Path:
        return next(self.shared.glob(".env.before-mysql-*"))

    def back(self) -> Outcome:
        return rollback._environment(self.ctx)


@pytest.fixture
def shop(server: RunningServer, tmp_path: Path) -> Shop:
    (tmp_path / "run").mkdir()
    driver = Driver(make_config(server, "unused", tmp_path / "s.sqlite", tmp_path / "run"), tmp_path / "run")
    return Shop(driver.ctx, tmp_path)


def test_every_key_is_switched_and_every_other_byte_kept(shop: Shop) -> None:
    lines = shop.env.read_bytes().split(b"\r\n")
    assert [lines[0], *lines[1:4]] == [b"# the shop", b"DB_CONNECTION=mysql", b"DB_URL=", b"DB_CONNECTION=mysql"]
    assert lines[4].startswith(b'APP_KEY="a=\xc3\xa9"\nDB_HOST=127.0.0.1\n')
    assert shop.env.stat().st_mode & 0o777 == 0o640
    shop.back()
    assert (shop.env.read_bytes(), (shop.current / ".env").is_symlink()) == (SQLITE, True)


def test_after_a_deployment_the_saved_copy_is_still_found(shop: Shop) -> None:
    shop.deploy("two")
    shop.back()
    assert shop.env.read_bytes() == SQLITE


def test_settings_that_are_gone_or_no_text_any_more_are_put_back(shop: Shop) -> None:
    shop.env.write_bytes(b"DB_CONNECTION=mysql\n\xff\xfe\n")
    shop.back()
    assert shop.env.read_bytes() == SQLITE
    shop.env.unlink()
    (shop.current / ".env").unlink()
    shop.back()
    env = shop.current / ".env"
    assert (env.read_bytes(), env.stat().st_mode & 0o777) == (SQLITE, 0o640)


def test_a_saved_copy_that_is_gone_stops_nobody_who_has_put_the_settings_back_by_hand(shop: Shop) -> None:
    shop.saved.unlink()
    with pytest.raises(DixisError, match="is gone") as raised:
        shop.back()
    assert "the settings of SQLite into" in raised.value.next_step
    shop.env.write_bytes(b"DB_CONNECTION=sqlite\nDB_DATABASE=/srv/shop.sqlite\n")
    assert any("does not lead to MySQL and was left as it is" in line for line in shop.back().evidence)
    assert shop.env.read_bytes() == b"DB_CONNECTION=sqlite\nDB_DATABASE=/srv/shop.sqlite\n"


def test_no_secret_among_the_keys_for_env_is_shown(shop: Shop) -> None:
    keys = {
        "DB_PASS": "one1",
        "AWS_SECRET": "two2",
        "REDIS_URL": "redis://u:three3@h/0",
        "MYSQL_ATTR_SSL_CA": "/ca.pem",
    }
    app = shop.ctx.config.app.model_copy(update={"database_env": keys})
    config = shop.ctx.config.model_copy(update={"app": app})
    ctx = replace(shop.ctx, config=config)
    shown = "\n".join(laravel.shown_changes(laravel.target_env(ctx, laravel.read_env(ctx))))
    assert "MYSQL_ATTR_SSL_CA=/ca.pem" in shown
    for secret in ("one1", "two2", "three3"):
        assert secret not in shown
        assert secret not in Redactor(config).text(f"artisan said: {keys}")
