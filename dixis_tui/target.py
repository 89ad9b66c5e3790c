"""The target: connections to a MySQL or MariaDB server that trust nothing they have not checked.

Only the loader's own connection has LOAD DATA LOCAL switched on, and it serves the stream being sent and nothing else.
"""

from __future__ import annotations

import io
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import pymysql
from pymysql.connections import Connection, MySQLResult
from pymysql.constants import CR, ER

from dixis_tui import config
from dixis_tui.model import DixisError
from dixis_tui.patience import PatientReader
from dixis_tui.ran import Kind, ran

if TYPE_CHECKING:
    _Connection = Connection[Any]
else:
    _Connection = Connection

Flavour = Literal["MySQL", "MariaDB"]
Row = tuple[Any, ...]

SQL_MODE = (
    "STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION"
)
OLDEST: Mapping[Flavour, tuple[int, int]] = {"MySQL": (8, 0), "MariaDB": (10, 6)}
# A server that refuses one more connection works on those it has.
BUSY = (ER.CON_COUNT_ERROR, ER.TOO_MANY_USER_CONNECTIONS, ER.USER_LIMIT_REACHED)
# Statements that change nothing but how this session behaves.
OF_THE_SESSION = ("SET NAMES ", "SET SESSION ", "START TRANSACTION ")
# Bytes of a stream sent in one packet; larger ones measured no faster.
PACKET = 1 << 20
FACTS = (
    "version version_comment local_infile max_allowed_packet innodb_page_size character_set_server collation_server"
    " sql_mode lower_case_table_names innodb_strict_mode innodb_default_row_format sql_require_primary_key"
    " explicit_defaults_for_timestamp time_zone read_only super_read_only"
)


class TargetError(DixisError):
    """The target server could not be asked, or answered no. code: the server's error number, 0 when it has none."""

    def __init__(self, what: str, *, safe: str = "", next_step: str = "", code: int = 0) -> None:
        super().__init__(what, safe=safe, next_step=next_step)
        self.code = code

    @property
    def lost(self) -> bool:
        """Whether there is no connection any more, or none came about; else the server has answered no."""
        return self.code in (CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, 0)


class _RefuseClearPassword:
    """Stands in for the plugin by which a server asks for the password as it is."""

    def __init__(self, connection: object) -> None:
        pass

    def authenticate(self, packet: object) -> object:
        raise TargetError(
            "The server asked for the password in clear, which is refused.",
            safe="the password was not sent",
            next_step="check that this is your server; let the account use caching_sha2_password",
        )


@dataclass(frozen=True)
class ServerFacts:
    """What the server is. version: numbers only; tls: cipher in use, empty without; variables: by name, as text."""

    flavour: Flavour
    version: tuple[int, ...]
    version_text: str
    tls: str
    variables: Mapping[str, str]

    @property
    def mariadb(self) -> bool:
        return self.flavour == "MariaDB"

    @property
    def supported(self) -> bool:
        return self.version[:2] >= OLDEST[self.flavour]

    @property
    def local_infile(self) -> bool:
        return self.variables.get("local_infile", "OFF").upper() in ("ON", "1")

    @property
    def one_case(self) -> bool:
        """True when names of tables do not tell upper from lower case."""
        return self.variables.get("lower_case_table_names", "0") != "0"

    @property
    def max_allowed_packet(self) -> int:
        """Bytes."""
        return int(self.variables.get("max_allowed_packet", str(4 << 20)))


