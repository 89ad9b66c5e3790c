"""Image files for a source database that is not the demo shop: the ones its rows name, in a small but true form."""

from __future__ import annotations

import re
import sqlite3
import struct
import zlib
from contextlib import closing
from pathlib import Path, PurePosixPath

# Matched against table.column.
IMAGE_COLUMN = re.compile(
    r"[._](image|photo|picture|avatar|logo|cover|thumbnail|icon)(_path)?$|(images|photos|media)\.(file_)?path$",
    re.IGNORECASE,
)
IMAGE_NAME = re.compile(r"\.(png|jpe?g|gif|webp|svg)$", re.IGNORECASE)
SPARE_IMAGES = ("products/placeholder.png", "producers/placeholder.png", "logo.png")


def asset_columns(database: Path) -> list[str]:
    """Columns whose name says that they hold the path of an image, as table.column."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT m.name, c.name, c.type FROM sqlite_master AS m, pragma_table_info(m.name) AS c"
            " WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY m.name, c.cid"
        ).fetchall()
    texts = ("char", "text", "clob")
    return [
        f"{table}.{column}"
        for table, column, declared in rows
        if IMAGE_COLUMN.search(f"{table}.{column}") and any(word in declared.lower() for word in texts)
    ]


def write_images_named_in(database: Path, directory: Path) -> int:
    """Write an image for each path the database names, and a few more so that there are some; returns how many."""
    names = set(SPARE_IMAGES)
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        for column in asset_columns(database):
            table, _, name = column.rpartition(".")
            quoted = '"' + name.replace('"', '""') + '"'
            rows = connection.execute(f'SELECT DISTINCT {quoted} FROM "{table.replace(chr(34), chr(34) * 2)}"')
            names.update(filter(None, (_relative(value) for (value,) in rows)))
    for number, name in enumerate(sorted(names)):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(8 + number % 24))
    return len(names)


def _relative(value: object) -> str | None:
    """The path of an image inside storage/app/public, or None for addresses and anything that leads elsewhere."""
    if not isinstance(value, str) or "://" in value or not IMAGE_NAME.search(value):
        return None
    path = PurePosixPath(value.removeprefix("/").removeprefix("storage/"))
    return None if path.is_absolute() or ".." in path.parts else str(path)


def png(side: int) -> bytes:
    """A square grey PNG of side pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = b"".join(b"\0" + bytes((x * 255) // side for x in range(side)) for _ in range(side))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
