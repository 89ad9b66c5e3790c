"""Checks of the plan itself: which of its statements would fail on this server and this Laravel, and what works."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sqlglot import exp, parse
from sqlglot.errors import OptimizeError, SqlglotError
from sqlglot.optimizer.scope import Scope, traverse_scope

from checks.env import ARTISAN
from checks.registry import Answer, check, finding, found, problem, skip
from checks.shared import APPLICATION, HOST, PLANNED, SCAN, SERVER, planned, server
from dixis_tui.config import Index
from dixis_tui.context import Context
from dixis_tui.hosts import envfile, laravel
from dixis_tui.hosts.host import join
from dixis_tui.model import Finding
from dixis_tui.phrase import counted
from dixis_tui.schemas import structure
from dixis_tui.schemas.catalogue import SourceSchema, Table
from dixis_tui.schemas.nearest import nearest
from dixis_tui.schemas.readings import read_source
from dixis_tui.schemas.rows import TEXT_KINDS
from dixis_tui.server import variables
from dixis_tui.server.variables import judged
from dixis_tui.target import query, server_facts

INDEX = re.compile(
    r"(?:CREATE\s+INDEX\s+`?(?P<name>\w+)`?\s+ON\s+`?(?P<table>\w+)`?"
    r"|ALTER\s+TABLE\s+`?(?P<altered>\w+)`?\s+ADD\s+FULLTEXT(?:\s+(?:KEY|INDEX))?)\s*\((?P<columns>[^()]+)\);?",
    re.I,
)
OWN_ENGINE = {
    "db:export": "the phase Data reads the snapshot itself",
    "db:import": "the phase Data writes the rows, each chunk with its checkpoint",
    "db:verify-integrity": "the phase Validation compares, as does `dixis verify`",
    "db:check-integrity": "the phase Validation looks for orphans, as does `dixis verify`",
}
GONE_OPTIONS = {("down", "message"): "removed in Laravel 8"}


def toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def list_of(key: str, values: Iterable[str]) -> tuple[str, ...]:
    """The lines of a list under [plan]."""
    return ("[plan]", f"{key} = [{', '.join(map(toml, values))}]")


# Tuning


@check(
    "plan.tuning",
    "The plan's tuning statements",
    why="A variable that is gone, or a size written as 1G, is an error at the worst hour. Without PERSIST the value is"
    " lost at the next restart.",
    severity="warn",
    remedy="use the working form, or the parameter group of a managed server",
    needs=(SERVER,),
)
def tuning(ctx: Context) -> Answer:
    wanted = ctx.config.plan.tuning
    with server(ctx) as connection:
        facts = server_facts(connection)
        there = variables.all_variables(connection)
        allowed = variables.may_set(connection, facts)
        named = [match[2].lower() for match in map(variables.SET.fullmatch, wanted) if match]
        fixed = variables.fixed_of(connection, [name for name in named if name in there])
    settings = [judged(text, there, facts, allowed, fixed) for text in wanted]
    working = [one.works or None for one in settings]
    better = list_of("tuning", [works for works in working if works])
    findings = []
    for one in settings:
        if one.wrong:
            apply = [f"{one.works};", f"-- or in the parameter group: {one.parameter}"] if one.works else []
            dropped = [] if one.works else ["# leave it out:"]
            findings.append(finding(f"{one.text}: {one.wrong}", *dropped, *better, *(["or", *apply] if apply else [])))
        elif not variables.is_so(one.works.rpartition("= ")[2], there[one.name]):
            text = f"{one.name} is {there[one.name]} now"
            findings.append(finding(text, f"{one.works};", severity="note"))
    return found(findings, f"{len(settings)} settings, all as wanted", *(f"{one.text}" for one in settings))


# Indexes


@check(
    "plan.indexes",
    "The plan's indexes",
    why="An index on a column that is not there is an error in the window; one that exists under another name is work"
    " for nothing.",
    severity="warn",
    remedy="name the real column, or waive the index with a reason",
    needs=(PLANNED,),
)
def indexes(ctx: Context) -> Answer:
    wanted = ctx.config.schema_section.indexes
    return found(
        _indexes(ctx, wanted, "schema.indexes", fulltext=False),
        f"{counted(len(wanted), 'index', 'indexes')} can be made",
    )


@check(
    "plan.fulltext",
    "The plan's full-text keys",
    why="A full-text key wants columns of text that all have one collation.",
    severity="warn",
    remedy="name the real columns, or waive the key with a reason",
    needs=(PLANNED,),
)
def fulltext(ctx: Context) -> Answer:
    wanted = ctx.config.schema_section.fulltext
    return found(_indexes(ctx, wanted, "schema.fulltext", fulltext=True), f"{len(wanted)} full-text keys can be made")


def _indexes(ctx: Context, wanted: Sequence[Index], key: str, *, fulltext: bool) -> Iterator[Finding]:
    plan = planned(ctx)
    told = [(index, *_judge_index(plan.schema, index, fulltext)) for index in wanted]
    collations = {
        (table.name, column.name): column.collation
        for table in (plan.translation.tables if plan.translation else ())
        for column in table.columns
    }
    better = [_mended(index, plan.schema, wrong) for index, wrong, _ in told]
    remedy = [line for index in better for line in _index_lines(key, index)]
    for index, wrong, there in told:
        if fulltext and not wrong:
            mixed = {collations.get((index.table, column), "") for column in index.columns}
            if len(mixed) > 1:
                wrong = f"error 1283: its columns have different collations ({', '.join(sorted(filter(None, mixed)))})"
            kinds = {column.name: column.kind for column in plan.targets.get(index.table, ())}
            if other := [column for column in index.columns if kinds.get(column, "text") not in TEXT_KINDS - {"json"}]:
                wrong = f"error 1283: {', '.join(other)} is no column of text"
        if index.waive:
            yield finding(f"{index.name}: waived: {index.waive}", severity="note", table=index.table)
        elif wrong:
            yield finding(f"{index.name}: {wrong}", *remedy, table=index.table, column=", ".join(index.columns))
        elif there:
            yield finding(f"{index.name}: there already, as {there}", severity="note", table=index.table)


def _judge_index(source: SourceSchema, index: Index, fulltext: bool) -> tuple[str, str]:
    """Why an index cannot be made, and the name of an equal one that is there."""
    table = source.table(index.table)
    if table is None:
        near = nearest(index.table, [one.name for one in source.tables])
        return f"error 1146: there is no table {index.table}{_or_nearest(near)}", ""
    names = [column.name for column in table.columns]
    missing = [column for column in index.columns if table.column(column) is None]
    if missing:
        told = ", ".join(f"{column}{_or_nearest(nearest(column, names))}" for column in missing)
        return f"error 1072: {index.table} has no column {told}", ""
    wanted = tuple(column.lower() for column in index.columns)
    for other in table.indexes:
        equal = tuple(column.lower() for column in other.columns) == wanted and not other.where and not fulltext
        if equal:
            return "", other.name
        if other.name.lower() == index.name.lower():
            return f"error 1061: the name is taken by an index on ({', '.join(other.columns)})", ""
    return "", ""


def _or_nearest(names: Sequence[str]) -> str:
    return f" (nearest: {', '.join(names)})" if names else " (nothing alike)"


def _mended(index: Index, source: SourceSchema, wrong: str) -> Index:
    """The index with the nearest real columns, or waived where there are none."""
    if not wrong or index.waive:
        return index
    table = source.table(index.table)
    if table is not None:
        names = [column.name for column in table.columns]
        near = [column if table.column(column) else next(iter(nearest(column, names)), "") for column in index.columns]
        mended = index.model_copy(update={"columns": tuple(near)})
        if all(near) and not _judge_index(source, mended, fulltext=False)[0]:
            return mended
    return index.model_copy(update={"waive": "the shop has no such columns"})


def _index_lines(key: str, index: Index) -> Iterator[str]:
    yield f"[[{key}]]"
    yield f"name = {toml(index.name)}"
    yield f"table = {toml(index.table)}"
    yield f"columns = [{', '.join(map(toml, index.columns))}]"
    if index.waive:
        yield f"waive = {toml(index.waive)}"


# Columns and tables that the configuration names


@check(
    "plan.columns",
    "Tables and columns the configuration names",
    why="The plan speaks of columns that are called otherwise in the shop: a check of them would find nothing and look"
    " like success.",
    severity="warn",
    remedy="name the real column",
    needs=(SCAN,),
)
def columns(ctx: Context) -> Answer:
    source, _ = read_source(ctx)
    return found([*_asset_columns(ctx, source), *_vat(ctx, source), *_tables(ctx, source)], "all of them are there")


def _asset_columns(ctx: Context, source: SourceSchema) -> Iterator[Finding]:
    configured = ctx.config.assets.columns if ctx.config.assets else ()
    for section, key, wanted in (("assets", "columns", configured), ("plan", "assets", ctx.config.plan.assets)):
        yield from _paths(source, section, key, wanted)


def _paths(source: SourceSchema, section: str, key: str, wanted: Sequence[str]) -> Iterator[Finding]:
    """Columns of a list that are not there; the remedy is the list of those that are, or are nearest."""
    better = []
    wrong = []
    for name in wanted:
        told, near = _column(source, *name.rpartition(".")[::2])
        if told:
            wrong.append((name, told))
        if near or not told:
            better.append(near or name)
    listed = f"{key} = [{', '.join(map(toml, dict.fromkeys(better)))}]"
    for name, told in wrong:
        table, _, column = name.rpartition(".")
        yield finding(f"[{section}] {key}: {told}", f"[{section}]", listed, table=table, column=column)


def _column(source: SourceSchema, table: str, column: str) -> tuple[str, str]:
    """Why a column is not there, and the nearest one, as table.column; empty for one that is."""
    there = source.table(table)
    if there is None:
        near = nearest(table, [one.name for one in source.tables])
        return f"there is no table {table}{_or_nearest(near)}", ""
    if there.column(column) is not None:
        return "", ""
    near = nearest(column, [one.name for one in there.columns])
    return f"{table} has no column {column}{_or_nearest(near)}", f"{table}.{near[0]}" if near else ""


def _vat(ctx: Context, source: SourceSchema) -> Iterator[Finding]:
    vat = ctx.config.vat
    if source.table(vat.table) is None:
        yield finding(f"[vat] there is no table {vat.table}", table=vat.table)
        return
    for key, column in (("tax", vat.tax), ("total", vat.total)):
        told, near = _column(source, vat.table, column)
        if told:
            remedy = ("[vat]", f"{key} = {toml(near.rpartition('.')[2])}") if near else ()
            yield finding(f"[vat] {key}: {told}", *remedy, table=vat.table, column=column)


def _tables(ctx: Context, source: SourceSchema) -> Iterator[Finding]:
    for table in ctx.config.validation.probe_tables:
        if source.table(table) is None:
            yield finding(f"[validation] probe_tables: there is no table {table}", severity="note", table=table)
    for group in ctx.config.data.groups:
        for table in group.tables:
            if source.table(table) is None:
                text = f"[[data.groups]] {group.name}: there is no table {table}"
                yield finding(text, severity="note", table=table)


# SQL


@check(
    "plan.sql",
    "The plan's SQL",
    why="A question about a column that is called otherwise is an error, and an account cannot be granted anything"
    " before it is there.",
    severity="warn",
    remedy="use the working form",
    needs=(SCAN, SERVER),
)
def sql(ctx: Context) -> Answer:
    source, _ = read_source(ctx)
    wanted = ctx.config.plan.sql
    told = list(_sql(ctx, wanted, source))
    better = list_of("sql", [works for text, works in _working(wanted, told) if works])
    findings = [
        finding(f"{_brief(text)}: {wrong}", *better, *([] if not works else ["or", f"{works};"]))
        for text, wrong, works in told
    ]
    return found(findings, f"{counted(len(wanted), 'statement')} would work")


def _working(wanted: Sequence[str], told: Sequence[tuple[str, str, str]]) -> Iterator[tuple[str, str]]:
    """Each statement with the form of it that works, empty where it is to be left out."""
    mends = {text: works for text, _, works in told}
    return ((text, mends.get(text, text)) for text in wanted)


def _brief(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 90 else line[:89] + "…"


def _sql(ctx: Context, wanted: Sequence[str], source: SourceSchema) -> Iterator[tuple[str, str, str]]:
    """Statements that would not work: the text, why, and the form that does."""
    made: set[str] = set()
    for text in wanted:
        upper = text.strip().upper()
        account = re.search(r"(?:TO|USER(?:\s+IF\s+NOT\s+EXISTS)?)\s+('[^']*'@'[^']*'|'[^']*')", text, re.I)
        if upper.startswith("CREATE USER") and account:
            made.add(account[1])
        elif upper.startswith("GRANT"):
            if re.search(r"\bIDENTIFIED\s+BY\b", text, re.I):
                works = re.sub(r"\s+IDENTIFIED\s+BY\s+'[^']*'", "", text, flags=re.I)
                who = account[1] if account else "'…'@'…'"
                yield text, f"error 1064: a GRANT makes no account; first CREATE USER {who} IDENTIFIED BY '…'", works
            elif account and account[1] not in made and not _account_is_there(ctx, account[1]):
                yield text, f"error 1410: {account[1]} is not there; CREATE USER comes first", ""
        elif upper.startswith("FLUSH PRIVILEGES"):
            yield text, "not needed after GRANT, deprecated, and error 1227 without RELOAD", ""
        elif made_index := INDEX.fullmatch(text.strip()):
            yield from _index(text, made_index, source)
        elif upper.startswith(("SELECT", "WITH", "(")):
            wrong, works = _question(text, source)
            if wrong:
                yield text, wrong, works


def _index(text: str, made: re.Match[str], source: SourceSchema) -> Iterator[tuple[str, str, str]]:
    """What is wrong with a statement that makes an index, and the form of it that works."""
    columns = tuple(part.strip(" `") for part in made["columns"].split(","))
    fulltext = made["altered"] is not None
    index = Index(name=made["name"] or "fulltext", table=made["table"] or made["altered"], columns=columns)
    wrong, there = _judge_index(source, index, fulltext)
    if there:
        yield text, f"an equal index is there already, as {there}", ""
    elif wrong:
        mended = _mended(index, source, wrong)
        works = "" if mended.waive else text.replace(made["columns"], ", ".join(mended.columns))
        yield text, wrong, works


def _account_is_there(ctx: Context, account: str) -> bool:
    with server(ctx) as connection:
        found = query(
            connection, "SELECT 1 FROM information_schema.user_privileges WHERE grantee = %s LIMIT 1", (account,)
        )
    return bool(found)


def _question(text: str, source: SourceSchema) -> tuple[str, str]:
    """Why a SELECT would fail on the shop's tables, and the statement with the nearest names in their place."""
    try:
        made = parse(text, read="mysql")[0]
        scopes = traverse_scope(made) if made is not None else []
    except (SqlglotError, OptimizeError) as error:
        return f"error 1064: {str(error).splitlines()[0]}", ""
    wrong: list[str] = []
    mendable = True
    for scope in scopes:
        for told, near in _names_of(scope, source):
            wrong.append(told)
            mendable = mendable and near
    works = made.sql("mysql") if wrong and mendable and made is not None else ""
    return "; ".join(dict.fromkeys(wrong)), works