def identifier(name: str) -> str:
    """A name in backquotes."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A text as an SQL literal, safe in the sql_mode of our sessions."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''").replace("\0", "\\0") + "'"


def tls_context(tls: config.Tls) -> ssl.SSLContext:
    """The context that checks the server's certificate and its name. Raises TargetError when a file cannot be used."""
    try:
        context = ssl.create_default_context(cafile=str(tls.ca) if tls.ca else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if tls.cert:
            context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise TargetError(
            f"A file named in [target.tls] cannot be used: {error}.",
            safe="nothing was sent to the server",
            next_step=f"check ca, cert and key (ca is {tls.ca or 'the system store'})",
        ) from error
    return context


def connect(
    target: config.Target,
    *,
    admin: bool = False,
    database: str | None = "",
    local_infile: bool = False,
) -> TargetConnection:
    """A connection with its session settings stated and read back; autocommit is off.

    An answer may take as long as the server works on it: after [target] answer_timeout seconds of silence that is asked
    over another connection.
    admin: with the [target.admin] account. database: None for none, empty for the target's own.
    local_infile: for the loader only. Raises TargetError, ConfigError when the password is not to be had.
    """
    user, password = target.user, target.password
    if admin:
        if target.admin is None:
            raise TargetError("There is no [target.admin] in the configuration.", next_step="add it, or do it by hand")
        user, password = target.admin.user, target.admin.password
    secret = password.resolve(f"password of {user}")
    context = tls_context(target.tls) if target.tls.mode == "verify" else None
    options: dict[str, Any] = {
        "host": target.host,
        "port": target.port,
        "user": user,
        "password": secret.encode(),
        "database": target.database if database == "" else database,
        "charset": target.charset,
        "connect_timeout": target.connect_timeout,
        # for a port that takes the call and says nothing
        "read_timeout": target.connect_timeout,
        "write_timeout": target.connect_timeout,
        "autocommit": False,
        "auth_plugin_map": {"mysql_clear_password": _RefuseClearPassword, "dialog": _RefuseClearPassword},
        **({"ssl": context} if context else {"ssl_disabled": True}),
    }
    try:
        connection = TargetConnection(local_infile=local_infile, **options)
    except pymysql.MySQLError as error:
        raise _explain(error, target, user) from error
    try:
        _set_session(connection, target)
    except BaseException:
        connection.close()
        raise
    thread = connection.number
    connection.be_patient(target.answer_timeout, lambda: _works(options, thread))
    return connection


def _works(options: Mapping[str, Any], thread: int) -> bool:
    """Whether the server still has that connection, asked over one of its own; a server too busy for another has."""
    try:
        with closing(TargetConnection(**options)) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW PROCESSLIST")
            numbers = {row[0] for row in cursor.fetchall()}
            # A proxy has numbers of its own; that it answers for the server must do.
            return thread in numbers or connection.number not in numbers
    except pymysql.MySQLError as error:
        return bool(error.args) and error.args[0] in BUSY


def _set_session(connection: TargetConnection, target: config.Target) -> None:
    """State what values mean in this session, and read it back."""
    wanted = {
        "sql_mode": SQL_MODE,
        "time_zone": target.time_zone,
        "foreign_key_checks": "1",
        "unique_checks": "1",
        "sql_notes": "1",
        "collation_connection": target.collation,
        "lock_wait_timeout": str(target.lock_timeout),
        "innodb_lock_wait_timeout": str(target.lock_timeout),
    }
    settings = ", ".join(f"{name} = {value if value.isdigit() else literal(value)}" for name, value in wanted.items())
    execute(connection, f"SET NAMES {target.charset} COLLATE {literal(target.collation)}")
    execute(connection, f"SET SESSION {settings}")
    got = query(connection, "SELECT " + ", ".join(f"@@SESSION.{name}" for name in wanted))[0]
    for (name, value), now in zip(wanted.items(), got, strict=True):
        if set(str(now).split(",")) != set(value.split(",")):
            raise TargetError(
                f"The server keeps {name} = {now} where {value} was set.",
                safe="nothing was written",
                next_step="look for a proxy that changes sessions",
            )


def _explain(error: pymysql.MySQLError, target: config.Target, user: str) -> TargetError:
    """A failed connection in the operator's words."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    words = str(error.args[-1]) if error.args else type(error).__name__
    where = f"{target.host}:{target.port}"
    cause = error.__cause__ or error.__context__
    if isinstance(cause, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in words:
        reason = getattr(cause, "verify_message", "") or words
        return TargetError(
            f"The certificate of {where} is not trusted: {reason}.",
            safe="the password was not sent",
            next_step="set [target.tls] ca to the server's CA file, [target] host to a name in its certificate",
            code=code,
        )
    what, next_step = {
        ER.ACCESS_DENIED_ERROR: (
            f"{where} refuses the login of {user}.",
            "check the password, and that the account may come from this machine (the part after @)",
        ),
        ER.DBACCESS_DENIED_ERROR: (
            f"{user} may not use the database {target.database} on {where}.",
            "run the phase schema with [target.admin], or GRANT ALL PRIVILEGES on it",
        ),
        ER.BAD_DB_ERROR: (
            f"There is no database {target.database} on {where}.",
            "run the phase schema with [target.admin], or create it",
        ),
        CR.CR_SSL_CONNECTION_ERROR: (
            f"{where} offers no TLS.",
            'switch TLS on in the server; [target.tls] mode = "off" is for a rehearsal on this machine only',
        ),
        CR.CR_CONN_HOST_ERROR: (f"{where} does not answer: {words}.", "check address, port, firewall and the server"),
    }.get(code, (f"{where}: {words}.", "see the server's error log"))
    if words.startswith("Packet sequence number wrong"):
        what, next_step = f"{where} answers, but not as MySQL does: {words}.", "check [target] host and port"
    return TargetError(what, safe="nothing was changed", next_step=next_step, code=code)


def server_error(error: pymysql.MySQLError, doing: str) -> TargetError:
    """An error of the server while doing something; doing is a short SQL or sentence without secrets."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    words = str(error.args[-1]) if error.args else type(error).__name__
    lost = code in (CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, 0)
    return TargetError(
        f"{doing}: {words} (error {code})" if code else f"{doing}: the connection was lost ({words})",
        safe="what was committed stays, the transaction in flight is taken back",
        next_step="check that the server runs, then run the step again" if lost else "",
        code=code,
    )


def execute(connection: TargetConnection, sql: str, arguments: Sequence[Any] | None = None, *, show: str = "") -> int:
    """Run one statement; the number of rows it matched. Raises TargetError; show replaces the SQL in its message."""
    connection.tell("ask" if sql.startswith(OF_THE_SESSION) else "sql", show or sql)
    try:
        with connection.cursor() as cursor:
            return int(cursor.execute(sql, arguments))
    except pymysql.MySQLError as error:
        raise server_error(error, show or _short(sql)) from error


def query(connection: TargetConnection, sql: str, arguments: Sequence[Any] | None = None) -> list[Row]:
    """All rows of a SELECT. Raises TargetError."""
    connection.tell("ask", sql)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql, arguments)
            return list(cursor.fetchall())
    except pymysql.MySQLError as error:
        raise server_error(error, _short(sql)) from error


