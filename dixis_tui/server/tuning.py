"""The server as it shall be set: what differs and why, what can be set, read back, and put back as it was.

The old values are in the journal before the first one is changed; undo goes by them, and by nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import humanize
from pydantic import BaseModel, ConfigDict

from dixis_tui.context import Context
from dixis_tui.model import DixisError, Kind, Outcome, passed, warned
from dixis_tui.server import slowlog, variables
from dixis_tui.server.machine import memory, server_machine
from dixis_tui.server.slowlog import SlowLog
from dixis_tui.server.variables import DENIED, REMOVED, WRONG_TYPE, Managed
from dixis_tui.step import Step
from dixis_tui.target import ServerFacts, TargetConnection, TargetError, connected, execute, query, server_facts

# Before variables are set: data has the server and, by variable, what it was (before), what was kept for the next start
# (persisted, None for nothing), the value that is set, and whether only a restart brings it.
TUNED = "server-tuned"
# They are as they were: data names them.
UNTUNED = "server-tuning-undone"

POOL = "innodb_buffer_pool_size"
# Above this share of the memory a buffer pool leaves too little for connections, sorting and the system.
POOL_SHARE = 0.8
PAUSE = 0.2

# as wanted: nothing to do. differs: SET changes it. until restart: it has the value, but will have lost it after the
# next start. restart: only a restart changes it. removed, unknown: the server has no such variable. no use: it has, and
# does nothing with it. privilege: this account may not. managed: its provider keeps it. too large: more than there is.
Verdict = Literal[
    "as wanted",
    "differs",
    "until restart",
    "restart",
    "removed",
    "unknown",
    "no use",
    "privilege",
    "managed",
    "too large",
]
# Nothing is left to do for these.
WELL: tuple[Verdict, ...] = ("as wanted", "removed", "no use")


class Reading(BaseModel):
    """One variable, wanted and real. now: empty when the server has none; statement: the SQL that sets it, empty when
    nothing shall; lines: what is done by hand elsewhere; file: the line of my.cnf that keeps it; why: in words."""

    model_config = ConfigDict(frozen=True)

    name: str
    wanted: str
    now: str
    verdict: Verdict
    why: str
    statement: str = ""
    lines: tuple[str, ...] = ()
    file: str = ""

    @property
    def well(self) -> bool:
        return self.verdict in WELL

    def text(self) -> list[str]:
        """For people: the first line says how it is, the others what to do."""
        head = f"{self.name} = {_readable(self.name, self.now) or '-'}, wanted {self.wanted}: {self.verdict}"
        return [head, *filter(None, [self.why, f"{self.statement};" if self.statement else "", *self.lines])]


class ServerTuning(BaseModel):
    """The whole reading. memory: bytes, None when not known; machine: where the server runs, empty when not reached."""

    model_config = ConfigDict(frozen=True)

    server: str
    machine: str
    memory: int | None
    managed: str
    readings: tuple[Reading, ...]
    slow_log: SlowLog

    @property
    def well(self) -> bool:
        return all(one.well for one in self.readings)


class Change(BaseModel):
    """What became of one variable that was to be set or put back. done: it reads back as it should."""

    model_config = ConfigDict(frozen=True)

    name: str
    before: str
    after: str
    done: bool
    told: str


@dataclass(frozen=True)
class _Server:
    """What a reading goes by."""

    facts: ServerFacts
    now: Mapping[str, str]
    persisted: Mapping[str, str]
    lost: frozenset[str]
    fixed: frozenset[str]
    allowed: bool
    managed: Managed | None
    memory: int | None


@contextmanager
def _connected(ctx: Context) -> Iterator[TargetConnection]:
    with connected(ctx.config.target, admin=ctx.config.target.admin is not None, database=None) as connection:
        yield connection


def wanted(ctx: Context) -> dict[str, str]:
    """The variables of [tuning], as texts."""
    return {name: _text(value) for name, value in ctx.config.tuning.variables.items()}


def _text(value: bool | int | float | str) -> str:
    return {True: "ON", False: "OFF"}[value] if isinstance(value, bool) else str(value)


def show(ctx: Context) -> ServerTuning:
    """Read how the server is set and what differs from [tuning]; changes nothing."""
    with _connected(ctx) as connection:
        now = variables.all_variables(connection)
        with server_machine(ctx, now) as machine:
            size = memory(machine) if machine else None
            server = _server(ctx, connection, now, size)
            target = ctx.config.target
            return ServerTuning(
                server=f"{server.facts.flavour} {server.facts.version_text} on {target.host}:{target.port}",
                machine=machine.name if machine else "",
                memory=size,
                managed=server.managed.name if server.managed else "",
                readings=tuple(_reading(name, value, server, wanted(ctx)) for name, value in wanted(ctx).items()),
                slow_log=slowlog.read(connection, now, machine),
            )


def _server(
    ctx: Context, connection: TargetConnection, now: Mapping[str, str], size: int | None, names: Sequence[str] = ()
) -> _Server:
    facts = server_facts(connection)
    mine = [name for name in (names or wanted(ctx)) if name in now]
    provider = variables.managed(now, ctx.config.target.host)
    return _Server(
        facts=facts,
        now=now,
        persisted=_persisted(connection, facts),
        lost=frozenset(_lost(connection, facts)),
        fixed=frozenset(variables.fixed_of(connection, mine)),
        allowed=variables.may_set(connection, facts),
        managed=provider,
        memory=size,
    )


def _persisted(connection: TargetConnection, facts: ServerFacts) -> dict[str, str]:
    """What MySQL keeps for its next start, beside its option files."""
    if facts.mariadb:
        return {}
    rows = query(connection, "SELECT variable_name, variable_value FROM performance_schema.persisted_variables")
    return {str(name).lower(): str(value) for name, value in rows}


def _lost(connection: TargetConnection, facts: ServerFacts) -> list[str]:
    """Variables that were set while the server runs; what is not kept besides is gone with the next start."""
    if facts.mariadb:
        sql = "SELECT variable_name FROM information_schema.system_variables WHERE global_value_origin = 'SQL'"
    else:
        sql = "SELECT variable_name FROM performance_schema.variables_info WHERE variable_source = 'DYNAMIC'"
    return [str(row[0]).lower() for row in query(connection, sql)]


def _reading(name: str, value: str, server: _Server, all_wanted: Mapping[str, str]) -> Reading:
    """How one variable is, and what is to be done about it."""
    now = server.now.get(name)
    if now is None:
        gone = not server.facts.mariadb and name in REMOVED
        instead = REMOVED[name][1] if gone else "look for its name in the server's manual"
        why = f"{variables.absent(name, server.facts)}; {instead}"
        return Reading(name=name, wanted=value, now="", verdict="removed" if gone else "unknown", why=why)

    def reading(verdict: Verdict, why: str, statement: str = "", *lines: str, file: str = "") -> Reading:
        return Reading(
            name=name, wanted=value, now=now, verdict=verdict, why=why, statement=statement, lines=lines, file=file
        )

    sql = variables.as_sql(value, now)
    fixed = name in server.fixed
    verb = variables.set_verb(server.facts, fixed=fixed)
    statement = "" if fixed and server.facts.mariadb else f"SET {verb} {name} = {sql}"
    file = f"{name} = {sql}" if server.facts.mariadb else ""
    by_hand = ("as the server's administrator:", f"{statement};")
    kept = server.persisted.get(name)
    keeps = kept is not None and variables.is_so(value, kept)
    if _is_so(name, value, now, server.now):
        if keeps or name not in server.lost:
            return reading("as wanted", _rounded(name, value, now))
        why = "it has the value now, and loses it with the next start of the server"
        if server.managed:
            return reading("managed", why, "", server.managed.line(name, sql, fixed=fixed))
        if server.facts.mariadb:
            return reading("until restart", why, file=file)
        return reading("until restart", why, statement) if server.allowed else reading("privilege", why, "", *by_hand)
    if name.startswith("query_cache") and _query_cache_off(server.now, all_wanted):
        why = (
            "query_cache_type is OFF: it would take memory and keep nothing; leave it out, or want query_cache_type too"
        )
        return reading("no use", why)
    size = variables.in_bytes(value) if variables.is_number(now) else None
    whole = int(sql) if sql.isdigit() else 0
    if name == POOL and server.memory is not None and whole > server.memory:
        there = humanize.naturalsize(server.memory, binary=True)
        why = f"its machine has {there} of memory; with a larger buffer pool it swaps, or the kernel ends the server"
        return reading("too large", why)
    told = [f"as text, '{value}' is error {WRONG_TYPE}: SET takes whole bytes"] if size is not None else []
    if name == POOL:
        told.append(_of_memory(whole, server.memory))
    if server.managed:
        told.append(f"{server.managed.name} keeps its settings itself and refuses SET")
        return reading("managed", "; ".join(told), "", server.managed.line(name, sql, fixed=fixed))
    if fixed and keeps:
        return reading("restart", "it is kept for the next start: restart the server")
    if fixed:
        told.append("not dynamic: only a restart of the server brings it")
    if not server.allowed and statement:
        right = "SUPER" if server.facts.mariadb else "SYSTEM_VARIABLES_ADMIN"
        told.append(f"error {DENIED}: this account may not; it lacks {right}")
        return reading("privilege", "; ".join(told), "", *by_hand, file=file)
    if fixed:
        return reading("restart", "; ".join(told), statement, file=file)
    if server.facts.mariadb:
        told.append("SET GLOBAL does not outlive a restart")
    return reading("differs", "; ".join(told), statement, file=file)


def _query_cache_off(now: Mapping[str, str], all_wanted: Mapping[str, str]) -> bool:
    kind = all_wanted.get("query_cache_type", now.get("query_cache_type", "ON"))
    return kind.upper() in ("OFF", "0")


def _is_so(name: str, value: str, now: str, every: Mapping[str, str]) -> bool:
    if variables.is_so(value, now):
        return True
    # A server rounds a buffer pool up to whole chunks.
    chunk = int(every.get("innodb_buffer_pool_chunk_size") or 0) * int(every.get("innodb_buffer_pool_instances") or 1)
    sql = variables.as_sql(value, now)
    return name == POOL and chunk > 0 and sql.isdigit() and int(sql) < int(now) < int(sql) + chunk


def _rounded(name: str, value: str, now: str) -> str:
    return "" if name != POOL or variables.is_so(value, now) else "the server has rounded it up to whole chunks"


def _of_memory(size: int, available: int | None) -> str:
    if available is None:
        return "how much memory the server has is not known: see that it fits, or name its machine in [tuning.ssh]"
    text = f"{size / available:.0%} of the {humanize.naturalsize(available, binary=True)} of memory there"
    return f"{text}, which leaves little for connections and the system" if size > POOL_SHARE * available else text


def _readable(name: str, value: str) -> str:
    return humanize.naturalsize(int(value), binary=True) if name.endswith("_size") and value.isdigit() else value


# Setting


def apply(ctx: Context) -> list[Change]:
    """Set what differs and can be set; what became of each. The old values are in the journal before."""
    found = show(ctx)
    todo = [one for one in found.readings if one.statement]
    if not todo:
        return []
    with _connected(ctx) as connection:
        server = _server(ctx, connection, variables.all_variables(connection), None)
        ctx.record(
            TUNED,
            {
                "number": len(_events(ctx)) + 1,
                "server": _address(ctx),
                "variables": {
                    one.name: {
                        "before": one.now,
                        "persisted": server.persisted.get(one.name),
                        "value": one.wanted,
                        "restart": one.name in server.fixed,
                    }
                    for one in todo
                },
            },
        )
        return [_set(ctx, connection, one, server) for one in todo]


def _set(ctx: Context, connection: TargetConnection, one: Reading, server: _Server) -> Change:
    """Set one variable and read it back."""
    ctx.say(one.statement)
    try:
        execute(connection, one.statement)
    except TargetError as error:
        return Change(name=one.name, before=one.now, after=one.now, done=False, told=error.what)
    waited = _resized(ctx, connection) if one.name == POOL else ""
    now = variables.all_variables(connection)
    after = now[one.name]
    if one.name in server.fixed:
        kept = _persisted(connection, server.facts).get(one.name, "")
        done = variables.is_so(one.wanted, kept)
        told = (
            "kept for the next start: restart the server" if done else f"kept for the next start is {kept or 'nothing'}"
        )
    else:
        done = _is_so(one.name, one.wanted, after, now) and not waited
        told = waited or f"the server made {after} of it"
        if done and server.facts.mariadb:
            told = "set, until the next start of the server"
        elif done:
            told = "set, and kept for the next start"
    return Change(name=one.name, before=one.now, after=after, done=done, told=told)


def _resized(ctx: Context, connection: TargetConnection) -> str:
    """Wait for a buffer pool to have its new size; what there is to say when it has not."""
    until = time.monotonic() + ctx.config.tuning.resize_seconds
    while True:
        rows = query(connection, "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_resize_status%'")
        status = {str(name).lower(): str(value) for name, value in rows}
        text = status.get("innodb_buffer_pool_resize_status", "")
        code = status.get("innodb_buffer_pool_resize_status_code")
        ended = code == "0" if code is not None else not text or text.startswith(("Completed", "Size did not change"))
        if ended or "fail" in text.lower():
            return "" if ended and "fail" not in text.lower() else f"the server could not resize it: {text}"
        if time.monotonic() > until:
            return f"the server still resizes it, and goes on: {text}"
        ctx.check_stop()
        ctx.stop.wait(PAUSE)


# Putting back


def kept(ctx: Context) -> dict[str, dict[str, Any]]:
    """By variable, how it was before this run first set it, and the value set last; without those put back."""
    state: dict[str, dict[str, Any]] = {}
    for kind, data in _events(ctx):
        if kind == UNTUNED:
            for name in data["variables"]:
                state.pop(name, None)
            continue
        for name, one in data["variables"].items():
            first = state.setdefault(name, {**one, "server": data["server"]})
            first["value"] = one["value"]
    return state


def _events(ctx: Context) -> list[tuple[str, Mapping[str, Any]]]:
    """Both kinds of events in the order they were written, which each carries as a number."""
    both = [(kind, data) for kind in (TUNED, UNTUNED) for data in ctx.recorded(kind)]
    return sorted(both, key=lambda one: int(one[1]["number"]))


def _address(ctx: Context) -> str:
    return f"{ctx.config.target.host}:{ctx.config.target.port}"


def _back(name: str, one: Mapping[str, Any], server: _Server) -> list[str]:
    """The statements that put a variable back."""
    before, persisted, restart = str(one["before"]), one["persisted"], bool(one["restart"])
    old = f"SET GLOBAL {name} = {variables.as_sql(before, before)}"
    if server.facts.mariadb:
        return [old]
    if persisted is None:
        return [f"RESET PERSIST IF EXISTS {name}", *([] if restart else [old])]
    verb = variables.set_verb(server.facts, fixed=restart)
    return [f"SET {verb} {name} = {variables.as_sql(persisted, persisted)}", *([] if restart else [old])]


def undoing(ctx: Context) -> dict[str, list[str]]:
    """What undo would do: statements by variable. Raises DixisError when they belong to another server."""
    state = kept(ctx)
    others = {str(one["server"]) for one in state.values()} - {_address(ctx)}
    if others:
        raise DixisError(
            f"The variables were set on {', '.join(sorted(others))}, and [target] is {_address(ctx)} now.",
            safe="nothing was changed",
            next_step="name that server in [target], then undo",
        )
    if not state:
        return {}
    with _connected(ctx) as connection:
        server = _server(ctx, connection, variables.all_variables(connection), None, list(state))
        return {name: _back(name, one, server) for name, one in state.items()}


def undo(ctx: Context) -> list[Change]:
    """Put back what this run has set, as the journal has it; what somebody else has changed since is left alone."""
    steps = undoing(ctx)
    state = kept(ctx)
    changes = []
    if steps:
        with _connected(ctx) as connection:
            changes = [_put_back(ctx, connection, name, state[name], steps[name]) for name in steps]
    if done := [one.name for one in changes if one.done]:
        ctx.record(UNTUNED, {"number": len(_events(ctx)) + 1, "server": _address(ctx), "variables": done})
    return changes


def _put_back(
    ctx: Context, connection: TargetConnection, name: str, one: Mapping[str, Any], statements: Sequence[str]
) -> Change:
    every = variables.all_variables(connection)
    now, before, value = every.get(name, ""), str(one["before"]), str(one["value"])
    if not one["restart"] and not _is_so(name, value, now, every) and not variables.is_so(before, now):
        told = f"somebody has set it to {now} since: left alone"
        return Change(name=name, before=now, after=now, done=False, told=told)
    try:
        for statement in statements:
            ctx.say(statement)
            execute(connection, statement)
    except TargetError as error:
        return Change(name=name, before=now, after=now, done=False, told=error.what)
    waited = _resized(ctx, connection) if name == POOL else ""
    after = variables.all_variables(connection)[name]
    done = (bool(one["restart"]) or variables.is_so(before, after)) and not waited
    told = waited or ("as it was" if done else f"the server made {after} of {before}")
    return Change(name=name, before=now, after=after, done=done, told=told)


# In the plan


def step() -> Step:
    """The check of the Watch phase."""
    return Step(
        "watch.tuning",
        "The server is set as wanted",
        Kind.CHECK,
        "What was set by hand is lost with a restart, and nobody notices until the first busy hour.",
        outcome,
    )


def outcome(ctx: Context) -> Outcome:
    """How many variables are as [tuning] wants them; a warning when something is left to do."""
    found = show(ctx)
    open_ones = [one for one in found.readings if not one.well]
    evidence = [
        f"{found.server}, {place(found)}",
        *(f"{one.name} = {one.now or '-'}, wanted {one.wanted}: {one.verdict}" for one in found.readings),
        *found.slow_log.lines(),
    ]
    well = [one.name for one in found.readings if one.verdict == "as wanted"]
    if not open_ones:
        return passed(f"{len(well)} of {len(found.readings)} variables as wanted, nothing left to do", evidence)
    remedy = ["dixis tune apply" if any(one.statement for one in open_ones) else "dixis tune show says what to do"]
    names = ", ".join(one.name for one in open_ones)
    return warned(f"{len(open_ones)} variables are not as wanted: {names}", evidence, remedy)


def kept_by_file(found: ServerTuning) -> list[str]:
    """What MariaDB needs in its own file, which alone outlives a restart; empty where nothing is to be kept."""
    lines = [one.file for one in found.readings if one.file]
    return ["in my.cnf, which alone outlives a restart of MariaDB:", "[mysqld]", *lines] if lines else []


def place(found: ServerTuning) -> str:
    """Where the server runs and how much memory is there, in words."""
    if found.managed:
        return found.managed
    if not found.machine:
        return "on a machine that is not reached from here: its memory is not known"
    size = humanize.naturalsize(found.memory, binary=True) if found.memory else "not known"
    return f"on {found.machine}, memory: {size}"
