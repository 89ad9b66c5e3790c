"""The server's variables: what it has, what may be set there and how, and what would become of a SET statement."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dixis_tui.target import ServerFacts, TargetConnection, TargetError, execute, literal, query

SET = re.compile(
    r"\s*SET\s+(?:(GLOBAL|PERSIST|PERSIST_ONLY|SESSION)\s+|@@(?:GLOBAL|PERSIST)\.)?(\w+)\s*:?=\s*(.+?)\s*;?\s*",
    re.I | re.S,
)
SIZE = re.compile(r"(\d+)\s*([KMGT])", re.I)
NUMBER = re.compile(r"-?\d+(\.\d+)?")

# Variables of MySQL that are gone: since when, and what to do instead.
NO_QUERY_CACHE = "leave it out: the buffer pool keeps pages, and results are cached by the application, as in Redis"
REMOVED = {
    "query_cache_size": ("removed in MySQL 8.0", NO_QUERY_CACHE),
    "query_cache_type": ("removed in MySQL 8.0", NO_QUERY_CACHE),
    "query_cache_limit": ("removed in MySQL 8.0", NO_QUERY_CACHE),
    "innodb_file_format": ("removed in MySQL 8.0", "leave it out: every table has the newer format"),
    "innodb_large_prefix": ("removed in MySQL 8.0", "leave it out: long index keys are always allowed"),
    "expire_logs_days": ("removed in MySQL 8.4", "set binlog_expire_logs_seconds, which takes its place"),
    "innodb_log_file_size": ("removed in MySQL 8.4 and later", "set innodb_redo_log_capacity, which takes its place"),
}

# Errors of the server: no such variable, not of this type, read only, not allowed.
UNKNOWN, WRONG_TYPE, READ_ONLY, DENIED = 1193, 1232, 1238, 1227


@dataclass(frozen=True)
class Setting:
    """A judged SET statement. wrong: why it would fail; works: the statement that does, empty when there is none."""

    text: str
    name: str
    wrong: str
    works: str
    parameter: str


def judged(
    text: str, variables: Mapping[str, str], facts: ServerFacts, may_set: bool, fixed: Collection[str] = ()
) -> Setting:
    """What would become of a SET statement on this server. fixed: variables that only a restart changes."""
    match = SET.fullmatch(text)
    if not match:
        return Setting(text, "", "is no SET statement of one variable", "", "")
    scope, name, raw = (match[1] or "").upper(), match[2].lower(), match[3].strip()
    value = raw.strip("'\"")
    if name not in variables:
        return Setting(text, name, absent(name, facts), "", "")
    good = as_sql(value, variables[name])
    works = "" if name in fixed and facts.mariadb else f"SET {set_verb(facts, fixed=name in fixed)} {name} = {good}"
    wrong = ""
    if name in fixed and scope != "PERSIST_ONLY":
        wrong = f"error {READ_ONLY}: {name} changes only with a restart"
    elif is_number(variables[name]) and in_bytes(value) is not None:
        wrong = f"error {WRONG_TYPE}: {name} takes whole bytes, not {raw}"
    elif is_number(variables[name]) and raw[:1] in "'\"":
        wrong = f"error {WRONG_TYPE}: {name} takes a number, not the text {raw}"
    elif not may_set and scope != "SESSION":
        wrong = f"error {DENIED}: this account may not set it (SYSTEM_VARIABLES_ADMIN); use the parameter group"
    return Setting(text, name, wrong, works, f"{name} = {good}")


def absent(name: str, facts: ServerFacts) -> str:
    """Why a server has no variable of that name."""
    why = REMOVED[name][0] if name in REMOVED and not facts.mariadb else "unknown"
    return f"error {UNKNOWN}: {facts.flavour} {'.'.join(map(str, facts.version))} has no {name} ({why})"


def set_verb(facts: ServerFacts, *, fixed: bool = False) -> str:
    """The word behind SET: MySQL keeps what is set through a restart, MariaDB cannot."""
    return "GLOBAL" if facts.mariadb else "PERSIST_ONLY" if fixed else "PERSIST"


def in_bytes(value: str) -> int | None:
    """A size written as 1G in bytes, None for anything else."""
    match = SIZE.fullmatch(value)
    return int(match[1]) << {"K": 10, "M": 20, "G": 30, "T": 40}[match[2].upper()] if match else None


def is_number(value: str) -> bool:
    return NUMBER.fullmatch(value) is not None


def as_sql(value: str, now: str) -> str:
    """A value as SET takes it; now: the variable's present value, which tells numbers from texts."""
    size = in_bytes(value)
    if size is not None and is_number(now):
        return str(size)
    return value if value.isidentifier() or is_number(value) else literal(value)


