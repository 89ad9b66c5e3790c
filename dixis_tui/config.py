"""The configuration: one TOML file, read into models that refuse what they do not know.

Paths are relative to the file that names them. Secrets are references (environment variable, 0600 file, prompt) and are
resolved when they are first needed, so that a missing password never stops a step that does not use it.
"""

from __future__ import annotations

import codecs
import difflib
import getpass
import os
import stat
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import tomli
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from dixis_tui import expressions
from dixis_tui.model import USAGE, DixisError


class ConfigError(DixisError):
    """The configuration cannot be used; nothing was started."""

    exit_code = USAGE

    def __init__(self, what: str, next_step: str) -> None:
        super().__init__(what, safe="nothing was started or changed", next_step=next_step)


# Checks run side by side; a person is asked once.
_RESOLVING = threading.Lock()


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)


SectionT = TypeVar("SectionT", bound=Section)


def _plain_name(name: str) -> str:
    if not name or len(name) > 64 or any(c in name for c in "`\\/\0") or name != name.strip():
        raise ValueError("a name of 1 to 64 characters without ` \\ / or spaces around it")
    return name


Name = Annotated[str, AfterValidator(_plain_name)]


class Secret(Section):
    """Where a secret comes from; exactly one of the four.

    env: name of an environment variable. file: path of a file only its owner can read (0600 or 0400).
    prompt: ask on the terminal. clear: the secret itself in this file, which is warned about.
    """

    env: str = ""
    file: Path | None = None
    prompt: bool = False
    clear: str = Field(default="", repr=False)
    _value: str | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _text_is_clear(cls, value: Any) -> Any:
        return {"clear": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _exactly_one(self) -> Secret:
        if sum((bool(self.env), self.file is not None, self.prompt, bool(self.clear))) != 1:
            raise ValueError('exactly one of { env = "NAME" }, { file = "PATH" } or { prompt = true }')
        return self

    def resolve(self, what: str) -> str:
        """The secret's value, read once. Raises ConfigError when it is not to be had; what names it for the message."""
        with _RESOLVING:
            if self._value is None:
                self._value = self._read(what)
            return self._value

    @property
    def known(self) -> str | None:
        """The value if it has been resolved; used to keep it out of logs."""
        return self._value or self.clear or None

    def _read(self, what: str) -> str:
        if self.clear:
            return self.clear
        if self.env:
            value = os.environ.get(self.env, "")
            if not value:
                raise ConfigError(f"{what}: the environment variable {self.env} is not set.", f"export {self.env}=…")
            return value
        if self.prompt:
            try:
                return getpass.getpass(f"{what}: ")
            except (EOFError, OSError) as error:
                raise ConfigError(
                    f"{what}: no terminal to ask on.", 'use { env = "NAME" } or { file = "PATH" } instead of a prompt'
                ) from error
        assert self.file is not None
        return read_secret_file(self.file, what)


def read_secret_file(path: Path, what: str) -> str:
    """The first line of a file that only its owner can read. Raises ConfigError otherwise."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise ConfigError(f"{what}: {path} can be read by others (mode {mode:04o}).", f"chmod 600 {path}")
        value = path.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except OSError as error:
        raise ConfigError(f"{what}: cannot read {path}: {error.strerror}.", "create it with mode 0600") from error
    if not value:
        raise ConfigError(f"{what}: {path} is empty.", "write the secret on its first line")
    return value


class Run(Section):
    """[run]: what this migration is called, where its records are kept, and how careful to be."""

    name: str = "dixis"
    environment: Literal["rehearsal", "staging", "production"]
    directory: Path = Path("run")
    operator: str = ""
    window_minutes: int = Field(default=120, ge=5, le=24 * 60)


class People(Section):
    """[people]: who signs. The gate before traffic returns wants two different people."""

    lead: str = ""
    database_review: str = ""
    technical_approval: str = ""


class Source(Section):
    """[source]: the live SQLite database. location "host" means it is read on the application's host."""

    path: str
    location: Literal["local", "host"] = "local"


class Tls(Section):
    """[target.tls]: verify checks the certificate and its name against ca (or the system's store); off is for a socket
    or a rehearsal on this machine only."""

    mode: Literal["verify", "off"] = "verify"
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


class Admin(Section):
    """[target.admin]: an account that may create the database and the application's user; leave it out when both exist.

    client_host: the host part of the application's account, as in 'dixis_user'@'%'.
    """

    user: Name
    password: Secret
    client_host: str = "%"


class Target(Section):
    """[target]: the MySQL or MariaDB server and the application's own account on it."""

    host: str
    port: int = Field(default=3306, ge=1, le=65535)
    database: Name
    user: Name
    password: Secret
    charset: Literal["utf8mb4"] = "utf8mb4"
    collation: str = "utf8mb4_unicode_ci"
    time_zone: str = "+00:00"
    connect_timeout: int = Field(default=7, ge=1, le=300)
    tls: Tls = Tls()
    admin: Admin | None = None


class Ssh(Section):
    """[host.ssh]: how to reach the application's host. Only hosts in known_hosts are trusted."""

    address: str
    port: int = Field(default=22, ge=1, le=65535)
    user: str
    key: Path | None = None
    known_hosts: Path
    connect_timeout: int = Field(default=7, ge=1, le=300)


class Host(Section):
    """[host]: where the application lives: this machine, or one behind SSH when [host.ssh] is given."""

    ssh: Ssh | None = None


class WebHost(Section):
    """[[hosts]]: another web host of the same application, laid out like the first, behind SSH."""

    ssh: Ssh


class App(Section):
    """[app]: the Laravel application on the host.

    autoload: the file that loads its classes, relative to root. config_cache: after a change of .env, rebuild the
    cached configuration ("cache"), remove it ("clear"), or rebuild it where one was found ("as-found"). restart:
    commands that make PHP read new settings; stop_workers, start_workers: commands around the closed shop. down:
    options of `artisan down`; those this Laravel does not know are left out. drain_seconds: how long running requests
    may take to end. timeout: seconds an artisan command may take; migrations have half an hour.
    database_env: how the new .env reaches the target; keys here override what [target] says (a different address from
    the host's side, the path of the CA file there).
    """

    root: str
    php: str = "php"
    autoload: str = "vendor/autoload.php"
    env_file: str = ".env"
    config_cache: Literal["as-found", "cache", "clear"] = "as-found"
    restart: tuple[str, ...] = ()
    stop_workers: tuple[str, ...] = ()
    start_workers: tuple[str, ...] = ()
    down: dict[Annotated[str, Field(pattern=r"^[a-z-]+$")], str] = Field(default_factory=lambda: {"retry": "60"})
    drain_seconds: float = Field(default=2.0, ge=0, le=600)
    timeout: float = Field(default=120.0, gt=0, le=3600)
    database_env: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _no_secret_on_a_command_line(self) -> App:
        if "secret" in self.down:
            raise ValueError("down.secret would stand in the list of processes; leave it out")
        return self


class Url(Section):
    """[[smoke.urls]]: an address the application must answer with this status, and with text in its answer."""

    url: str = Field(pattern=r"^https?://")
    status: int = Field(default=200, ge=100, le=599)
    text: str = ""


class SmokeQuery(Section):
    """[[smoke.queries]]: a SELECT asked of the target; answer: the first value of its first row, as text."""

    title: str = Field(min_length=1)
    sql: str = Field(min_length=1)
    answer: str


class Smoke(Section):
    """[smoke]: what is tried after the switch, while the shop is still closed.

    artisan: commands, without `php artisan`, that must end well; timeout: seconds an address may take to answer.
    """

    artisan: tuple[str, ...] = ()
    urls: tuple[Url, ...] = ()
    queries: tuple[SmokeQuery, ...] = ()
    timeout: float = Field(default=15.0, gt=0, le=300)


class Index(Section):
    """[[schema.indexes]] and [[schema.fulltext]]: an index the plan wants. waive: why it may be left out."""

    name: Name
    table: Name
    columns: tuple[Name, ...] = Field(min_length=1)
    waive: str = ""


class Schema(Section):
    """[schema]: native builds the tables from the source's schema; artisan has the application's migrations do it.

    accept: findings the operator agrees to beforehand, by the id or the kind that schema.findings prints. leave_out:
    foreign keys that are not made because rows refer to nothing, as `table.(column)`, each with who decided it and why.
    """

    mode: Literal["native", "artisan"] = "native"
    accept: tuple[str, ...] = ()
    leave_out: dict[str, str] = Field(default_factory=dict)
    indexes: tuple[Index, ...] = (
        Index(name="idx_products_category_featured", table="products", columns=("category_id", "is_featured")),
        Index(name="idx_products_producer_active", table="products", columns=("producer_id", "is_active")),
        Index(name="idx_orders_user_date", table="orders", columns=("user_id", "created_at")),
        Index(name="idx_shipping_zones_greece", table="shipping_zones", columns=("country", "region")),
    )
    fulltext: tuple[Index, ...] = (
        Index(name="ft_products_name_description", table="products", columns=("name", "description")),
        Index(
            name="ft_producers_business_name_description", table="producers", columns=("business_name", "description")
        ),
    )


class Written(Section):
    """[plan]: the statements and commands of the operators' plan. They are only judged by the checks, never run.

    tuning: SET statements for the server; sql: accounts, indexes and questions; assets: columns that hold paths of
    files; artisan: arguments of `php artisan`; shell: command lines on the application's host.
    """

    tuning: tuple[str, ...] = (
        "SET GLOBAL innodb_buffer_pool_size = '1G'",
        "SET GLOBAL query_cache_size = '256M'",
        "SET GLOBAL max_connections = 200",
        "SET GLOBAL innodb_file_per_table = ON",
        "SET GLOBAL slow_query_log = 'ON'",
        "SET GLOBAL long_query_time = 2",
    )
    sql: tuple[str, ...] = (
        "CREATE DATABASE dixis_production CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        "CREATE USER 'dixis_user'@'%' IDENTIFIED BY 'SECURE_PRODUCTION_PASSWORD'",
        "GRANT ALL PRIVILEGES ON dixis_production.* TO 'dixis_user'@'%'",
        "FLUSH PRIVILEGES",
        "CREATE INDEX idx_products_category_featured ON products (category, is_featured)",
        "CREATE INDEX idx_products_producer_active ON products (producer_id, is_active)",
        "CREATE INDEX idx_orders_user_date ON orders (user_id, created_at)",
        "CREATE INDEX idx_shipping_zones_greece ON shipping_zones (country, region)",
        "ALTER TABLE products ADD FULLTEXT(name, description)",
        "ALTER TABLE producers ADD FULLTEXT(business_name, description)",
        "SELECT 'users' AS table_name, COUNT(*) AS count FROM users UNION ALL SELECT 'products', COUNT(*) FROM products"
        " UNION ALL SELECT 'orders', COUNT(*) FROM orders UNION ALL SELECT 'producers', COUNT(*) FROM producers",
        "SELECT 'orphaned_products' AS issue, COUNT(*) AS count FROM products p"
        " LEFT JOIN producers pr ON p.producer_id = pr.id WHERE pr.id IS NULL",
        "SELECT AVG(total_tax) AS avg_tax FROM orders WHERE total_tax > 0",
    )
    assets: tuple[str, ...] = (
        "products.main_image",
        "producers.logo",
        "producers.covers",
        "categories.icons",
        "users.avatar",
    )
    artisan: tuple[str, ...] = (
        "migrate --force --env=production",
        "migrate:status --env=production",
        "db:export --connection=sqlite --format=sql",
        "db:import --connection=mysql --validate=true",
        "db:verify-integrity",
        "db:check-integrity --quiet",
        'down --message="Database maintenance in progress"',
        "config:clear",
        "cache:clear",
        "up",
    )
    shell: tuple[str, ...] = (
        "chmod -R 755 storage/app/public/",
        "cp database/database.sqlite.backup database/database.sqlite",
        "sed -i 's/DB_CONNECTION=mysql/DB_CONNECTION=sqlite/' .env",
    )


class Group(Section):
    """[[data.groups]]: tables copied together, in the order of the file; tables not there are named, not guessed."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    priority: int = Field(ge=1, le=9)
    tables: tuple[str, ...]


def _group(name: str, title: str, priority: int, tables: str) -> Group:
    return Group(name=name, title=title, priority=priority, tables=tuple(tables.split()))


PLAN_GROUPS = (
    _group(
        "users",
        "Users and authentication",
        1,
        "users roles permissions model_has_roles model_has_permissions role_has_permissions personal_access_tokens"
        " password_reset_tokens addresses",
    ),
    _group(
        "core",
        "Core business data",
        1,
        "producers producer_profiles producer_media businesses business_users categories product_categories products"
        " product_images product_attributes product_attribute_values product_category_relations",
    ),
    _group(
        "financial",
        "Financial data",
        1,
        "orders order_items payments invoices invoice_items invoice_payments quickbooks_tokens",
    ),
    _group(
        "configuration",
        "Configuration data",
        2,
        "shipping_zones shipping_rates delivery_methods postal_code_zones tenants tenant_themes settings",
    ),
)


def zone_of(text: str) -> tzinfo:
    """The time zone of an offset like +02:00 or a name like Europe/Athens. Raises ValueError for anything else."""
    if text[:1] in ("+", "-"):
        return datetime.strptime(text, "%z").tzinfo or UTC
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"{text!r} is no time zone: use an offset like +02:00 or a name like Europe/Athens") from error


class Conversion(Section):
    """[[data.conversions]]: a change of values on their way that the operator wants; no other is ever made.

    column: `table.column`. rule: empty-to-null; iso-datetime (times with T, Z or an offset become times of zone); round
    (to the target's scale); epoch (whole seconds since 1970 become times of zone); charset (text that is not valid
    UTF-8 is read as `from`); quarantine (rows whose value does not fit are set aside in _dixis_quarantine);
    set-orphans-aside (the same for rows whose foreign key on that column leads to no row).
    """

    column: str = Field(pattern=r"^[^.]+\.[^.]+$")
    rule: Literal["empty-to-null", "iso-datetime", "round", "epoch", "charset", "quarantine", "set-orphans-aside"]
    zone: str = "+00:00"
    from_: str = Field(default="", alias="from", pattern=r"^[A-Za-z0-9_-]*$")

    @model_validator(mode="after")
    def _usable(self) -> Conversion:
        zone_of(self.zone)
        if (self.rule == "charset") != bool(self.from_):
            raise ValueError('from = "iso-8859-7" (or another charset) goes with rule = "charset", and only with it')
        if self.from_:
            try:
                codecs.lookup(self.from_)
            except LookupError as error:
                raise ValueError(f"{self.from_!r} is no charset that is known here") from error
        return self

    @property
    def table(self) -> str:
        return self.column.partition(".")[0]

    @property
    def column_name(self) -> str:
        return self.column.partition(".")[2]


class Data(Section):
    """[data]: how rows travel. chunk_rows: rows in one transaction; chunk_mib bounds it for wide rows; streams: how
    many tables, or parts of a large one, are copied at the same time; conversions: changes that are wanted."""

    chunk_rows: int = Field(default=20_000, ge=1, le=1_000_000)
    chunk_mib: int = Field(default=16, ge=1, le=512)
    streams: int = Field(default=2, ge=1, le=16)
    conversions: tuple[Conversion, ...] = ()
    groups: tuple[Group, ...] = PLAN_GROUPS


class Assets(Section):
    """[assets]: files to bring along.

    source: a folder here; destination: the folder on the application's host, relative to its root; owner: user:group to
    give them, empty to leave the owner alone; columns: `table.column` holding asset paths, JSON lists of them, or
    addresses below APP_URL/storage or one of urls. bandwidth_kib: KiB a second rsync may use, 0 for all there is;
    timeout: seconds of silence after which it gives up; delete: remove what only the host has, once it was typed.
    """

    source: Path
    destination: str = "storage/app/public"
    owner: str = Field(default="", pattern=r"^([A-Za-z0-9_][A-Za-z0-9_.-]*)?(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?$")
    directory_mode: str = Field(default="755", pattern=r"^[0-7]{3,4}$")
    file_mode: str = Field(default="644", pattern=r"^[0-7]{3,4}$")
    columns: tuple[Annotated[str, Field(pattern=r"^[^.]+\.[^.]+$")], ...] = ()
    urls: tuple[str, ...] = ()
    bandwidth_kib: int = Field(default=0, ge=0)
    timeout: int = Field(default=60, ge=1, le=3600)
    delete: bool = False


class Vat(Section):
    """[vat]: where the tax of an order is kept, what it is counted from, and the rates it may follow, in per cent."""

    table: Name = "orders"
    tax: Name = "tax_amount"
    base: Name = "subtotal"
    total: Name = "total_amount"
    rates: tuple[float, ...] = (24.0, 13.0)


class Query(Section):
    """[[validation.queries]]: a question asked of both sides, whose answers must be the same; sql: one SELECT that both
    read; target_sql: where the target needs other words."""

    title: str = Field(min_length=1)
    sql: str = Field(min_length=1)
    target_sql: str = ""


class Validation(Section):
    """[validation]: the functional tests a person performs and signs; probe_tables: tables the application is asked to
    count through its own connection; queries: asked of both sides besides the plan's own; max_load: the share of the
    server's connections that may be at work for others before a comparison waits, 0 for no limit."""

    functional: tuple[str, ...] = (
        "User authentication and registration",
        "Product catalog browsing",
        "Multi-producer cart functionality",
        "B2B wholesale pricing",
        "Adoption marketplace features",
        "Greek VAT tax calculations",
        "SEPA payment processing",
        "Invoice generation",
        "Email notifications",
    )
    probe_tables: tuple[str, ...] = ("users", "products", "orders", "producers")
    queries: tuple[Query, ...] = ()
    max_load: float = Field(default=0.0, ge=0, le=1)


class Backup(Section):
    """[backup]: where copies are kept on this machine, and how old the newest may be."""

    directory: Path = Path("backups")
    max_age_hours: int = Field(default=24, ge=1)


class Watch(Section):
    """[watch]: the thresholds of the week after."""

    response_ms: float = Field(default=100.0, gt=0)
    slow_query_seconds: float = Field(default=2.0, gt=0)
    connections_percent: float = Field(default=80.0, gt=0, le=100)


def _column_type(text: str) -> str:
    return expressions.column_type(text)


def _column_names(types: dict[str, str]) -> dict[str, str]:
    for name in types:
        if not all(name.rpartition(".")[::2]):
            raise ValueError(f'{name!r} is not of the form "table.column"')
    return types


# [types]: the type of a column on the target, by "table.column", instead of the one the console would choose.
Types = Annotated[dict[str, Annotated[str, AfterValidator(_column_type)]], AfterValidator(_column_names)]


# [names]: what a table or column is called on the target, by "table" or "table.column", instead of the source's name.
Names = dict[str, Name]


class Config(Section):
    """The whole file."""

    run: Run
    people: People = People()
    source: Source
    target_section: Target | None = Field(alias="target")
    host: Host = Host()
    hosts: tuple[WebHost, ...] = ()
    app: App
    smoke: Smoke = Smoke()
    schema_section: Schema = Field(default=Schema(), alias="schema")
    types: Types = Field(default_factory=dict)
    names: Names = Field(default_factory=dict)
    data: Data = Data()
    assets: Assets | None = None
    vat: Vat = Vat()
    validation: Validation = Validation()
    plan: Written = Written()
    backup: Backup = Backup()
    watch: Watch = Watch()

    @property
    def target(self) -> Target:
        """The [target] section. Raises ConfigError when the file was read for a rollback and that section is broken."""
        if self.target_section is None:
            raise ConfigError(
                "The [target] section of the configuration cannot be used.", "mend it; rollback works without"
            )
        return self.target_section

    def known_secrets(self) -> Iterator[str]:
        """Every secret resolved so far, for the redactor."""
        target = self.target_section
        secrets = [] if target is None else [target.password, target.admin.password if target.admin else None]
        return (secret.known for secret in secrets if secret is not None and secret.known)

    def ask_for_secrets(self) -> None:
        """Ask now for what would be prompted for later: once the console has the terminal, nothing else can."""
        target = self.target_section
        if target is not None and target.password.prompt:
            target.password.resolve(f"password of {target.user}")
        if target is not None and target.admin is not None and target.admin.password.prompt:
            target.admin.password.resolve(f"password of {target.admin.user}")

    def clear_secrets(self) -> list[str]:
        """Keys whose secret stands in the file in clear."""
        target = self.target_section
        found: dict[str, Secret | None] = {}
        if target is not None:
            found["target.password"] = target.password
            found["target.admin.password"] = target.admin.password if target.admin else None
        return [key for key, secret in found.items() if secret is not None and secret.clear]


def load(path: Path, *, rollback: bool = False) -> Config:
    """Read and check the configuration.

    rollback: only what taking the application back needs must be sound; a broken [target] or any other section, and
    lines that are no TOML, are let pass. Raises ConfigError that names the file, line, key and what would be right.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(
            f"Cannot read the configuration {path}: {reason}.",
            "give its path with --config, or copy config.example.toml and fill it in",
        ) from error
    try:
        return _validate(_parse(text, path), path)
    except ConfigError:
        if not rollback:
            raise
        values = _parse(text, path, skip_broken_lines=True)
        return _validate({"target": None, **{key: values[key] for key in NEEDED_TO_GO_BACK if key in values}}, path)


def _parse(text: str, path: Path, *, skip_broken_lines: bool = False) -> dict[str, Any]:
    lines = text.split("\n")
    while True:
        try:
            return tomli.loads("\n".join(lines))
        except tomli.TOMLDecodeError as error:
            if not skip_broken_lines or not any(lines):
                next_step = "mend that line; text values stand in quotes"
                raise ConfigError(f"{path} is not TOML: {error}.", next_step) from error
            broken = min(error.lineno, len(lines)) - 1
            while broken and not lines[broken]:
                broken -= 1  # an error at the end of a text begins above it
            lines[broken] = ""


NEEDED_TO_GO_BACK = ("run", "source", "host", "hosts", "app")


def _validate(values: dict[str, Any], path: Path) -> Config:
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        problems = [_problem(dict(item), values, path) for item in error.errors()]
        more = [f"  {problem}" for problem in problems]
        raise ConfigError(
            f"{path} cannot be used:\n" + "\n".join(more), "mend the lines named; see config.example.toml"
        ) from error
    base = path.resolve().parent
    config = _with_absolute_paths(config, base)
    if config.source.location == "local":
        local = str((base / Path(config.source.path).expanduser()).resolve())
        config = config.model_copy(update={"source": config.source.model_copy(update={"path": local})})
    return config


def _with_absolute_paths(section: SectionT, base: Path) -> SectionT:
    """The same models with every Path made absolute, counted from the folder of the file; ~ is the user's home."""
    changes: dict[str, Any] = {}
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, Path):
            changes[name] = (base / value.expanduser()).resolve()
        elif isinstance(value, Section):
            changes[name] = _with_absolute_paths(value, base)
        elif isinstance(value, tuple) and any(isinstance(one, Section) for one in value):
            changes[name] = tuple(_with_absolute_paths(one, base) for one in value)
    return section.model_copy(update=changes) if changes else section


