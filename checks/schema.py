"""Checks of the schema: what the target cannot hold as it is, and what the application's migrations make of it."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, replace

from sqlglot.dialects import MySQL

from checks.registry import Answer, Severity, check, finding, found, good, problem, skip
from checks.shared import APPLICATION, PLANNED, SCAN, SCRATCH, SERVER, Planned, planned
from checks.shared import server as any_server
from dixis_tui.config import Admin, Secret, Target
from dixis_tui.context import Context
from dixis_tui.hosts import envfile, laravel
from dixis_tui.hosts.host import Completed, join
from dixis_tui.model import Finding
from dixis_tui.schemas import catalogue, differences, schema, shape
from dixis_tui.schemas.catalogue import ForeignKey, SourceSchema, Table
from dixis_tui.schemas.readings import names_on, read_source
from dixis_tui.source import latest_snapshot, reading
from dixis_tui.target import TargetConnection, connected, execute, identifier, literal
from dixis_tui.translate import Finding as Told

SEVERITIES: dict[str, Severity] = {"error": "fail", "warning": "warn", "note": "note"}
TRIGGERED = re.compile(r"""\bon\s+("[^"]+"|`[^`]+`|\[[^]]+]|\S+)""", re.I)
RESERVED = frozenset(word.upper() for word in MySQL.Generator.RESERVED_KEYWORDS)
NEEDS = (PLANNED,)


def accept(name: str) -> tuple[str, str]:
    """The lines that agree to a finding of the schema."""
    return "[schema]", f"accept = [{json.dumps(name, ensure_ascii=False)}]"


def told_by_translation(ctx: Context, kinds: Collection[str]) -> Iterator[Finding]:
    """The translation's findings of these kinds, in the words of the checks."""
    plan = planned(ctx)
    if plan.translation is None:
        return
    accepted = ctx.config.schema_section.accept
    for told in plan.translation.findings:
        if told.kind in kinds and not _about_rows(plan, told):
            known = told.id in accepted or told.kind in accepted
            yield _finding(plan, told, known)


def _about_rows(plan: Planned, told: Told) -> bool:
    """True for a finding about values that the checks of the data name row by row."""
    if told.kind == "primary-key":
        return "NULL" in told.what
    names = {(one.table, one.column) for one in plan.misfits}
    return told.kind in schema.VALUE_KINDS and (told.table, told.object) in names


def _finding(plan: Planned, told: Told, known: bool) -> Finding:
    note = told.severity == "note" or known
    rows = plan.contents[told.table].rows if told.table in plan.contents else 0
    fires_for = TRIGGERED.search(plan.schema.triggers.get(told.table, ""))
    table, thing = (fires_for[1].strip('"`[]'), told.table) if fires_for else (told.table, told.object)
    return finding(
        told.what + (f"; proposed: {told.proposal}" if told.proposal else "") + ("; accepted" if known else ""),
        *(() if note else _ways_out(plan, told)),
        severity="note" if note else SEVERITIES[told.severity],
        table=table,
        column=thing,
        rows=rows if told.severity == "error" else 0,
    )


def _ways_out(plan: Planned, told: Told) -> Iterator[str]:
    """What mends a finding: a name in the source, or the operator's word."""
    if told.kind == "literal":
        yield "-- in the source:"
        yield f"DROP INDEX {catalogue.name(told.object)};"
        yield "or"
    yield from accept(told.id)


def _register(name: str, title: str, why: str, kinds: Collection[str], otherwise: str) -> None:
    @check(
        f"schema.{name}",
        title,
        why=why,
        severity="warn",
        remedy="mend it in the source, choose another type under [types], or accept it under [schema] accept",
        needs=NEEDS,
    )
    def ask(ctx: Context) -> Answer:
        if ctx.config.schema_section.mode != "native":
            return skip("artisan builds the tables: see schema.differences")
        return found([*told_by_translation(ctx, kinds), *MORE.get(name, _nothing)(planned(ctx))], otherwise)


