"""Connections to the target trust nothing they have not checked, and serve no file but the stream being sent."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dixis_tui.config import Target
from dixis_tui.patience import PatientReader
from dixis_tui.sandbox import RunningServer
from dixis_tui.target import TargetConnection, TargetError, connect, connected, execute, query, server_facts
from tests.conftest import frozen


def target(server: RunningServer, **changes: Any) -> Target:
    return Target.model_validate(
        {
            "host": "127.0.0.1",
            "port": server.port,
            "database": "mysql",
            "user": server.admin_user,
            "password": server.admin_password,
            "tls": {"ca": server.ca_file},
            **changes,
        }
    )


def test_the_server_tells_what_it_is_over_tls(server: RunningServer) -> None:
    with connected(target(server)) as connection:
        facts = server_facts(connection)
        settings = query(connection, "SELECT @@time_zone, @@sql_mode, @@autocommit, @@foreign_key_checks")[0]
    assert facts.flavour.lower() == server.binary.kind
    assert facts.supported
    assert facts.tls
    assert facts.max_allowed_packet > 1 << 20
    assert settings[0] == "+00:00"
    assert {"STRICT_ALL_TABLES", "NO_AUTO_VALUE_ON_ZERO"} <= set(settings[1].split(","))
    assert settings[2:] == (0, 1)


def test_a_certificate_nobody_vouches_for_stops_before_the_password(server: RunningServer) -> None:
    with pytest.raises(TargetError, match="not trusted") as caught:
        connect(target(server, tls={"ca": None}))
    assert caught.value.safe == "the password was not sent"
    assert "ca" in caught.value.next_step


def test_refusals_are_told_apart(server: RunningServer) -> None:
    with pytest.raises(TargetError, match="refuses the login"):
        connect(target(server, password="wrong"))
    with pytest.raises(TargetError, match="no database nowhere"):
        connect(target(server, database="nowhere"))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(TargetError, match="does not answer"):
            connect(target(server, port=unused.getsockname()[1]))


def test_a_load_sends_the_stream_and_counts_warnings(server: RunningServer, database: str) -> None:
    with connected(target(server), local_infile=True) as connection:
        execute(connection, f"CREATE DATABASE `{database}`")
        execute(connection, f"CREATE TABLE `{database}`.t (a INT)")
        sql = f"LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE `{database}`.t"
        assert connection.load(sql, [b"1\n2", b"3\n"]) == (2, 0)
        assert connection.load(sql, [b"not a number\n"]) == (1, 1)
        connection.rollback()
        assert connection.load(sql, iter([b"7\n" * 600_000])) == (600_000, 0)


def test_a_stream_that_breaks_leaves_nothing_behind(server: RunningServer, database: str) -> None:
    def broken() -> Any:
        yield b"1\n2\n"
        raise OSError("the disk went away")

    with connected(target(server), local_infile=True) as connection:
        execute(connection, f"CREATE DATABASE `{database}`")
        execute(connection, f"CREATE TABLE `{database}`.t (a INT)")
        with pytest.raises(OSError, match="disk went away"):
            connection.load(f"LOAD DATA LOCAL INFILE 'x' INTO TABLE `{database}`.t", broken())
        assert not connection.open
    with connected(target(server)) as connection:
        assert query(connection, f"SELECT COUNT(*) FROM `{database}`.t") == [(0,)]


# A server that lies


def packet(number: int, payload: bytes) -> bytes:
    return struct.pack("<I", len(payload))[:3] + bytes([number]) + payload


class Liar:
    """One end of a connection, answered by a function in a thread; keeps all it was sent."""

    def __init__(self, answer: Callable[[Liar], None]) -> None:
        self.received = b""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._answer = answer
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self._socket, _ = self._listener.accept()
        with contextlib.suppress(ConnectionError):
            self._answer(self)
        while data := self._socket.recv(1 << 16):
            self.received += data
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read_packet(self) -> bytes:
        head = self._exactly(4)
        payload = self._exactly(int.from_bytes(head[:3], "little"))
        self.received += payload
        return payload

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            part = self._socket.recv(count - len(data))
            if not part:
                raise ConnectionError("the client has gone")
            data += part
        return data

    def finish(self) -> bytes:
        self._thread.join(timeout=10)
        self._listener.close()
        return self.received


GREETING = (
    b"\x0a8.0.99\0"
    + struct.pack("<I", 7)
    + b"12345678\0"
    + struct.pack("<HBHHB", 0xF7FF, 45, 2, 0x00FF, 21)
    + bytes(10)
    + b"123456789012\0mysql_native_password\0"
)
OK = b"\0\0\0\x02\0\0\0"


def liar_target(liar: Liar) -> Target:
    return Target.model_validate(
        {
            "host": "127.0.0.1",
            "port": liar.port,
            "database": "shop",
            "user": "shop",
            "password": "a secret of ours",
            "tls": {"mode": "off"},
        }
    )


def test_a_server_that_asks_for_a_file_unbidden_gets_none(tmp_path: Path) -> None:
    wanted = tmp_path / "private.txt"
    wanted.write_text("what nobody may read")

    def ask_for_a_file(liar: Liar) -> None:
        liar.send(packet(0, GREETING))
        liar.read_packet()
        liar.send(packet(2, OK))
        while b"SELECT" not in liar.read_packet():
            liar.send(packet(1, OK))
        liar.send(packet(1, b"\xfb" + str(wanted).encode()))

    liar = Liar(ask_for_a_file)
    with pytest.raises(TargetError, match="asked for a file"):
        connect(liar_target(liar), local_infile=True)
    assert b"nobody may read" not in liar.finish()


def test_a_server_that_asks_for_another_file_gets_the_stream(tmp_path: Path) -> None:
    wanted = tmp_path / "private.txt"
    wanted.write_text("what nobody may read")

    def ask_for_another(liar: Liar) -> None:
        liar.send(packet(0, GREETING))
        liar.read_packet()
        liar.send(packet(2, OK))
        while not liar.read_packet().startswith(b"\x03LOAD"):
            liar.send(packet(1, OK))
        liar.send(packet(1, b"\xfb" + str(wanted).encode()))
        while liar.read_packet():
            pass
        liar.send(packet(4, OK))

    liar = Liar(ask_for_another)
    connection = TargetConnection(
        host="127.0.0.1",
        port=liar.port,
        user="shop",
        password="x",
        ssl_disabled=True,
        local_infile=True,
    )
    connection.load("LOAD DATA LOCAL INFILE 'dixis' INTO TABLE t", ["1\tΕλιά\n".encode()])
    connection.close()
    received = liar.finish()
    assert "1\tΕλιά\n".encode() in received
    assert b"nobody may read" not in received


def test_a_server_that_asks_for_the_password_in_clear_does_not_get_it() -> None:
    def ask_for_the_password(liar: Liar) -> None:
        liar.send(packet(0, GREETING))
        liar.read_packet()
        liar.send(packet(2, b"\xfemysql_clear_password\0"))

    liar = Liar(ask_for_the_password)
    with pytest.raises(TargetError, match="in clear"):
        connect(liar_target(liar))
    assert b"a secret of ours" not in liar.finish()


def test_an_answer_may_take_its_time_as_long_as_the_server_works_on_it(server: RunningServer) -> None:
    with connected(target(server, answer_timeout=1)) as connection:
        assert query(connection, "SELECT SLEEP(2.5)") == [(0,)]


def test_a_frozen_server_is_told_in_seconds(server: RunningServer, database: str) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"1\n" * 500_000

    settings = target(server, answer_timeout=1, connect_timeout=1)
    with connected(settings) as asked, connected(settings, local_infile=True) as loading:
        execute(loading, f"CREATE DATABASE `{database}`")
        execute(loading, f"CREATE TABLE `{database}`.t (a INT)")
        with frozen(server.pid):
            with pytest.raises(TargetError, match="no answer for 1 s") as raised:
                query(asked, "SELECT 1")
            with pytest.raises(TargetError):
                loading.load(f"LOAD DATA LOCAL INFILE 'x' INTO TABLE `{database}`.t", endless())
            with pytest.raises(TargetError):
                connect(settings)
    assert raised.value.next_step


def test_silence_of_a_connection_that_nobody_works_for_is_not_waited_out() -> None:
    here, there = socket.socketpair()
    asked = iter([True, False])
    with here, there, pytest.raises(TimeoutError, match="nobody works on it"):
        PatientReader(here, 0.05, lambda: next(asked)).read(1)
    assert list(asked) == []


def test_what_others_keep_locked_is_waited_for_a_while_only(server: RunningServer, database: str) -> None:
    settings = target(server, lock_timeout=1)
    with connected(settings) as mine, connected(settings) as other:
        execute(mine, f"CREATE DATABASE `{database}`")
        execute(mine, f"CREATE TABLE `{database}`.t (a INT)")
        query(other, f"SELECT * FROM `{database}`.t")
        with pytest.raises(TargetError, match="Lock wait timeout"):
            execute(mine, f"ALTER TABLE `{database}`.t ADD b INT")
        other.rollback()
