"""The server's log of slow queries: whether it is written, where, and what it says last. Values in the queries are left
out: they are customers'."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from dixis_tui.hosts.host import Host, HostError
from dixis_tui.target import TargetConnection, TargetError, query

# How much of the end of the file is read, how many queries are shown, and how much of each.
TAIL = 64 << 10
SHOWN = 3
WIDTH = 120
TEXTS = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"")
NUMBERS = re.compile(r"\b\d+(\.\d+)?\b")
ENTRY = re.compile(r"^# Query_time: ([\d.]+).*$", re.M)
# Lines of an entry before its query.
BESIDE = ("#", "SET timestamp=", "use ")


class SlowQuery(BaseModel):
    """One query: how long it took, and its text without values."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    sql: str


class SlowLog(BaseModel):
    """on: it is written; seconds: from how long on; output: FILE, TABLE or both; path: of the file. told: why the log
    could not be read, empty when it was."""

    model_config = ConfigDict(frozen=True)

    on: bool
    seconds: float
    output: str
    path: str
    last: tuple[SlowQuery, ...] = ()
    told: str = ""

    def lines(self) -> list[str]:
        """For people."""
        if not self.on:
            return ["the slow query log is off"]
        where = " and ".join(
            text for name, text in (("FILE", self.path), ("TABLE", "mysql.slow_log")) if name in self.output.split(",")
        )
        if not where:
            return [f"the slow query log is on and goes nowhere: log_output is {self.output}"]
        head = f"the slow query log is on, from {self.seconds:g} s, in {where}"
        if self.told:
            return [f"{head}; {self.told}"]
        if not self.last:
            return [f"{head}; nothing in it"]
        return [f"{head}; the last in it:", *(f"  {one.seconds:.2f} s  {one.sql}" for one in self.last)]


def read(connection: TargetConnection, variables: Mapping[str, str], machine: Host | None) -> SlowLog:
    """The log of the server with these variables; machine: the one it runs on, None when it is not reached."""
    output = variables.get("log_output", "FILE").upper()
    name = variables.get("slow_query_log_file", "")
    log = SlowLog(
        on=variables.get("slow_query_log", "OFF").upper() in ("ON", "1"),
        seconds=float(variables.get("long_query_time", "0")),
        output=output,
        path=posixpath.join(variables.get("datadir", ""), name),
    )
    if not log.on or output == "NONE":
        return log
    try:
        if "TABLE" in output.split(","):
            return log.model_copy(update={"last": _of_table(connection)})
        if machine is None:
            return log.model_copy(update={"told": "it is on a machine that is not reached from here"})
        return log.model_copy(update={"last": _of_file(machine, log.path)})
    except (HostError, TargetError) as error:
        return log.model_copy(update={"told": f"it cannot be read: {error.what}"})


def _of_table(connection: TargetConnection) -> tuple[SlowQuery, ...]:
    rows = query(
        connection,
        "SELECT TIME_TO_SEC(query_time) + MICROSECOND(query_time) / 1000000, CONVERT(sql_text USING utf8mb4)"
        f" FROM mysql.slow_log ORDER BY start_time DESC LIMIT {SHOWN}",
    )
    return tuple(SlowQuery(seconds=float(seconds), sql=without_values(str(sql))) for seconds, sql in reversed(rows))


def _of_file(machine: Host, path: str) -> tuple[SlowQuery, ...]:
    facts = machine.stat(path)
    if facts is None:
        raise HostError(f"{path} is not there.")
    text = machine.read(path, max(0, facts.size - TAIL), TAIL).decode("utf-8", "replace")
    return entries(text)[-SHOWN:]


def entries(text: str) -> tuple[SlowQuery, ...]:
    """The queries in a part of the log's file."""
    parts = ENTRY.split(text)
    found = []
    for seconds, body in zip(parts[1::2], parts[2::2], strict=True):
        lines = []
        for line in body.partition("\n# Time:")[0].splitlines():
            if line.startswith("# User@Host:"):
                break
            if line.strip() and not line.startswith(BESIDE):
                lines.append(line)
        found.append(SlowQuery(seconds=float(seconds), sql=without_values(" ".join(lines))))
    return tuple(found)


def without_values(sql: str) -> str:
    """A query on one line, its texts and numbers left out, shortened."""
    line = NUMBERS.sub("…", TEXTS.sub("'…'", " ".join(sql.split()).rstrip(";")))
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