def _nothing(plan: Planned) -> Iterator[Finding]:
    del plan
    return iter(())


def _type_notes(plan: Planned) -> Iterator[Finding]:
    """Types that were chosen because SQLite tells none, or a larger one than is usual."""
    for table in plan.schema.tables:
        there = {column.name: column for column in plan.targets.get(table.name, ())}
        numbers = [
            f"{column.name} {there[column.name].type.upper()}"
            for column in table.columns
            if column.declared.lower() in ("numeric", "decimal") and column.name in there
        ]
        if numbers:
            text = f"numbers without a declared size become {', '.join(numbers)}"
            yield finding(text, severity="note", table=table.name)
        for column in table.columns:
            made = there.get(column.name)
            if made is None:
                continue
            if made.kind in ("mediumtext", "longtext", "mediumblob", "longblob"):
                size = plan.contents[table.name].columns[column.name].bytes
                text = f"values of up to {size:,} bytes: {made.type.upper()}"
                yield finding(text, severity="note", table=table.name, column=column.name)
            if _odd(column.declared):
                declared = f"declared {column.declared}" if column.declared else "declared without a type"
                text = f"is {declared}, which the target does not know: {made.type.upper()}"
                yield finding(text, severity="note", table=table.name, column=column.name)
            if column.collation not in ("", "BINARY"):
                text = f"compares by {column.collation} in SQLite, by the target's collation there"
                yield finding(text, severity="note", table=table.name, column=column.name)


USUAL = frozenset(
    {"integer", "int", "bigint", "smallint", "mediumint", "tinyint", "boolean", "varchar", "char", "text", "json"}
    | {"jsonb", "numeric", "decimal", "real", "double", "float", "date", "datetime", "timestamp", "time", "blob"}
)


def _odd(declared: str) -> bool:
    return declared.lower().partition("(")[0].strip() not in USUAL


def _name_notes(plan: Planned) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for table in plan.schema.tables:
        names = [table.name, *(column.name for column in table.columns)]
        reserved = [name for name in names if name.upper() in RESERVED]
        if reserved:
            text = f"{', '.join(reserved)}: reserved by the target; written SQL of the application must quote them"
            yield finding(text, severity="note", table=table.name)
        if any(not name.isascii() or not name.replace("_", "").isalnum() for name in names):
            text = "names with other signs than letters of ASCII, digits and _: kept as they are"
            yield finding(text, severity="note", table=table.name)
        twin = seen.setdefault(table.name.lower(), table.name)
        if twin != table.name:
            text = f"differs from {twin} by case alone: two tables here, and one on a server that ignores case"
            yield finding(text, severity="note", table=table.name)


def _key_notes(plan: Planned) -> Iterator[Finding]:
    for table in plan.schema.tables:
        for index in table.indexes:
            if any(part.descending for part in index.parts):
                text = f"index {index.name} is descending and stays so where the server can"
                yield finding(text, severity="note", table=table.name, column=index.name)


def _reference_notes(plan: Planned) -> Iterator[Finding]:
    """References that lead back: rows of such tables can be loaded in no order that is always right."""
    for table in plan.schema.tables:
        for key in table.foreign_keys:
            if key.table.lower() == table.name.lower():
                text = "refers to itself: loaded while references are not checked, and looked at afterwards"
                yield finding(text, severity="note", table=table.name, column=", ".join(key.columns))
            elif _leads_back(plan.schema, table, key):
                text = f"refers to {key.table}, which leads back here: loaded while references are not checked"
                yield finding(text, severity="note", table=table.name, column=", ".join(key.columns))


def _leads_back(source: SourceSchema, table: Table, key: ForeignKey) -> bool:
    seen: set[str] = set()
    waiting = [key.table]
    while waiting:
        name = waiting.pop().lower()
        if name == table.name.lower():
            return True
        other = source.table(name)
        if name not in seen and other is not None:
            seen.add(name)
            waiting += [one.table for one in other.foreign_keys if one.table.lower() != name]
    return False


