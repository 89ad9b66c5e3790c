"""A small real Laravel application, laid out as it would be on a production host, on SQLite."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dixis_tui.model import DixisError

TEMPLATE = Path(__file__).with_name("laravel")
AUTOLOAD = Path("/usr/share/php/Illuminate/autoload.php")
FOLDERS = (
    "bootstrap/cache",
    "database/migrations",
    "resources/views",
    "storage/app/public",
    "storage/framework/cache/data",
    "storage/framework/sessions",
    "storage/framework/views",
    "storage/logs",
)


@dataclass(frozen=True)
class LaravelApp:
    """Where the application's parts are."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "database" / "database.sqlite"

    @property
    def migrations(self) -> Path:
        return self.root / "database" / "migrations"


def make_app(root: Path) -> LaravelApp:
    """Write the application's files under root; its database is not made here. Raises DixisError without Laravel."""
    if shutil.which("php", path=os.environ.get("PATH", os.defpath)) is None or not AUTOLOAD.exists():
        raise DixisError(
            "PHP or Laravel is not on this machine.",
            safe="nothing was started",
            next_step="install php-cli and php-laravel-framework (scripts/setup does)",
        )
    app = LaravelApp(root)
    for folder in FOLDERS:
        (root / folder).mkdir(parents=True, exist_ok=True)
    for template in sorted(TEMPLATE.rglob("*.php")):
        name = template.relative_to(TEMPLATE)
        destination = root / ("artisan" if name.name == "artisan.php" else name)
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(template, destination)
    (root / "artisan").chmod(0o755)
    (root / "public/storage").symlink_to(root / "storage/app/public")
    env = root / ".env"
    env.write_text(_env(app.database), encoding="utf-8")
    env.chmod(0o640)
    return app


def _env(database: Path) -> str:
    """A .env as people keep them: comments, quotes, empty values, keys that only MySQL will need."""
    key = base64.b64encode(secrets.token_bytes(32)).decode("ascii")
    return f"""\
# Dixis: production
APP_NAME="Dixis Αγορά"
APP_ENV=production
APP_KEY=base64:{key}
APP_DEBUG=false
APP_URL=http://localhost

LOG_CHANNEL=single

# The shop lives in one file for now.
DB_CONNECTION=sqlite
DB_DATABASE="{database}"
DB_FOREIGN_KEYS=true
#DB_HOST=127.0.0.1
#DB_PORT=3306

CACHE_DRIVER=file
QUEUE_CONNECTION=sync # no workers yet
SESSION_DRIVER=file

MAIL_FROM_ADDRESS="info@example.com"
MAIL_FROM_NAME="${{APP_NAME}}"
VAT_DEFAULT_RATE=24
VAT_ISLANDS_RATE=13
STRIPE_SECRET=
"""


def copy_database(source: Path, destination: Path) -> None:
    """Copy a live SQLite database, its write-ahead log included. Raises DixisError when source is not one."""
    try:
        with closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as old:
            old.execute("SELECT count(*) FROM sqlite_master").fetchone()
            with closing(sqlite3.connect(destination)) as new:
                old.backup(new)
    except sqlite3.Error as error:
        raise DixisError(
            f"{source} cannot be read as an SQLite database: {error}.",
            safe="the file was not touched",
            next_step="give the path of an SQLite database with --source",
        ) from error
