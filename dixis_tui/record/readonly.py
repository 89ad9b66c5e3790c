"""SQLite databases of a run, read by those who look on while another process writes them: nothing is ever written."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool


def engine(path: Path) -> Engine:
    """An engine that leaves no trace beside the database, not even SQLite's own index; each use looks anew."""
    return create_engine("sqlite://", creator=lambda: _connect(path), poolclass=NullPool)


def _connect(path: Path) -> sqlite3.Connection:
    """Where there is no write-ahead log, or nothing in it, everything is in the file itself.

    SQLite makes an empty one where the log goes away just while it is opened, and then cannot read beside it.
    """
    try:
        logged = Path(f"{path}-wal").stat().st_size > 0
    except OSError:
        logged = False
    how = "mode=ro&readonly_shm=1" if logged else "mode=ro&immutable=1"
    return sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True, check_same_thread=False)