MORE = {"types": _type_notes, "names": _name_notes, "keys": _key_notes, "references": _reference_notes}
_register(
    "types",
    "Types of the columns",
    "SQLite keeps no sizes and few types. Every type that had to be chosen otherwise than declared is told.",
    {"values", "moments", "fraction", "inexact", "datetimes", "json", "types", "size", "row-size"},
    "every column has the type it was declared with",
)
_register(
    "names",
    "Names of tables and columns",
    "Names longer than 64 characters, or equal but for case and accents, cannot be on the target.",
    {"name", "columns"},
    "every name can be kept",
)
_register(
    "keys",
    "Keys and indexes",
    "Partial indexes, expressions and long texts are indexed otherwise on the target, or not at all.",
    {
        "primary-key",
        "key-length",
        "key-size",
        "literal",
        "partial",
        "partial-unique",
        "expression",
        "prefix",
        "descending",
    },
    "every key and index can be had",
)
_register(
    "references",
    "Foreign keys",
    "A foreign key wants the same type on both ends and a unique key to lean on. SQLite asked for neither.",
    {"foreign-key", "foreign-action"},
    "every foreign key can be had",
)
_register(
    "rules",
    "Defaults, checks and generated columns",
    "An expression that means something else on the target would fill in other values than today.",
    {"default", "check", "generated"},
    "every rule means the same on the target",
)
_register(
    "objects",
    "Views, triggers and virtual tables",
    "What is not a table is made anew by hand where it is needed, or it is missing after the cutover.",
    {"view", "trigger", "virtual", "encoding"},
    "nothing but tables, and views that mean the same",
)


@check(
    "schema.pending",
    "No migration waits",
    why="A migration that has not run on SQLite either would run on the target first, in the middle of the window.",
    severity="warn",
    remedy="php artisan migrate --force, on SQLite, before the window; or take the file back",
    needs=(APPLICATION,),
)
def pending(ctx: Context) -> Answer:
    done = laravel.artisan(ctx, "migrate:status", timeout=60)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode != 0:
        text = f"artisan migrate:status ended with exit code {done.returncode}"
        return problem(text, *lines[-10:], *done.stderr.splitlines()[-5:])
    waiting = [line.strip() for line in lines if "| No " in line or "Pending" in line]
    if waiting:
        return problem(f"{len(waiting)} migrations have not run on SQLite", *waiting)
    return good(f"{sum('| Yes' in line or 'Ran' in line for line in lines)} migrations, all run")


@check(
    SCRATCH,
    "Migrations run on the target's kind of server",
    why="A migration written for SQLite may fail on MySQL. All are tried in a database of their own, then dropped.",
    severity="fail",
    remedy='mend the migration that is named, or let [schema] mode = "native" build the tables',
    needs=(SERVER, SCAN),
)
def migrations_run(ctx: Context) -> Answer:
    target = ctx.config.target
    if ctx.config.schema_section.mode == "native":
        return skip("the tables are built from the source's schema, not by migrations")
    if target.admin is None:
        return skip("without [target.admin] there is no database to try them in")
    with _scratch(ctx, target.admin) as trial:
        done = _try_migrations(ctx, trial)
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        if done.returncode != 0:
            words = [
                line for line in (done.stdout + done.stderr).splitlines() if "SQLSTATE" in line or "Exception" in line
            ]
            first = words[0].strip() if words else f"exit code {done.returncode}"
            return problem(f"artisan migrate fails on an empty database: {first}", *lines[-20:])
        with connected(trial) as inside, reading(latest_snapshot(ctx)) as source:
            columns = shape.all_columns(inside)
            source_schema, contents = read_source(ctx)
            names = names_on(ctx, inside, source_schema)
            snapshot = latest_snapshot(ctx)
            kept = snapshot.path.with_name(f"exact-{snapshot.sha256}")
            told = differences.compare(source, inside, trial, source_schema, contents, names, kept, ctx.check_stop)
            extra = differences.extra_tables(inside, source_schema, names)
    facts = {
        "columns": {table: [astuple(column) for column in there] for table, there in columns.items()},
        "differences": [[one.table, one.what, one.remedy, one.blocks] for one in told],
        "extra": list(extra),
    }
    ran = sum("Migrated:" in line or "DONE" in line for line in lines)
    return good(f"{ran} migrations run on an empty database", *lines[-200:], facts=facts)