def _names_of(scope: Scope, source: SourceSchema) -> Iterator[tuple[str, bool]]:
    """Names in a SELECT that are not there; each is replaced by the nearest where there is one."""
    tables: dict[str, Table] = {}
    for alias, one in scope.sources.items():
        if not isinstance(one, exp.Table):
            return  # a subquery in FROM gives columns of its own making
        there = source.table(one.name)
        if there is None:
            near = nearest(one.name, [table.name for table in source.tables])
            if near:
                one.this.replace(exp.to_identifier(near[0]))
            yield f"error 1146: there is no table {one.name}{_or_nearest(near)}", bool(near)
            return
        tables[alias] = there
    known = {one.alias.lower() for one in scope.expression.find_all(exp.Alias)}
    for column in scope.columns:
        candidates = [tables[column.table]] if column.table in tables else list(tables.values())
        if any(table.column(column.name) for table in candidates) or column.name.lower() in known or not candidates:
            continue
        names = [one.name for table in candidates for one in table.columns]
        near, name = nearest(column.name, names), column.name
        if near:
            column.this.replace(exp.to_identifier(near[0]))
        where = " or ".join(table.name for table in candidates)
        yield f"error 1054: {where} has no column {name}{_or_nearest(near)}", bool(near)


# artisan and shell


