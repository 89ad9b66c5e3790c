"""The Assets phase: the images and documents rows refer to, packed, sent by rsync, given their modes, and compared."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import humanize

from dixis_tui import backup, rsync
from dixis_tui.config import Assets, Config
from dixis_tui.context import Context
from dixis_tui.host import join
from dixis_tui.model import Kind, Outcome, Progress, Status, failed, passed
from dixis_tui.step import Step

# Checksums, because a file of the same size and time may still be another.
SEND = ("-rltc", "--partial-dir=.rsync-partial", "--info=progress2,stats2", "--no-human-readable", "--outbuf=L")
COMPARE = ("-rlnc", "--itemize-changes")


def steps(config: Config) -> tuple[Step, ...]:
    """The checklist; none without an [assets] section."""
    if config.assets is None:
        return ()
    assets = config.assets
    return (
        Step(
            id="assets.backup",
            title="Archive of the assets",
            kind=Kind.ACTION,
            why="A copy that nothing later can change.",
            work=lambda ctx: _backup(ctx, assets),
            preview=lambda ctx: [f"tar -czf {ctx.config.backup.directory}/assets-<time>.tar.gz -C {assets.source} ."],
            undo="remove the archive",
        ),
        Step(
            id="assets.sync",
            title="Send by rsync over SSH",
            kind=Kind.ACTION,
            why="Only what is missing or different is sent; a file it replaces is kept aside, nothing is deleted.",
            work=lambda ctx: _sync(ctx, assets),
            preview=lambda ctx: [shlex.join(send_command(ctx, assets))],
            undo="replaced files are kept in storage/dixis-replaced on the host",
        ),
        Step(
            id="assets.modes",
            title="Modes and owner",
            kind=Kind.ACTION,
            why="The web server must read every file and enter every folder; no image is a program.",
            work=lambda ctx: _modes(ctx, assets),
            preview=lambda ctx: [f"{ctx.app_host.name}: {shlex.join(c)}" for c in mode_commands(ctx, assets)],
            undo="not needed: content is untouched",
        ),
        Step(
            id="assets.compare",
            title="Compare both sides",
            kind=Kind.CHECK,
            why="rsync's exit code is not proof; checksums of every file are.",
            work=lambda ctx: _compare(ctx, assets),
        ),
    )


def destination(ctx: Context, assets: Assets) -> str:
    """The folder on the host, absolute."""
    return join(ctx.config.app.root, assets.destination)


def send_command(ctx: Context, assets: Assets) -> list[str]:
    """The rsync command that sends the assets."""
    kept = join(ctx.config.app.root, f"storage/dixis-replaced/{ctx.run_id}")
    options = [*SEND, "--backup", f"--backup-dir={kept}"]
    return rsync.command(options, assets.source, destination(ctx, assets), ctx.config.host.ssh)


def mode_commands(ctx: Context, assets: Assets) -> list[list[str]]:
    """The commands that set owner and modes on the host."""
    folder = destination(ctx, assets)
    commands = [["chown", "-R", "--", assets.owner, folder]] if assets.owner else []
    # -perm keeps the times of files that are right already
    for kind, mode in (("d", assets.directory_mode), ("f", assets.file_mode)):
        commands.append(["find", folder, "-type", kind, "!", "-perm", mode, "-exec", "chmod", mode, "{}", "+"])
    return commands


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, links included, sorted."""
    return sorted(Path(root) / name for root, _, names in os.walk(folder) for name in names)


def _backup(ctx: Context, assets: Assets) -> Outcome:
    if not assets.source.is_dir():
        return failed(f"{assets.source} is not a folder", (), ["check [assets] source in the configuration"])
    directory = ctx.config.backup.directory
    backup.prepare(directory)
    name = f"assets-{backup.stamp()}.tar.gz"
    with backup.new_file(directory, name) as path:
        count, size = backup.archive(assets.source, path, ctx.stop)
    archive = directory / name
    return passed(
        f"{count} files, {humanize.naturalsize(size)}, packed and read back",
        [str(archive), f"{archive.stat().st_size} bytes, sha256 {backup.file_digest(archive)}"],
        files=count,
        bytes=size,
    )


def _sync(ctx: Context, assets: Assets) -> Outcome:
    total = sum(path.lstat().st_size for path in files_below(assets.source))
    ctx.app_host.make_directory(destination(ctx, assets))

    def report(line: str) -> None:
        reading = rsync.parse_progress(line)
        if reading:
            ctx.progress(Progress("assets.sync", "rsync", min(reading.bytes_sent, total), total, "bytes"))
        elif line.strip():
            ctx.say(line)

    command = send_command(ctx, assets)
    ctx.say(f"$ {shlex.join(command)}")
    done = ctx.local.run(command, on_line=report, stop=ctx.stop, timeout=24 * 3600)
    if done.returncode != 0:
        ctx.progress(Progress("assets.sync", "rsync", 0, total, "bytes", Status.FAIL))
        raise rsync.RsyncError(done.returncode, " / ".join(done.stderr.strip().splitlines()[-3:]))
    ctx.progress(Progress("assets.sync", "rsync", total, total, "bytes", Status.PASS))
    statistics = [line for line in done.stdout.splitlines() if line.startswith(("Number of", "Total"))]
    return passed(f"{len(files_below(assets.source))} files there, {humanize.naturalsize(total)}", statistics)


def _modes(ctx: Context, assets: Assets) -> Outcome:
    for command in mode_commands(ctx, assets):
        ctx.app_host.run(command, stop=ctx.stop).check(f"{command[0]} on {ctx.app_host.name}")
    return passed(
        f"folders {assets.directory_mode}, files {assets.file_mode}"
        + (f", owner {assets.owner}" if assets.owner else "")
    )


def _compare(ctx: Context, assets: Assets) -> Outcome:
    command = rsync.command(COMPARE, assets.source, destination(ctx, assets), ctx.config.host.ssh)
    done = ctx.local.run(command, stop=ctx.stop, timeout=24 * 3600)
    if done.returncode != 0:
        raise rsync.RsyncError(done.returncode, " / ".join(done.stderr.strip().splitlines()[-3:]))
    different = [line for line in done.stdout.splitlines() if line.strip()]
    count = len(files_below(assets.source))
    if different:
        return failed(
            f"{len(different)} of {count} files are missing or different", different[:200], ["run assets.sync again"]
        )
    return passed(
        f"{count} files equal on both sides, by checksum", ["$ " + shlex.join(command), "(it printed nothing)"]
    )
