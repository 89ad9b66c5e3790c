"""Who makes the daily backup: one marked line of a crontab, or a systemd timer, on this machine or on the host."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from dixis_tui.backups.work import Work
from dixis_tui.hosts.host import Host, HostError
from dixis_tui.model import FAILED, DixisError

DAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
ARGUMENTS = ("backup", "create", "--verify", "--prune", "--quiet")


class ScheduleError(DixisError):
    """The schedule could not be read or written."""

    exit_code = FAILED


@dataclass(frozen=True)
class Installed:
    """What is set up on a host: lines of a crontab, or of a timer; none where nothing is."""

    host: str
    by: str
    lines: tuple[str, ...]


def command(work: Work, config_path: Path) -> str:
    """What is started: [backup.schedule] command, or this very dixis with this configuration.

    Raises ScheduleError where it could not run by itself.
    """
    settings = work.config.backup.schedule
    if settings.command:
        return settings.command
    if settings.on == "host" and not work.app_host.is_local:
        raise ScheduleError(
            f"What shall {work.app_host.name} start? This dixis is on another machine.",
            safe="nothing was changed",
            next_step='install dixis there and set [backup.schedule] command = "/path/dixis --config /path/dixis.toml'
            f' {" ".join(ARGUMENTS)}"',
        )
    _unattended(work)
    program = Path(sys.executable).with_name("dixis")
    started = [str(program)] if program.exists() else [sys.executable, "-m", "dixis_tui.cli"]
    return shlex.join([*started, "--config", str(config_path.resolve()), *ARGUMENTS])


def _unattended(work: Work) -> None:
    """Nobody types a password at night, and cron knows no variables of ours."""
    for target in {work.target(making=True).user: work.target(making=True), work.target().user: work.target()}.values():
        if target.password.prompt or target.password.env:
            how = "asked for on a terminal" if target.password.prompt else f"in the variable {target.password.env}"
            raise ScheduleError(
                f"The password of {target.user} is {how}: a backup made by the clock would not have it.",
                safe="nothing was changed",
                next_step='use { file = "PATH" } (mode 0600), or name another account in [backup.account]',
            )


def host_of(work: Work) -> Host:
    return work.local if work.config.backup.schedule.on == "local" else work.app_host


def show(work: Work) -> Installed:
    """What is installed now."""
    host = host_of(work)
    if work.config.backup.schedule.by == "cron":
        lines = [line for line in _crontab(host) if line.endswith(_mark(work))]
    else:
        path = _timer(work, host)
        lines = host.read(path).decode().splitlines() if host.stat(path) else []
    return Installed(host.name, work.config.backup.schedule.by, tuple(lines))


def wanted(work: Work, config_path: Path) -> list[str]:
    """The lines that show() answers once it is installed."""
    settings = work.config.backup.schedule
    if settings.by == "systemd":
        return _timer_text(settings.times).splitlines()
    return [_cron_line(work, command(work, config_path))]


def _cron_line(work: Work, started: str) -> str:
    # In a crontab an unquoted % is the end of the command.
    return f"{work.config.backup.schedule.times} {started.replace('%', chr(92) + '%')} {_mark(work)}"


def install(work: Work, started: str) -> Installed:
    """Set it up, in place of what stood there of ours; nothing else is touched."""
    host = host_of(work)
    if work.config.backup.schedule.by == "cron":
        others = [line for line in _crontab(host) if not line.endswith(_mark(work))]
        _write_crontab(host, [*others, _cron_line(work, started)])
    else:
        timer = _timer(work, host)
        host.make_directory(str(Path(timer).parent))
        host.write(timer.removesuffix(".timer") + ".service", _service(started).encode(), mode=0o644)
        host.write(timer, _timer_text(work.config.backup.schedule.times).encode(), mode=0o644)
        _systemctl(host, "daemon-reload")
        _systemctl(host, "enable", "--now", Path(timer).name)
    return show(work)


def remove(work: Work) -> Installed:
    """Take away what install has set up; what was there, is answered."""
    host, there = host_of(work), show(work)
    if not there.lines:
        return there
    if work.config.backup.schedule.by == "cron":
        _write_crontab(host, [line for line in _crontab(host) if not line.endswith(_mark(work))])
    else:
        timer = _timer(work, host)
        _systemctl(host, "disable", "--now", Path(timer).name)
        host.remove(timer)
        host.remove(timer.removesuffix(".timer") + ".service")
        _systemctl(host, "daemon-reload")
    return there


def _mark(work: Work) -> str:
    """What our line ends with; to the shell it is a comment."""
    return f"# dixis-backup {work.config.backup.name}"


def _crontab(host: Host) -> list[str]:
    try:
        done = host.run(["crontab", "-l"], timeout=30)
    except HostError as error:
        raise ScheduleError(
            f"There is no crontab on {host.name}: {error.what}",
            safe="nothing was changed",
            next_step='apt-get install cron there, or set [backup.schedule] by = "systemd"',
        ) from error
    if done.returncode != 0 and "no crontab" not in done.stderr:
        done.check(f"Reading the crontab on {host.name}")
    return done.stdout.splitlines()


def _write_crontab(host: Host, lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    done = host.run(["crontab", "-"], data=text.encode(), timeout=30)
    done.check(f"Writing the crontab on {host.name}")
    if _crontab(host) != lines:
        raise ScheduleError(
            f"The crontab on {host.name} does not read back as it was written.",
            safe="see what it holds now: crontab -l",
            next_step="mend it by hand: crontab -e",
        )


def _is_root(host: Host) -> bool:
    return host.run(["id", "-u"], timeout=30).check("Asking who we are").stdout.strip() == "0"


def _timer(work: Work, host: Host) -> str:
    """Where the timer's file is: the system's for root, else the user's own."""
    name = f"dixis-backup-{work.config.backup.name}.timer"
    if _is_root(host):
        return f"/etc/systemd/system/{name}"
    home = host.run(["sh", "-c", 'printf %s "$HOME"'], timeout=30).check("Asking for the home folder").stdout
    return f"{home}/.config/systemd/user/{name}"


