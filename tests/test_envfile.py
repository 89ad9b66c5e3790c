"""Changing `.env` touches the keys asked for and no other byte; the application's own reader agrees."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dixis_tui.hosts import envfile

REAL = """\
# the shop
APP_NAME="Dixis Fresh"

export DB_CONNECTION='sqlite'
DB_DATABASE=/var/www/dixis/database/database.sqlite # the live one
MULTI="first
DB_CONNECTION=not this one
last"
MAIL_FROM="${APP_NAME}"
"""
READER = (
    "require '/usr/share/php/Dotenv/autoload.php';"
    "echo json_encode(Dotenv\\Dotenv::createArrayBacked($argv[1], 'env')->load());"
)


def test_a_quoted_exported_key_is_replaced_and_the_rest_stays() -> None:
    text = envfile.changed(REAL, {"DB_CONNECTION": "mysql", "DB_PORT": "3306"})
    assert text.splitlines() == [
        *REAL.splitlines()[:3],
        "DB_CONNECTION=mysql",
        *REAL.splitlines()[4:],
        "DB_PORT=3306",
    ]


def test_nothing_to_change_is_nothing_changed() -> None:
    assert envfile.changed(REAL, {}) == REAL


def test_a_key_set_twice_is_set_twice() -> None:
    assert envfile.changed("A=1\nA=2\n", {"A": "3"}) == "A=3\nA=3\n"


def test_the_console_reads_what_the_application_reads(tmp_path: Path) -> None:
    assert envfile.values(REAL) == as_the_application_reads(tmp_path, REAL)


def as_the_application_reads(directory: Path, text: str) -> dict[str, str]:
    """Keys and values by the reader that Laravel uses."""
    (directory / "env").write_text(text, encoding="utf-8")
    done = subprocess.run(["php", "-r", READER, "--", str(directory)], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_the_application_reads_what_was_set(tmp_path: Path) -> None:
    values = ["", "plain", "two words", 'quo"te', "back\\slash", "dol$lar", "${APP_NAME}", "#hash", "Ελιά", "a'b"]
    values += ["'$x\\\"'", "\\$'", "a=b", " lead", "trail ", "%5f!&*()[]{}<>;:|~`^?,.", "new\nline"]
    changes = {f"KEY_{number}": value for number, value in enumerate(values)}
    read = as_the_application_reads(tmp_path, envfile.changed(REAL, changes))
    assert {key: read[key] for key in changes} == changes
    assert read["APP_NAME"] == "Dixis Fresh"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=30), max_size=20))
def test_the_application_reads_any_password(tmp_path: Path, values: list[str]) -> None:
    changes = {f"KEY_{number}": value for number, value in enumerate(values)}
    read = as_the_application_reads(tmp_path, envfile.changed(REAL, changes))
    assert {key: read[key] for key in changes} == changes