@check(
    "plan.artisan",
    "The plan's artisan commands",
    why="A command or an option that this Laravel does not have ends the step that needs it. The application itself is"
    " asked what it knows.",
    severity="warn",
    remedy="use the working form; the console's own steps take the place of commands that are not there",
    needs=(ARTISAN,),
)
def artisan(ctx: Context) -> Answer:
    wanted = ctx.config.plan.artisan
    done = ctx.app_host.run(laravel.command(ctx, "list", "--format=json"), cwd=ctx.config.app.root, timeout=60)
    done.check("artisan list")
    known: dict[str, set[str]] = {
        one["name"]: set(one["definition"]["options"] or ()) for one in json.loads(done.stdout)["commands"]
    }
    told = []
    for text in wanted:
        wrong, works = _judge_artisan(ctx, text, known)
        if wrong:
            told.append((text, wrong, works))
    better = list_of("artisan", [works for _, works in _working(wanted, told) if works])
    findings = []
    for text, wrong, works in told:
        remedy = [*better, *(["or", f"php artisan {works}"] if works else [])]
        findings.append(finding(f"php artisan {text}: {wrong}", *remedy))
    return found(findings, f"{counted(len(wanted), 'command')} would work")


def _judge_artisan(ctx: Context, text: str, known: Mapping[str, set[str]]) -> tuple[str, str]:
    """Why an artisan command would fail or mislead, and the form that works."""
    name, *arguments = shlex.split(text)
    if name not in known:
        own = OWN_ENGINE.get(name)
        near = nearest(name.replace(":", "_"), [one.replace(":", "_") for one in known]) if not own else []
        return f"there is no such command; {own or 'the application does not have it' + _or_nearest(near)}", ""
    wrong, kept = [], []
    for argument in arguments:
        option = argument.removeprefix("--").partition("=")[0]
        if not argument.startswith("--") or option in known[name] or option in ("quiet", "no-interaction"):
            kept.append(argument)
        else:
            why = GONE_OPTIONS.get((name, option), "this Laravel does not have it")
            wrong.append(f'the "--{option}" option does not exist ({why})')
    if name == "down" and wrong:
        kept += [f"--{option}=60" for option in ("retry",) if option in known[name]]
        wrong.append("there are " + ", ".join(f"--{one}" for one in ("render", "retry", "refresh", "secret")))
    environment = next((one.partition("=")[2] for one in arguments if one.startswith("--env=")), "")
    if environment:
        file = f".env.{environment}"
        if ctx.app_host.stat(join(ctx.config.app.root, file)) is None:
            wrong.append(f"{file} is not there, so --env={environment} silently means .env")
            kept = [one for one in kept if not one.startswith("--env=")]
    return "; ".join(wrong), " ".join([name, *map(shlex.quote, kept)]) if wrong else ""