def _problem(item: dict[str, Any], values: dict[str, Any], path: Path) -> str:
    location = [part for part in item["loc"] if part not in ("function-before", "function-after")]
    key = ".".join(str(part) for part in location)
    line = line_of(path.read_text(encoding="utf-8"), location)
    where = f"line {line}: " if line else ""
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(location[-1]), _siblings(location[:-1]), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "known keys: " + ", ".join(_siblings(location[:-1]))
        return f"{where}{key}: there is no such key; {hint}"
    if item["type"] == "missing":
        return f"{where}{key}: this key is needed"
    return f"{where}{key}: {item['msg'].removeprefix('Value error, ')}"


def _siblings(location: list[Any]) -> list[str]:
    """Names of the keys a section takes; location is the path of the section in the file."""
    model: Any = Config
    for part in location:
        if isinstance(part, int):
            continue
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        model = next(_models_in(fields[part].annotation), Section) if part in fields else Section
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_in(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def line_of(text: str, location: list[Any]) -> int | None:
    """The line (from 1) on which a key, or else the nearest section around it, stands in a TOML text."""
    seen: dict[str, int] = {}
    section = ""
    found: int | None = None
    best = 0
    wanted = [str(part) for part in location]
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped.startswith("[["):
            name = stripped.strip("[] ").partition("]")[0].strip()
            seen[name] = seen.get(name, -1) + 1
            section = f"{name}.{seen[name]}"
            here = section.split(".")
        elif stripped.startswith("["):
            section = stripped[1:].partition("]")[0].strip()
            here = section.split(".")
        elif "=" in stripped and not stripped.startswith("#"):
            key = stripped.partition("=")[0].strip().strip('"')
            here = [*section.split("."), *key.split(".")] if section else key.split(".")
        else:
            continue
        if len(here) > best and wanted[: len(here)] == here:
            best, found = len(here), number
    return found
