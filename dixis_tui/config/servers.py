"""[source] and [target]: the two databases."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from dixis_tui.config.base import Name, Secret, Section


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
    """[target]: the MySQL or MariaDB server and the application's own account on it.

    Seconds: connect_timeout, for a connection; answer_timeout, a silence after which the server is asked over another
    connection whether it still works on the statement; lock_timeout, what others may keep locked.
    """

    host: str
    port: int = Field(default=3306, ge=1, le=65535)
    database: Name
    user: Name
    password: Secret
    charset: Literal["utf8mb4"] = "utf8mb4"
    collation: str = "utf8mb4_unicode_ci"
    time_zone: str = "+00:00"
    connect_timeout: int = Field(default=7, ge=1, le=300)
    answer_timeout: float = Field(default=15.0, ge=1, le=3600)
    lock_timeout: int = Field(default=50, ge=1, le=3600)
    tls: Tls = Tls()
    admin: Admin | None = None