@check(
    "plan.shell",
    "The plan's shell commands",
    why="sed ends well without changing anything, chmod makes images executable, and cp of a live database misses what"
    " its log holds.",
    severity="warn",
    remedy="the console's own steps do these, safely",
    needs=(HOST, APPLICATION),
)
def shell(ctx: Context) -> Answer:
    wanted = ctx.config.plan.shell
    if not wanted:
        return skip("[plan] shell is empty")
    told = [(text, wrong) for text in wanted if (wrong := _judge_shell(ctx, text))]
    fine = [text for text in wanted if text not in {one for one, _ in told}]
    return found(
        (finding(f"{text}: {wrong}", *list_of("shell", fine)) for text, wrong in told),
        f"{counted(len(wanted), 'command is', 'commands are')} sound",
    )


def _judge_shell(ctx: Context, text: str) -> str:
    words = shlex.split(text)
    if words[0] == "sed" and any("-i" in word for word in words) and words[-1].endswith(".env"):
        return _judge_sed(ctx, text)
    if words[0] == "chmod" and "-R" in words and any(re.fullmatch(r"0?[0-7]{3}", word) for word in words):
        mode = next(word for word in words if re.fullmatch(r"0?[0-7]{3}", word))
        if int(mode, 8) & 0o111:
            return "makes every file executable; the phase Assets gives folders 755, files 644, and .env stays 640"
    if words[0] in ("cp", "mv") and any(".sqlite" in word for word in words[1:]):
        return (
            "a copy of a live database misses or mixes its write-ahead log; the rollback keeps SQLite's own file, and"
            " puts back a snapshot that was checked only when it is damaged"
        )
    return ""