def _try_migrations(ctx: Context, trial: Target) -> Completed:
    """`artisan migrate` on the scratch database, by an environment file that is gone again afterwards."""
    text = laravel.read_env(ctx)
    inside = _with_target(ctx, trial)
    path = join(ctx.config.app.root, laravel.TRIAL_ENV)
    ctx.app_host.write(path, envfile.changed(text, laravel.target_env(inside, text)).encode(), mode=0o600)
    try:
        prefix = ["env", laravel.NO_CONFIG_CACHE]
        return laravel.artisan(ctx, "migrate", "--force", "--env=dixis", prefix=prefix, timeout=900)
    finally:
        ctx.app_host.remove(path)


def _with_target(ctx: Context, trial: Target) -> Context:
    return replace(ctx, config=ctx.config.model_copy(update={"target_section": trial}))


@contextmanager
def _scratch(ctx: Context, admin: Admin) -> Iterator[Target]:
    """A database and an account of its own to try something in; both are dropped at the end."""
    target = ctx.config.target
    name = f"dixis_try_{secrets.token_hex(4)}"
    password = secrets.token_urlsafe(24)
    account = f"{literal(name)}@{literal(admin.client_host)}"
    require = " REQUIRE SSL" if target.tls.mode == "verify" else ""
    with any_server(ctx) as connection:
        try:
            made = f"CREATE DATABASE {identifier(name)} CHARACTER SET {target.charset} COLLATE {target.collation}"
            execute(connection, made)
            create = f"CREATE USER {account} IDENTIFIED BY {literal(password)}{require}"
            execute(connection, create, show=f"CREATE USER {account}")
            execute(connection, f"GRANT ALL PRIVILEGES ON {identifier(name)}.* TO {account}")
            secret = Secret(clear=password)
            changes = {"database": name, "user": name, "password": secret, "admin": None}
            yield target.model_copy(update=changes)
        finally:
            _drop(connection, name, account)


def _drop(connection: TargetConnection, name: str, account: str) -> None:
    execute(connection, f"DROP DATABASE IF EXISTS {identifier(name)}")
    execute(connection, f"DROP USER IF EXISTS {account}")


@check(
    "schema.differences",
    "The two schemas side by side",
    why="Where artisan builds the tables, a narrower column or a stricter rule stops the copy. It is known beforehand.",
    severity="warn",
    remedy="mend it by a migration",
    needs=(SCRATCH,),
)
def side_by_side(ctx: Context) -> Answer:
    if ctx.config.schema_section.mode == "native":
        return skip("the tables are built from the source's schema")
    told: Sequence[Sequence[object]] | None = ctx.fact(f"preflight.{SCRATCH}", "differences")
    if told is None:
        return skip("the migrations could not be tried; the Schema phase compares when they have run")
    findings = [
        finding(
            str(what),
            *([str(remedy)] if remedy else []),
            severity="fail" if blocks else "note",
            table=str(table),
        )
        for table, what, remedy, blocks in told
    ]
    extra = ctx.fact(f"preflight.{SCRATCH}", "extra") or []
    findings += [finding("is only on the target, left alone", severity="note", table=str(name)) for name in extra]
    return found(findings, "the tables artisan builds hold everything the source has")
