"""The configuration refuses what it does not understand, and says which line to mend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dixis_tui.config import Config, ConfigError, Section, load

MINIMAL = """\
[run]
environment = "rehearsal"

[source]
path = "shop.sqlite"

[target]
host = "db.example"
database = "dixis_production"
user = "dixis_user"
password = { env = "DIXIS_TEST_PASSWORD" }

[app]
root = "/var/www/dixis"
"""


Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(text: str) -> Path:
        path = tmp_path / "dixis.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_paths_count_from_the_file_that_names_them(write: Write) -> None:
    path = write(MINIMAL.replace('environment = "rehearsal"', 'environment = "rehearsal"\ndirectory = "runs/one"'))
    assert load(path).run.directory == path.parent / "runs/one"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MINIMAL.replace("user =", "usr ="), ("line 10: target.usr", "did you mean 'user'?")),
        (MINIMAL.replace("user =", "usr ="), ("line 7: target.user: this key is needed",)),
        (MINIMAL.replace('host = "db.example"', 'host = "db.example"\nport = 99999'), ("line 9: target.port", "65535")),
        (MINIMAL.replace('"rehearsal"', '"prod"'), ("line 2: run.environment", "'production'")),
        (MINIMAL + "\n[data]\nchunk_rows = 0\n", ("line 17: data.chunk_rows", "greater than or equal to 1")),
        (
            MINIMAL + '\n[[schema.indexes]]\nname = "i"\ntable = "t"\ncolums = ["c"]\n',
            ("line 19: schema.indexes.0.colums",),
        ),
        (MINIMAL + "\n[nonsense]\n", ("nonsense: there is no such key",)),
        (MINIMAL.replace('{ env = "DIXIS_TEST_PASSWORD" }', "{ }"), ("target.password", "exactly one of")),
        (MINIMAL.replace('"db.example"', "db.example"), ("is not TOML", "line 8")),
        (
            MINIMAL + 2 * '\n[[hosts]]\nssh = { address = "web2", user = "deploy", known_hosts = "known_hosts" }\n',
            ("hosts: web2:22 stands there twice with the same root",),
        ),
        (
            MINIMAL
            + '\n[[hosts]]\nssh = { address = "web2", user = "deploy", known_hosts = "known_hosts" }\n'
            + '\n[[hosts]]\nroot = "/var/www/dixis/"\n'
            + 'ssh = { address = "web2", user = "www", known_hosts = "known_hosts" }\n',
            ("hosts: web2:22 stands there twice with the same root",),
        ),
    ],
)
def test_an_error_names_line_key_and_what_would_be_right(write: Write, text: str, words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(text))
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "nothing was started" in message


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--config"):
        load(tmp_path / "absent.toml")


def test_a_broken_target_does_not_stop_a_rollback(write: Write) -> None:
    path = write(MINIMAL.replace('user = "dixis_user"', "user = 7"))
    with pytest.raises(ConfigError):
        load(path)
    config = load(path, rollback=True)
    assert config.app.root == "/var/www/dixis"
    with pytest.raises(ConfigError, match="rollback works without"):
        _ = config.target


def test_a_secret_comes_from_the_environment_or_a_private_file(
    write: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = load(write(MINIMAL))
    with pytest.raises(ConfigError, match="DIXIS_TEST_PASSWORD is not set"):
        config.target.password.resolve("password")
    monkeypatch.setenv("DIXIS_TEST_PASSWORD", "s3cret")
    assert config.target.password.resolve("password") == "s3cret"
    assert list(config.known_secrets()) == ["s3cret"]
    assert "s3cret" not in repr(config)

    secret = tmp_path / "password"
    secret.write_text("from a file\n")
    secret.chmod(0o644)
    config = load(write(MINIMAL.replace('{ env = "DIXIS_TEST_PASSWORD" }', '{ file = "password" }')))
    with pytest.raises(ConfigError, match="chmod 600"):
        config.target.password.resolve("password")
    secret.chmod(0o600)
    assert config.target.password.resolve("password") == "from a file"


def test_a_secret_in_clear_is_taken_but_told(write: Write) -> None:
    config = load(write(MINIMAL.replace('{ env = "DIXIS_TEST_PASSWORD" }', '"in the open"')))
    assert config.clear_secrets() == ["target.password"]
    assert "in the open" not in repr(config)


def test_the_example_explains_every_key() -> None:
    text = Path("config.example.toml").read_text(encoding="utf-8")
    load(Path("config.example.toml"))

    def keys(model: type[Section]) -> set[str]:
        from dixis_tui.config import models_in

        found = set()
        for name, field in model.model_fields.items():
            found.add(field.alias or name)
            for inner in models_in(field.annotation):
                found |= keys(inner)
        return found

    missing = {key for key in keys(Config) if f"{key} =" not in text and f"{key}]" not in text}
    # A secret is shown as { env = … }, { file = … } and { prompt = … }; in clear it is not recommended.
    assert missing - {"clear"} == set()


def test_a_secret_to_be_prompted_for_is_asked_before_the_console_has_the_terminal(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts = ("target.admin", "backup.account", "watch.account", "health.account")
    more = "".join(f'[{name}]\nuser = "{name}"\npassword = {{ prompt = true }}\n' for name in accounts)
    config = load(write(MINIMAL.replace('{ env = "DIXIS_TEST_PASSWORD" }', "{ prompt = true }") + more))
    asked: list[str] = []

    def typed(question: str) -> str:
        asked.append(question)
        return f"typed at {question}"

    monkeypatch.setattr("getpass.getpass", typed)
    config.ask_for_secrets()
    monkeypatch.undo()
    assert config.target.password.resolve("later") == "typed at password of dixis_user: "
    # health is asked by cron, never by a console
    assert asked == [f"password of {name}: " for name in ("dixis_user", *accounts[:3])]