def _short(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= 200 else line[:199] + "…"


@contextmanager
def connected(target: config.Target, **options: Any) -> Iterator[TargetConnection]:
    """connect() for the length of a with block."""
    connection = connect(target, **options)
    try:
        yield connection
    finally:
        connection.close()


def server_facts(connection: TargetConnection) -> ServerFacts:
    """What the server is and how it is set up."""
    names = ", ".join(literal(name) for name in FACTS.split())
    variables = {
        str(name).lower(): str(value)
        for name, value in query(connection, f"SHOW VARIABLES WHERE Variable_name IN ({names})")
    }
    cipher = query(connection, "SHOW STATUS LIKE 'Ssl_cipher'")
    text = variables["version"]
    flavour: Flavour = "MariaDB" if "mariadb" in (text + variables.get("version_comment", "")).lower() else "MySQL"
    numbers = text.partition("-")[0].split(".")
    return ServerFacts(
        flavour=flavour,
        version=tuple(int(number) for number in numbers if number.isdigit()),
        version_text=text,
        tls=str(cipher[0][1]) if cipher else "",
        variables=variables,
    )


class TargetConnection(_Connection):
    """A connection whose LOAD DATA LOCAL sends one given stream, whatever file the server asks for."""

    _stream: Iterable[bytes] | None = None
    _sock: Any
    _rfile: Any
    server_thread_id: tuple[int]

    @property
    def number(self) -> int:
        """The server's number for this connection."""
        return int(self.server_thread_id[0])

    def be_patient(self, seconds: float, alive: Callable[[], bool]) -> None:
        """From now on an answer may take any time (building an index does), as long as `alive` says yes.

        seconds: after how long a silence it is asked; a block that is sent must be taken within twice as long.
        """
        self._read_timeout = seconds
        self._write_timeout = 2 * seconds
        self._rfile.close()
        self._rfile = io.BufferedReader(PatientReader(self._sock, seconds, alive), 1 << 16)

    def wait_at_most(self, seconds: float) -> None:
        """From now on an answer that takes longer means that the connection is lost."""
        self.be_patient(seconds, lambda: False)

    @property
    def certificate_ends(self) -> datetime | None:
        """When the server's certificate ends; None without TLS."""
        get = getattr(getattr(self, "_sock", None), "getpeercert", None)
        ends = (get() or {}).get("notAfter") if get else None
        return None if ends is None else datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC)

    def load(self, sql: str, stream: Iterable[bytes]) -> tuple[int, int]:
        """Run a LOAD DATA LOCAL statement with the stream as its file. Answers rows stored and number of warnings.

        Raises TargetError; whatever the stream raises while it is read goes through, and the connection is closed.
        """
        self._stream = stream
        self.tell("sql", sql)
        try:
            rows = self.query(sql)
        except pymysql.MySQLError as error:
            raise server_error(error, _short(sql)) from error
        finally:
            self._stream = None
        return rows, self.warnings

    def tell(self, kind: Kind, sql: str) -> None:
        """Say what is about to be sent; values of its arguments are the shop's and are left out."""
        there: Any = self
        database = there.db.decode() if isinstance(there.db, bytes) else there.db or ""
        server = f"{there.host}:{there.port}"
        ran(kind, f"{database} at {server}" if database else server, f"{sql.rstrip(';')};")

    @property
    def flavour(self) -> Flavour:
        """Whose server this is, as it said when it greeted."""
        return "MariaDB" if "mariadb" in str(getattr(self, "server_version", "")).lower() else "MySQL"

    @property
    def warnings(self) -> int:
        """Number of warnings of the last statement."""
        return self._result.warning_count if self._result else 0

    def take_stream(self) -> Iterable[bytes]:
        """The stream being sent, once. Raises TargetError when nothing is being sent: the server asked unbidden."""
        stream, self._stream = self._stream, None
        if stream is None:
            raise TargetError(
                "The server asked for a file while nothing was being sent to it; it got nothing.",
                safe="no file of this machine was read",
                next_step="check that this is your server: an honest one never asks",
            )
        return stream

    def send_stream(self, stream: Iterable[bytes]) -> None:
        """Send blocks as packets, then the empty packet that ends the file."""
        for block in stream:
            for start in range(0, len(block), PACKET):
                self.write_packet(block[start : start + PACKET])
        self.write_packet(b"")

    def _read_query_result(self, unbuffered: bool = False) -> int:
        result: Any = TargetResult(self)
        if unbuffered:
            result.init_unbuffered_query()
        else:
            result.read()
        self._result = result
        if result.server_status is not None:
            self.server_status = result.server_status
        return int(result.affected_rows or 0)


class TargetResult(MySQLResult):
    """Answers a request for a file with the connection's stream; the name in the request is never looked at."""

    def _read_load_local_packet(self, first_packet: object) -> None:
        connection: Any = self.connection
        try:
            connection.send_stream(connection.take_stream())
        except BaseException:
            # Half a file must not be taken for a whole one: without the closing packet the server takes it back.
            connection._force_close()
            raise
        answer: Any = super()
        answer._read_ok_packet(connection._read_packet())