def _systemctl(host: Host, *arguments: str) -> None:
    user = () if _is_root(host) else ("--user",)
    done = host.run(["systemctl", *user, *arguments], timeout=60)
    if done.returncode != 0:
        raise ScheduleError(
            f"systemctl {' '.join(arguments)} failed on {host.name}: {(done.stderr or done.stdout).strip()}.",
            safe="no other unit was touched",
            next_step='mend that, or set [backup.schedule] by = "cron"',
        )


def _service(started: str) -> str:
    # To systemd, % and $ begin something of its own.
    line = started.replace("%", "%%").replace("$", "$$")
    return f"[Unit]\nDescription=Daily backup by dixis\n\n[Service]\nType=oneshot\nExecStart={line}\n"


def _timer_text(times: str) -> str:
    return (
        "[Unit]\nDescription=When dixis makes the daily backup\n\n"
        f"[Timer]\nOnCalendar={on_calendar(times)}\nPersistent=true\n\n[Install]\nWantedBy=timers.target\n"
    )


def on_calendar(times: str) -> str:
    """A cron line's times as systemd writes them. Raises ScheduleError for what it cannot say."""
    minute, hour, day, month, weekday = times.split()
    if day != "*" and weekday != "*":
        raise ScheduleError(
            f'"{times}" means this day of the month OR that day of the week: a timer cannot say that.',
            safe="nothing was changed",
            next_step='name one of them, or set [backup.schedule] by = "cron"',
        )
    days = "" if weekday == "*" else ",".join(_weekday(part) for part in weekday.split(",")) + " "
    return f"{days}*-{_part(month, 1)}-{_part(day, 1)} {_part(hour, 0)}:{_part(minute, 0)}:00"


def _part(field: str, low: int) -> str:
    return ",".join(part.replace("*/", f"{low}/").replace("-", "..") for part in field.split(","))


def _weekday(part: str) -> str:
    numbers, _, step = part.partition("/")
    first, _, last = ("0-6" if numbers == "*" else numbers).partition("-")
    chosen = range(int(first), int(last or first) + 1, int(step or 1))
    return ",".join(DAYS[number] for number in chosen)