def is_so(wanted: str, now: str) -> bool:
    """Whether a variable has the wanted value, however each side writes it."""
    size = in_bytes(wanted)
    wanted, now = str(size) if size is not None and is_number(now) else wanted.strip("'").upper(), now.upper()
    try:
        return float(wanted) == float(now)
    except ValueError:
        return {"1": "ON", "0": "OFF"}.get(wanted, wanted) == {"1": "ON", "0": "OFF"}.get(now, now)


def all_variables(connection: TargetConnection) -> dict[str, str]:
    """Every global variable, by its name in small letters."""
    return {str(name).lower(): str(value) for name, value in query(connection, "SHOW GLOBAL VARIABLES")}


def fixed_of(connection: TargetConnection, names: Collection[str]) -> set[str]:
    """Those of these variables that only a restart changes.

    MySQL has no list of them, so the server is asked to set each in this session alone, to its default: what it says
    tells them apart, and the session ends with the connection.
    """
    fixed = set()
    for name in names:
        try:
            execute(connection, f"SET SESSION {name} = DEFAULT")
        except TargetError as error:
            if error.code == READ_ONLY:
                fixed.add(name)
    return fixed


def may_set(connection: TargetConnection, facts: ServerFacts) -> bool:
    """Whether this account may set global variables."""
    user, _, host = str(query(connection, "SELECT CURRENT_USER()")[0][0]).rpartition("@")
    held = query(
        connection,
        "SELECT privilege_type FROM information_schema.user_privileges WHERE grantee = %s",
        (f"'{user}'@'{host}'",),
    )
    wanted = {"SUPER", "SYSTEM_VARIABLES_ADMIN"} if not facts.mariadb else {"SUPER"}
    return bool(wanted & {str(row[0]).upper() for row in held})


@dataclass(frozen=True)
class Managed:
    """A server of a provider, who keeps its settings: what it is, and the command that changes one there."""

    name: str
    change: str

    def line(self, variable: str, value: str, *, fixed: bool) -> str:
        method = "pending-reboot" if fixed else "immediate"
        return self.change.format(name=variable, value=value, method=method)


_RDS = (
    "aws rds modify-db-parameter-group --db-parameter-group-name GROUP"
    ' --parameters "ParameterName={name},ParameterValue={value},ApplyMethod={method}"'
)
_AURORA = _RDS.replace("db-parameter-group", "db-cluster-parameter-group")
_AZURE = (
    "az mysql flexible-server parameter set --resource-group GROUP --server-name SERVER --name {name} --value {value}"
)
_GOOGLE = (
    "gcloud sql instances patch INSTANCE --database-flags={name}={value}   # name all other flags too: it replaces them"
)


def managed(variables: Mapping[str, str], address: str) -> Managed | None:
    """The provider whose server this is, by where its files lie and what it calls itself; None for a server of one's
    own."""
    said = " ".join(variables.get(name, "") for name in ("version", "version_comment")).lower()
    places = "/".join(variables.get(name, "") for name in ("basedir", "datadir"))
    if "aurora_version" in variables or "aurora" in said:
        return Managed("Amazon Aurora", _AURORA)
    if "/rdsdbbin/" in places or "/rdsdbdata/" in places or address.endswith(".rds.amazonaws.com"):
        return Managed("Amazon RDS", _RDS)
    if "google" in said:
        return Managed("Google Cloud SQL", _GOOGLE)
    if address.endswith(".database.azure.com"):
        return Managed("Azure Database for MySQL", _AZURE)
    return None