def _judge_sed(ctx: Context, text: str) -> str:
    told = ["ends with 0 whether or not anything matched"]
    path = laravel.env_path(ctx)
    env = laravel.read_env(ctx)
    words = [word for word in shlex.split(text) if re.match(r"s(\W).+\1", word)]
    pattern = re.match(r"s(\W)(.+?)\1", words[0]) if words else None
    if pattern and pattern[2] not in env:
        key = pattern[2].partition("=")[0]
        now = envfile.values(env).get(key)
        told.append(f"nothing in .env matches {pattern[2]} now" + (f" ({key} is {now})" if now else ""))
    if ctx.app_host.run(["test", "-L", path]).returncode == 0:
        told.append(".env is a link, which it would replace by a file")
    if laravel.ask(ctx, tables=()).config_cached:
        told.append("the configuration is cached, so it would have no effect")
    told.append("the cutover and the rollback parse .env and replace it whole, with its mode and owner")
    return "; ".join(told)


@check(
    "plan.names",
    "Nothing is in the way on the target",
    why="Tables of somebody else in the target's database would be met in the middle of the window.",
    severity="warn",
    remedy='use an empty database: [target] database = "…"',
    needs=(SERVER, SCAN),
)
def names(ctx: Context) -> Answer:
    database = ctx.config.target.database
    source, _ = read_source(ctx)
    mine = {table.name.lower() for table in source.tables} | {view.lower() for view in source.views}
    with server(ctx) as connection:
        there = [
            str(row[0])
            for row in query(
                connection, "SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (database,)
            )
        ]
    others = sorted(name for name in there if name.lower() not in mine and not name.startswith(structure.OWN))
    if others and ctx.config.schema_section.mode == "native":
        return problem(f"{database} holds {counted(len(others), 'table')} not of the shop: {', '.join(others[:8])}")
    return found((), f"{counted(len(there), 'table')} in {database}, none of somebody else")
