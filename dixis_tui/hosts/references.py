"""Files that rows refer to: which ones they name, and whether each of them is there."""

from __future__ import annotations

import difflib
import json
import sqlite3
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

# Keys under which JSON objects in a list of assets keep the path.
PATH_KEYS = ("path", "file_path", "url", "src", "image")
# Where Laravel's public disk is seen from: its link below the public folder, and its place below storage/app.
PREFIXES = ("storage/app/public/", "storage/", "public/")


@dataclass(frozen=True)
class Missing:
    """A row that refers to a file that is not there; near: one whose name differs in case or Unicode form only."""

    table: str
    key: str
    column: str
    path: str
    near: str = ""

    def __str__(self) -> str:
        hint = f"; there is {self.near}: its name differs in case or Unicode form" if self.near else ""
        return f"{self.table} {self.key}, {self.column}: {self.path}{hint}"


@dataclass
class Survey:
    """What the rows refer to.

    elsewhere: addresses of other hosts and data: URIs, which no folder holds; unclear: values that name no file anyone
    could look for; paths: the files named that are there.
    """

    rows: int = 0
    missing: list[Missing] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)
    elsewhere: int = 0
    paths: set[str] = field(default_factory=set)


def unknown(connection: sqlite3.Connection, columns: Sequence[str]) -> list[str]:
    """The columns (`table.column`) that the schema does not have, each with the nearest that it has."""
    known = {
        f"{table}.{column}"
        for table, column in connection.execute(
            "SELECT m.name, c.name FROM sqlite_schema AS m, pragma_table_xinfo(m.name) AS c WHERE m.type = 'table'"
        )
    }
    found = []
    for column in columns:
        if column not in known:
            near = difflib.get_close_matches(column, known, n=1)
            found.append(f"{column} is not in the schema" + (f"; did you mean {near[0]}?" if near else ""))
    return found


def survey(
    connection: sqlite3.Connection, columns: Sequence[str], there: Mapping[str, int], urls: Sequence[str]
) -> Survey:
    """Look for every file these columns name. there: the files of the folder, by path below it; urls: addresses under
    which the folder is served."""
    found = Survey()
    alike = {_folded(path): path for path in there}
    for name in columns:
        table, _, column = name.partition(".")
        key = _key(connection, table)
        quoted, shown = _quoted(column), " || ', ' || ".join(f"ifnull({_quoted(part)}, 'NULL')" for part in key)
        for where, value in connection.execute(
            f"SELECT {shown}, {quoted} FROM {_quoted(table)} WHERE {quoted} IS NOT NULL AND {quoted} <> ''"
        ):
            found.rows += 1
            label = f"{', '.join(key)}={where}"
            for text in _texts(value):
                path = _path(text, urls) if text is not None else None
                if path is None:
                    found.unclear.append(f"{table} {label}, {column}: {str(value)[:80]!r}")
                elif not path:
                    found.elsewhere += 1
                elif path in there:
                    found.paths.add(path)
                else:
                    found.missing.append(Missing(table, label, column, path, alike.get(_folded(path), "")))
    return found


def _texts(value: object) -> Iterator[str | None]:
    """The texts of a value: itself, or the members of a JSON list; None for one that is no text."""
    if not isinstance(value, str):
        yield None
        return
    if value.lstrip()[:1] not in ("[", "{"):
        yield value
        return
    try:
        content = json.loads(value)
    except ValueError:
        yield None
        return
    for member in content if isinstance(content, list) else [content]:
        if isinstance(member, dict):
            member = next((member[key] for key in PATH_KEYS if member.get(key)), None)
        yield member if isinstance(member, str) and member else None


def _path(text: str, urls: Sequence[str]) -> str | None:
    """The path below the folder that a text names; '' when it lies elsewhere, None when it leads out of the folder."""
    text = text.strip()
    if text.startswith(("//", "data:")) or "://" in text[:16]:
        base = next((url for url in urls if text.startswith(url)), None)
        if base is None:
            return ""
        text = unquote(urlsplit(text[len(base) :]).path)
    path = text.lstrip("/")
    path = next((path.removeprefix(prefix) for prefix in PREFIXES if path.startswith(prefix)), path)
    parts = path.split("/")
    return (
        None if not path or ".." in parts or "\0" in path else "/".join(part for part in parts if part not in ("", "."))
    )


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _key(connection: sqlite3.Connection, table: str) -> list[str]:
    """The columns that tell a table's rows apart: its primary key, else the row's own number."""
    keyed = [
        str(name)
        for (name,) in connection.execute("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,))
    ]
    return keyed or ["rowid"]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
