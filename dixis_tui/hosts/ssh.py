"""A host behind SSH: the operations of a host over paramiko, with known keys only and never a question."""

from __future__ import annotations

import logging
import os
import posixpath
import secrets
import shlex
import socket
import stat
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dixis_tui import config
from dixis_tui.hosts.host import (
    BLOCK,
    TEMPORARY,
    Collector,
    Completed,
    FileFacts,
    Host,
    HostError,
    LocalHost,
    OnLine,
    tell,
    wait_for,
)
from dixis_tui.model import DixisError
from dixis_tui.ran import ran

if TYPE_CHECKING:
    import paramiko


# What goes wrong is told in this module's own words; nobody else prints it on the terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())

# Seconds after which a host that says nothing to a question counts as lost.
SILENCE = 30.0


class SshHost(Host):
    """A machine behind SSH, by key and known hosts only; connects when first used, and again after a loss.

    silence: seconds to wait for an answer about a file. asked_every: seconds between two questions whether the link
    still carries anything, and to wait for each answer.
    """

    is_local = False
    silence = SILENCE
    asked_every = SILENCE

    def __init__(self, settings: config.Ssh) -> None:
        # Imported with the first host of this kind: it takes a fifth of the console's start, and most runs need none.
        global paramiko
        import paramiko

        self.settings = settings
        self.name = f"{settings.user}@{settings.address}:{settings.port}"
        self._client: paramiko.SSHClient | None = None
        self._sftp: paramiko.SFTPClient | None = None
        self._lock = threading.RLock()
        # One SFTP session takes one question at a time; transfers of whole files have their own.
        self._one_at_a_time = threading.RLock()

    def connect(self) -> paramiko.SSHClient:
        """The live connection. Raises HostError that tells an unknown key, a refused login and silence apart."""
        with self._lock:
            transport = self._client.get_transport() if self._client else None
            if self._client and transport and transport.is_active():
                return self._client
            self.close()
            self._client = self._open()
            return self._client

    def _open(self) -> paramiko.SSHClient:
        settings = self.settings
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        scan = f"ssh-keyscan -p {settings.port} {settings.address} | ssh-keygen -lf -"
        untrusted = (
            f"compare the fingerprint with the one your provider shows ({scan}), "
            f"then add the line ssh-keyscan prints to {settings.known_hosts}"
        )
        try:
            client.load_host_keys(str(settings.known_hosts))
            client.connect(
                settings.address,
                port=settings.port,
                username=settings.user,
                key_filename=str(settings.key) if settings.key else None,
                look_for_keys=settings.key is None,
                allow_agent=settings.key is None,
                timeout=settings.connect_timeout,
                banner_timeout=settings.connect_timeout,
                auth_timeout=settings.connect_timeout,
            )
        except paramiko.BadHostKeyException as error:
            raise HostError(f"{self.name} shows another host key than the known one.", next_step=untrusted) from error
        except paramiko.AuthenticationException as error:
            key = settings.key or "the agent's keys"
            raise HostError(
                f"{self.name} refuses the login with {key}.",
                next_step=f"check that the public key is in authorized_keys of {settings.user}",
            ) from error
        except paramiko.SSHException as error:
            if "not found in known_hosts" in str(error):
                raise HostError(f"The host key of {self.name} is not known.", next_step=untrusted) from error
            ours = "private key" in str(error)
            raise HostError(
                f"SSH to {self.name} failed: {error}.",
                next_step="check [host.ssh] key in the configuration" if ours else "check that sshd answers there",
            ) from error
        except OSError as error:
            reason = error.strerror or str(error) or type(error).__name__
            if error.filename is not None:  # a file here, not the network
                missing = isinstance(error, FileNotFoundError)
                problem = "is not there" if missing else f"cannot be read: {reason}"
                raise HostError(
                    f"SSH to {self.name}: {error.filename} {problem}.",
                    next_step="check [host.ssh] in the configuration",
                ) from error
            raise HostError(
                f"{self.name} does not answer: {reason}.", next_step="check address, port and firewall"
            ) from error
        transport = client.get_transport()
        assert transport is not None
        transport.set_keepalive(15)
        threading.Thread(target=self._watch, args=(transport,), name="ssh link", daemon=True).start()
        return client

    def _watch(self, transport: paramiko.Transport) -> None:
        """Close a link on which nothing comes any more, though the system still takes it for one: whoever waits for the
        end of a command would wait as long as that may take."""
        while transport.is_active():
            transport.join(self.asked_every)  # its own thread, which ends with the link
            try:
                transport.open_session(timeout=self.asked_every).close()
            except paramiko.ChannelException:
                continue  # no further session is allowed there, which is an answer
            except (OSError, EOFError, paramiko.SSHException):
                transport.close()

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str | None = None,
        data: bytes | None = None,
        timeout: float = 600.0,
        on_line: OnLine | None = None,
        stop: threading.Event | None = None,
    ) -> Completed:
        tell(self.name, argv, cwd)
        # The shell says its process id first and becomes the command, so that the command can be ended from outside.
        command = f"echo $$; exec {shlex.join(argv)}"
        if cwd is not None:
            command = f"cd {shlex.quote(cwd)} || exit 125; {command}"
        try:
            transport = self.connect().get_transport()
            assert transport is not None
            channel = transport.open_session(timeout=self.settings.connect_timeout)
            channel.exec_command(command)
            pids: list[int] = []
            collect = Collector(channel.recv, channel.recv_stderr, on_line, pids)
            if data is not None:
                collect.feed(channel.makefile_stdin("wb"), data, channel.shutdown_write)
            else:
                channel.shutdown_write()
            try:
                wait_for(channel.exit_status_ready, argv, self.name, timeout, stop)
            except DixisError:
                for pid in filter(None, pids):
                    self.run(["kill", str(pid)], timeout=10)
                channel.close()
                raise
            finally:
                collect.join()
            code = channel.recv_exit_status()
            channel.close()
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._lost(error) from error
        if code == -1 and not transport.is_active():
            raise self._lost(EOFError("connection closed while the command ran"))
        return Completed(tuple(argv), code, *collect.texts())

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        try:
            with self._one_at_a_time, self._files().open(path, "rb") as file:
                file.seek(offset)
                return bytes(file.read(length))
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._error("read", path, error) from error

    def write(self, path: str, data: bytes, *, mode: int = 0o600) -> None:
        def send(file: paramiko.SFTPFile) -> int:
            file.write(data)
            return len(data)

        ran("file", self.name, f"write {path}, {len(data)} bytes")
        self._replace(path, mode, send)

    def store(self, source: Path, path: str, *, mode: int = 0o600) -> None:
        def send(file: paramiko.SFTPFile) -> int:
            sent = 0
            with source.open("rb") as local:
                while block := local.read(1 << 18):
                    file.write(block)
                    sent += len(block)
            return sent

        ran("file", self.name, f"store {source} as {path}")
        self._replace(path, mode, send)

    def _replace(self, path: str, mode: int, send: Callable[[paramiko.SFTPFile], int]) -> None:
        with self._one_at_a_time:
            self._replace_alone(path, mode, send)

    def _replace_alone(self, path: str, mode: int, send: Callable[[paramiko.SFTPFile], int]) -> None:
        try:
            files = self._files()
            old = self.stat(path)
            target = files.normalize(path) if old else path
            temporary = f"{target}{TEMPORARY}{secrets.token_hex(4)}"
            try:
                with files.open(temporary, "wx") as file:
                    file.chmod(0o600)
                    file.set_pipelined(True)
                    sent = send(file)
                made = files.stat(temporary)
                # A pipelined write that failed, on a full disk say, is not told by SFTP's close.
                if made.st_size != sent:
                    raise OSError(f"only {made.st_size} of {sent} bytes arrived")
                if old and (old.uid, old.gid) != (made.st_uid, made.st_gid):
                    files.chown(temporary, old.uid, old.gid)
                files.chmod(temporary, old.mode if old else mode)
                files.posix_rename(temporary, target)
            except BaseException:
                self._discard(temporary)
                raise
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._full(path) or self._error("write", path, error) from error

    def _full(self, path: str) -> HostError | None:
        """The error of a write that failed for want of room, which SFTP does not tell; None when there is some."""
        try:
            folder = posixpath.dirname(self._files().normalize(path))
            if self.free_space(folder) >= BLOCK:
                return None
        except (OSError, EOFError, paramiko.SSHException, HostError):
            return None
        return HostError(
            f"Cannot write {path} on {self.name}: there is no room left on its disk.",
            safe="the file is as it was",
            next_step=f"make room there (df -h {folder}), then run the step again",
        )

    def _discard(self, path: str) -> None:
        try:
            self._files().remove(path)
        except FileNotFoundError:
            return
        except (OSError, EOFError, paramiko.SSHException, HostError):
            return  # the link is gone; the name of the leftover says what it is

    def stat(self, path: str) -> FileFacts | None:
        try:
            with self._one_at_a_time:
                facts = self._files().stat(path)
        except FileNotFoundError:
            return None
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._error("look at", path, error) from error
        mode = facts.st_mode or 0
        return FileFacts(
            facts.st_size or 0,
            stat.S_IMODE(mode),
            facts.st_uid or 0,
            facts.st_gid or 0,
            float(facts.st_mtime or 0),
            stat.S_ISDIR(mode),
        )

    def fetch(self, path: str, destination: Path) -> None:
        ran("file", self.name, f"fetch {path} as {destination}")
        temporary = destination.with_name(f"{destination.name}{TEMPORARY}{secrets.token_hex(4)}")
        try:
            with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                with self._open_sftp() as files:
                    files.getfo(path, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(destination)
        except (OSError, EOFError, paramiko.SSHException) as error:
            raise self._error("fetch", path, error) from error
        finally:
            temporary.unlink(missing_ok=True)

    def close(self) -> None:
        with self._lock:
            if self._sftp:
                self._sftp.close()
            if self._client:
                self._client.close()
            self._sftp = self._client = None

    def _files(self) -> paramiko.SFTPClient:
        with self._lock:
            transport = self.connect().get_transport()
            channel = self._sftp.get_channel() if self._sftp else None
            if self._sftp is None or channel is None or channel.closed or channel.get_transport() is not transport:
                self._sftp = self._open_sftp()
            return self._sftp

    def _open_sftp(self) -> paramiko.SFTPClient:
        """A session for files in which no answer is waited for without end, as it would be on a link that froze."""
        transport = self.connect().get_transport()
        assert transport is not None
        channel = transport.open_session(timeout=self.settings.connect_timeout)
        channel.settimeout(self.silence)
        channel.invoke_subsystem("sftp")
        return paramiko.SFTPClient(channel)

    def _error(self, verb: str, path: str, error: Exception) -> HostError:
        if isinstance(error, TimeoutError):
            error = TimeoutError(f"no answer for {self.silence:g} s")
        elif isinstance(error, EOFError):
            error = EOFError("the link was lost")
        self._let_go(error)
        if isinstance(error, EOFError | paramiko.SSHException | socket.error) and not isinstance(
            error, PermissionError | FileNotFoundError
        ):
            reason = str(error) or type(error).__name__
        else:
            reason = getattr(error, "strerror", None) or str(error)
        return HostError(f"Cannot {verb} {path} on {self.name}: {reason}.")

    def _let_go(self, error: Exception) -> None:
        """Close a link on which nothing comes any more, though the system still takes it for one: the next operation
        opens another."""
        silent = isinstance(error, paramiko.SSHException) and not isinstance(error, paramiko.ChannelException)
        if silent or isinstance(error, TimeoutError | EOFError):
            self.close()

    def _lost(self, error: Exception) -> HostError:
        self._let_go(error)
        return HostError(
            f"The SSH link to {self.name} was lost: {error or type(error).__name__}.",
            next_step="check the network, then run the step again",
        )


def open_host(settings: config.Host) -> Host:
    """The application's host as configured; nothing is connected yet."""
    return SshHost(settings.ssh) if settings.ssh else LocalHost()
