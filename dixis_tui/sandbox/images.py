"""Draws the picture files that the demo shop's rows refer to, with the standard library alone."""

from __future__ import annotations

import json
import sqlite3
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from random import Random

# Every column that holds paths below storage/app/public: one path, or a JSON list of them.
ASSET_COLUMNS = (
    ("products", "main_image"),
    ("product_images", "path"),
    ("producers", "logo"),
    ("producers", "cover_image"),
    ("producer_media", "file_path"),
    ("producer_documents", "file_path"),
    ("categories", "image"),
    ("product_categories", "image"),
    ("users", "avatar"),
    ("businesses", "logo"),
    ("tenant_themes", "logo_path"),
    ("adoptable_items", "main_image"),
    ("adoptable_items", "gallery_images"),
    ("adoption_updates", "images"),
)


def write_images(sqlite: Path, directory: Path, *, seed: int = 1) -> int:
    """Draw one PNG, JPEG or SVG in `directory` for every path in the asset columns; returns the number of files.

    Tables and columns that the database does not have are passed over, as are addresses of other hosts and paths
    that lead out of `directory`. The same seed and paths give the same bytes.
    """
    paths = asset_paths(sqlite)
    for path in paths:
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(_picture(path, Random(f"{seed} {path}")))
    return len(paths)


def asset_paths(sqlite: Path) -> list[str]:
    """The distinct relative paths of drawable files that the rows refer to, sorted."""
    found: set[str] = set()
    with closing(sqlite3.connect(f"{sqlite.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        for table, column in ASSET_COLUMNS:
            if column in {row[1] for row in connection.execute(f'pragma table_info("{table}")')}:
                found.update(_paths(value for (value,) in connection.execute(f'select "{column}" from "{table}"')))
    return sorted(found)


def _paths(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str) and value:
            for path in json.loads(value) if value.startswith("[") else [value]:
                if _is_drawable(path):
                    yield path


def _is_drawable(path: str) -> bool:
    parts = PurePosixPath(path)
    known = parts.suffix in (".png", ".jpg", ".svg")
    return known and "://" not in path and not parts.is_absolute() and ".." not in parts.parts


def _picture(path: str, random: Random) -> bytes:
    if path.endswith(".svg"):
        return _svg(random)
    return _jpeg(random) if path.endswith(".jpg") else _png(random)


def _svg(random: Random) -> bytes:
    colours = [f"#{random.getrandbits(24):06x}" for _ in range(9)]
    circles = "".join(
        f'<circle cx="{random.randint(0, 128)}" cy="{random.randint(0, 128)}" r="{4 * size}" fill="{colour}"/>'
        for size, colour in enumerate(colours, start=1)
    )
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 128 128">'
    return f"{head}{circles}</svg>\n".encode()


def _png(random: Random) -> bytes:
    """A grainy gradient of 48 to 112 pixels a side, in true colour: some 5 to 30 kilobytes."""
    width, height = random.randint(48, 112), random.randint(48, 112)
    red, green, blue = (random.randint(0, 127) for _ in range(3))
    lines = bytearray()
    for y in range(height):
        lines.append(0)
        for x in range(width):
            grain = random.getrandbits(4)
            lines += bytes((red + x + grain, green + y + grain, blue + grain))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(lines), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(kind, data) for kind, data in chunks)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# Baseline JPEG in grey: each block of 8x8 pixels has one level, so only its DC difference is coded.
# The table gives 16 lengths; every category 0 to 11 has a code of 4 bits, and the only AC code is "end of block".
_JPEG_DC = bytes([0, 0, 0, 12] + [0] * 12) + bytes(range(12))
_JPEG_AC = bytes([1] + [0] * 15) + b"\x00"


def _jpeg(random: Random) -> bytes:
    """A grey mosaic of 8-pixel tiles, 128 to 320 pixels a side: 300 bytes to 2 kilobytes."""
    across, down = random.randint(16, 40), random.randint(16, 40)
    frame = struct.pack(">BHHB", 8, down * 8, across * 8, 1) + bytes([1, 0x11, 0])
    segments = (
        (0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"),
        (0xDB, b"\x00" + b"\x08" * 64),
        (0xC0, frame),
        (0xC4, b"\x00" + _JPEG_DC),
        (0xC4, b"\x10" + _JPEG_AC),
        (0xDA, bytes([1, 1, 0x00, 0, 63, 0])),
    )
    head = b"".join(struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data for marker, data in segments)
    scan = _jpeg_scan(random.randint(-100, 100) for _ in range(across * down))
    return b"\xff\xd8" + head + scan + b"\xff\xd9"


def _jpeg_scan(levels: Iterable[int]) -> bytes:
    """Entropy-coded blocks; `levels` are -128 to 127 around middle grey."""
    bits: list[str] = []
    previous = 0
    for level in levels:
        difference = level - previous
        size = abs(difference).bit_length()
        value = difference if difference > 0 else difference + (1 << size) - 1
        bits.append(f"{size:04b}" + (f"{value:0{size}b}" if size else "") + "0")
        previous = level
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    data = int(text, 2).to_bytes(len(text) // 8, "big")
    return data.replace(b"\xff", b"\xff\x00")
