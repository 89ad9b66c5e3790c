"""The Assets phase: the files rows refer to, packed, sent by rsync, given their modes, compared, looked up by row."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import humanize

from dixis_tui.config import Assets, Config
from dixis_tui.context import Context
from dixis_tui.hosts import backup, envfile, fleet, laravel, references, rsync
from dixis_tui.hosts.host import Completed, Host, join
from dixis_tui.model import DixisError, Kind, Outcome, Progress, Status, failed, passed, warned
from dixis_tui.phrase import counted
from dixis_tui.record.journal import CONFIRMED
from dixis_tui.source import latest_snapshot, reading
from dixis_tui.step import Step

PARTIAL = ".rsync-partial"
# Checksums, because a file of the same size and time may still be another. A file cut off goes on where it was.
SEND = (
    "-rltc",
    f"--partial-dir={PARTIAL}",
    "--no-whole-file",
    "--info=progress2,stats2",
    "--no-human-readable",
    "--outbuf=L",
)
# A dry run, with names as they are; --delete tells what only the other side has.
LOOK = ("-rltc", "--dry-run", "--delete", "--itemize-changes", "--8-bit-output", f"--exclude={PARTIAL}")
DELETE = ("-rltc", "--delete", "--existing", "--ignore-existing", "--itemize-changes", "--8-bit-output")
# The time of a folder changes with whatever the shop keeps in it.
COMPARE = ("-anc", "--itemize-changes", "--omit-dir-times", "--8-bit-output", f"--exclude={PARTIAL}")
DAY = 24 * 3600.0
SHOWN = 200
# Files were about to be removed on the host: data says how often the word had been typed by then.
DELETING = "assets-deleting"
# How find begins or ends what it says of a link that leads in a circle.
CIRCLE = "find: File system loop detected;", ": Too many levels of symbolic links"
# Files that keep a folder in a repository; no row refers to them.
KEEPERS = (".gitignore", ".gitkeep", ".keep")


def steps(config: Config) -> tuple[Step, ...]:
    """The checklist; none without an [assets] section."""
    if config.assets is None:
        return ()
    assets = config.assets
    delete = Step(
        id="assets.delete",
        title="Remove what only the host has",
        kind=Kind.ACTION,
        why="[assets] delete asks for an exact mirror; what is removed must be seen and typed first.",
        work=lambda ctx: _delete(ctx, assets),
        preview=lambda ctx: _delete_preview(ctx, assets),
        word=lambda ctx: (
            ctx.config.target.database if any(one.only_there for one in look_everywhere(ctx, assets)) else ""
        ),
        undo="removed files are kept in storage/dixis-replaced on the host",
    )
    return (
        Step(
            id="assets.backup",
            title="Archive of the assets",
            kind=Kind.ACTION,
            why="A copy that nothing later can change.",
            work=lambda ctx: _backup(ctx, assets),
            preview=lambda ctx: [
                f"tar -czf {ctx.config.backup.directory}/assets-<time>.tar.gz -C {assets.source} .",
                "read it back whole; keep its listing (.txt) and its checksum (.sha256) beside it",
            ],
            undo="remove the archive",
        ),
        Step(
            id="assets.dry-run",
            title="What would be sent, replaced, removed",
            kind=Kind.CHECK,
            why="What rsync is about to do is seen before it does it.",
            work=lambda ctx: _dry_run(ctx, assets),
        ),
        Step(
            id="assets.sync",
            title="Send by rsync over SSH",
            kind=Kind.ACTION,
            why="Only what is missing or different is sent; a file it replaces is kept aside, nothing is deleted.",
            work=lambda ctx: _sync(ctx, assets),
            preview=lambda ctx: fleet.lines(ctx, lambda host: [shlex.join(send_command(host, assets))]),
            undo="replaced files are kept in storage/dixis-replaced on the host",
        ),
        *((delete,) if assets.delete else ()),
        Step(
            id="assets.modes",
            title="Modes and owner",
            kind=Kind.ACTION,
            why="The web server must read every file and enter every folder; no image is a program.",
            work=lambda ctx: _modes(ctx, assets),
            preview=lambda ctx: [
                "the plan's chmod -R 755 would make a program of every image: folders and files are told apart",
                *fleet.lines(
                    ctx,
                    lambda host: [f"{host.app_host.name}: {shlex.join(c)}" for c in mode_commands(host, assets)],
                ),
            ],
            undo="not needed: content is untouched",
        ),
        Step(
            id="assets.compare",
            title="Compare both sides",
            kind=Kind.CHECK,
            why="rsync's exit code is not proof; checksums of every file are.",
            work=lambda ctx: _compare(ctx, assets),
        ),
        Step(
            id="assets.references",
            title="Every file a row refers to",
            kind=Kind.CHECK,
            why="A product whose image is missing is seen by customers first.",
            work=lambda ctx: _references(ctx, assets),
        ),
    )


def destination(ctx: Context, assets: Assets) -> str:
    """The folder on the host, absolute."""
    return join(ctx.config.app.root, assets.destination)


def _command(ctx: Context, assets: Assets, options: Sequence[str]) -> list[str]:
    return rsync.command(options, assets.source, destination(ctx, assets), ctx.config.host.ssh, timeout=assets.timeout)


def _keeping(ctx: Context) -> tuple[str, str]:
    """Options that set aside what is replaced or removed."""
    return "--backup", f"--backup-dir={join(ctx.config.app.root, f'storage/dixis-replaced/{ctx.run_id}')}"


def send_command(ctx: Context, assets: Assets) -> list[str]:
    """The rsync command that sends the assets."""
    kib = ctx.pace.bandwidth_kib
    limit = [f"--bwlimit={kib}"] if kib else []
    return _command(ctx, assets, [*SEND, *limit, *_keeping(ctx)])


def delete_command(ctx: Context, assets: Assets) -> list[str]:
    """The rsync command that removes what only the host has, and touches nothing else."""
    return _command(ctx, assets, [*DELETE, *_keeping(ctx)])


def compare_command(ctx: Context, assets: Assets) -> list[str]:
    """The rsync command that prints whatever is not as it should be: content, time, mode, owner."""
    user, _, group = assets.owner.partition(":")
    owner = [f"--chown={assets.owner}"] if assets.owner else []
    owner += ([] if user else ["--no-owner"]) + ([] if group else ["--no-group"])
    modes = f"--chmod=D{assets.directory_mode},F{assets.file_mode}"
    return _command(ctx, assets, [*COMPARE, modes, *owner])


def mode_commands(ctx: Context, assets: Assets) -> list[list[str]]:
    """The commands that set owner and modes on the host, where they differ; each prints what it changes."""
    folder = destination(ctx, assets).rstrip("/") + "/"  # find does not follow a link without it
    commands = []
    user, _, group = assets.owner.partition(":")
    if assets.owner:
        wrong = [*(["!", "-user", user] if user else []), *(["-o"] if user and group else [])]
        wrong += ["!", "-group", group] if group else []
        commands.append(["find", folder, "(", *wrong, ")", "-exec", "chown", "-hc", "--", assets.owner, "{}", "+"])
    # A folder that cannot be entered is mended before find goes into it.
    for kind, mode, end in (("d", assets.directory_mode, ";"), ("f", assets.file_mode, "+")):
        commands.append(["find", folder, "-type", kind, "!", "-perm", mode, "-exec", "chmod", "-c", mode, "{}", end])
    return commands


def files_below(folder: Path) -> list[Path]:
    """Every file below a folder, links included, sorted."""
    return sorted(Path(root) / name for root, _, names in os.walk(folder) for name in names)


def files_and_folders(folder: Path) -> list[Path]:
    """Everything below a folder, sorted; links are not followed."""
    return sorted(Path(root) / name for root, folders, names in os.walk(folder) for name in (*folders, *names))


def look(host: Context, assets: Assets) -> rsync.Forecast:
    """What sending to a host would do, by a dry run."""
    return rsync.parse_items(_rsync(host, _command(host, assets, LOOK)).stdout)


def look_everywhere(ctx: Context, assets: Assets) -> list[rsync.Forecast]:
    """What sending would do, host by host."""
    return fleet.each(ctx, lambda host: look(host, assets))


def _rsync(ctx: Context, command: Sequence[str], on_line: Callable[[str], None] | None = None) -> Completed:
    """Run rsync to its end; ended when the operator stops. Raises RsyncError that tells its exit codes apart."""
    done = ctx.local.run(command, on_line=on_line, stop=ctx.stop, timeout=DAY)
    if done.returncode != 0:
        raise rsync.RsyncError(done.returncode, " / ".join(done.stderr.strip().splitlines()[-4:]))
    return done


def _backup(ctx: Context, assets: Assets) -> Outcome:
    if not assets.source.is_dir():
        return failed(f"{assets.source} is not a folder", (), ["check [assets] source in the configuration"])
    directory = ctx.config.backup.directory
    backup.prepare(directory)
    name = f"assets-{backup.stamp()}.tar.gz"
    with backup.new_file(directory, name) as path:
        packed = backup.archive(assets.source, path, ctx.stop)
    archive = directory / name
    digest = backup.file_digest(archive)
    with backup.new_file(directory, f"{name}.txt") as path:
        path.write_bytes(backup.listing(packed.files))
    with backup.new_file(directory, f"{name}.sha256") as path:
        path.write_text(f"{digest}  {name}\n", encoding="utf-8")
    return passed(
        f"{counted(len(packed.files), 'file')}, {humanize.naturalsize(packed.size)}, packed and read back",
        [
            str(archive),
            f"{archive.stat().st_size} bytes, sha256 {digest}; by hand: sha256sum -c {name}.sha256",
            f"listing as it was read back: {archive}.txt",
        ],
        files=len(packed.files),
        bytes=packed.size,
    )


def _dry_run(ctx: Context, assets: Assets) -> Outcome:
    ahead = look_everywhere(ctx, assets)
    fate = "would be removed" if assets.delete else "only on the host, left alone"
    told = fleet.named(
        ctx,
        [
            [
                *(f"new: {name}" for name in one.new),
                *(f"would replace: {name}" for name in one.replaced),
                *(f"{fate}: {name}" for name in one.only_there),
            ]
            for one in ahead
        ],
    )
    new, replaced, only = (
        sum(map(len, sets)) for sets in zip(*((o.new, o.replaced, o.only_there) for o in ahead), strict=True)
    )
    summary = f"{new} new, {replaced} would replace another, {only} {fate}"
    lines = [*told[:SHOWN], *([f"and {len(told) - SHOWN} more"] if len(told) > SHOWN else [])]
    leaving = [line for path in files_and_folders(assets.source) if (line := _leaves(path, assets.source))]
    if leaving:
        return warned(
            f"{summary}; {counted(len(leaving), 'link leads', 'links lead')} out of the folder",
            [*leaving[:SHOWN], *lines],
            [f"see {assets.source}: links are sent as they are, and the web server would serve what they name there"],
        )
    return passed(summary, lines)


def _leaves(path: Path, folder: Path) -> str:
    """What a link says that leads out of the folder; empty for anything else."""
    if not path.is_symlink():
        return ""
    target = path.readlink()
    inside = os.path.normpath(path.parent.relative_to(folder) / target)
    if not target.is_absolute() and inside.split("/")[0] != "..":
        return ""
    return f"leads out: {path.relative_to(folder)} -> {target}"


def _sync(ctx: Context, assets: Assets) -> Outcome:
    files = files_below(assets.source)
    total = sum(path.lstat().st_size for path in files)
    several = bool(ctx.other_hosts)

    def send(host: Context) -> list[str]:
        return _send(host, assets, total, f"rsync to {host.app_host.name}" if several else "rsync")

    told = fleet.named(ctx, fleet.each(ctx, send))
    return passed(f"{counted(len(files), 'file')} there, {humanize.naturalsize(total)}", told)


def _send(host: Context, assets: Assets, total: int, label: str) -> list[str]:
    """Send the assets to a host, with its progress; rsync's own statistics."""
    host.app_host.make_directory(destination(host, assets))

    def tell(sent: int, status: Status = Status.RUNNING, **more: Any) -> None:
        host.progress(Progress("assets.sync", label, sent, total, "bytes", status, **more))

    def report(line: str) -> None:
        found = rsync.parse_progress(line)
        if found:
            files = f"{found.files} sent" + (f", {found.checked} of {found.total} seen" if found.total else "")
            tell(min(found.bytes_sent, total), note=files, size=found.bytes_sent, left=found.left)
        elif line.strip():
            host.log(line, "debug")

    command = send_command(host, assets)
    host.say(f"$ {shlex.join(command)}")
    try:
        done = _rsync(host, command, report)
    except DixisError:
        tell(0, Status.FAIL)
        raise
    tell(total, Status.PASS)
    return [line for line in done.stdout.splitlines() if line.startswith(("Number of", "Total", "Literal", "Matched"))]


def _delete_preview(ctx: Context, assets: Assets) -> list[str]:
    def shown(host: Context) -> list[str]:
        names = look(host, assets).only_there
        return [
            f"{host.app_host.name}: remove {counted(len(names), 'file')} that only this host has, kept in"
            " storage/dixis-replaced:",
            *(f"  {name}" for name in names[:SHOWN]),
            *([f"  and {len(names) - SHOWN} more"] if len(names) > SHOWN else []),
            shlex.join(delete_command(host, assets)),
        ]

    return fleet.lines(ctx, shown)


def _delete(ctx: Context, assets: Assets) -> Outcome:
    names = fleet.named(ctx, [one.only_there for one in look_everywhere(ctx, assets)])
    if not names:
        return passed("the host has no file that is not here")
    database, step = ctx.config.target.database, "assets.delete"
    typed = sum(e["typed"] == database and step in e.get("steps", ()) for e in ctx.recorded(CONFIRMED))
    if typed <= max((int(event["words"]) for event in ctx.recorded(DELETING)), default=0):
        return failed(
            f"{counted(len(names), 'file is', 'files are')} on the host only;"
            " nothing was removed, because nobody typed that they may be",
            names[:SHOWN],
            [f"type {database}: the console asks for it; headless: dixis run --from {step} --database {database}"],
        )
    ctx.record(DELETING, {"words": typed, "files": len(names)})
    done = fleet.each(ctx, lambda host: _rsync(host, delete_command(host, assets)).stdout.split("\n"))
    removed = fleet.named(ctx, [[line for line in lines if line.startswith("*deleting")] for lines in done])
    return passed(f"{counted(len(names), 'file')} removed on the host, and kept aside there", removed[:SHOWN])


def _modes(ctx: Context, assets: Assets) -> Outcome:
    def mend(host: Context) -> list[str]:
        changed: list[str] = []
        for command in mode_commands(host, assets):
            done = host.app_host.run(command, stop=ctx.stop, timeout=DAY)
            changed += done.check(f"{command[0]} on {host.app_host.name}").stdout.splitlines()
        return changed

    changed = fleet.named(ctx, fleet.each(ctx, mend))
    return passed(
        f"folders {assets.directory_mode}, files {assets.file_mode}"
        + (f", owner {assets.owner}" if assets.owner else "")
        + f": {len(changed)} changes",
        changed[:SHOWN],
        changed=len(changed),
    )


def _compare(ctx: Context, assets: Assets) -> Outcome:
    done = fleet.each(ctx, lambda host: _rsync(host, compare_command(host, assets)).stdout.split("\n"))
    different = fleet.named(ctx, [[line for line in lines if line.strip()] for lines in done])
    count = len(files_below(assets.source))
    if different:
        return failed(
            f"{len(different)} of {count} files and folders are missing or different",
            different[:SHOWN],
            ["run assets.sync and assets.modes again: dixis run --from assets.sync"],
        )
    commands = fleet.lines(ctx, lambda host: ["$ " + shlex.join(compare_command(host, assets))])
    return passed(f"{counted(count, 'file')} equal on both sides, by checksum", [*commands, "(it printed nothing)"])


def _listed(host: Host, folder: str) -> dict[str, int]:
    """Every file below a folder of a host, by path below it, with its size; links count as what they lead to."""
    done = host.run(["env", "LC_ALL=C", "find", "-L", folder, "-type", "f", "-printf", "%s %P\\0"], timeout=DAY)
    # A link that leads in a circle is no file; what else find complains of may hide one.
    complaints = done.stderr.splitlines() or [""]
    if not all(line.startswith(CIRCLE[0]) or line.endswith(CIRCLE[1]) for line in complaints):
        done.check(f"Listing {folder} on {host.name}")
    lines = done.stdout.split("\0")
    return {path: int(size) for size, _, path in (line.partition(" ") for line in lines if line)}


def _references(ctx: Context, assets: Assets) -> Outcome:
    if not assets.columns:
        return warned(
            "nobody said which columns name files",
            (),
            ["name them in [assets] columns, such as products.main_image, and run this check again"],
        )
    base = envfile.values(laravel.read_env(ctx)).get("APP_URL", "").rstrip("/")
    urls = [*assets.urls, *([f"{base}/storage/"] if base else [])]
    listed = fleet.each(ctx, lambda host: _listed(host.app_host, destination(host, assets)))
    # Only what every host has is there for customers.
    there = {path: size for path, size in listed[0].items() if all(path in other for other in listed[1:])}
    with reading(latest_snapshot(ctx)) as connection:
        unknown = references.unknown(connection, assets.columns)
        if unknown:
            return failed(
                f"{counted(len(unknown), 'column is', 'columns are')} not in the source",
                unknown,
                ["mend [assets] columns"],
            )
        found = references.survey(connection, assets.columns, there, urls)
    orphans = sorted(
        path
        for path in there.keys() - found.paths
        if path.rpartition("/")[2] not in KEEPERS and PARTIAL not in path.split("/")
    )
    size = humanize.naturalsize(sum(there[path] for path in orphans))
    evidence = [
        f"{counted(found.rows, 'value')} in {counted(len(assets.columns), 'column')};"
        f" {found.elsewhere} at other addresses, not looked up",
        f"{counted(len(orphans), 'file')}, {size}, that no row refers to"
        + (": " + ", ".join(orphans[:5]) if orphans else ""),
    ]
    facts = {"missing": len(found.missing), "orphans": len(orphans), "unclear": len(found.unclear)}
    if found.missing or found.unclear:
        lines = [*map(str, found.missing), *(f"names no file: {one}" for one in found.unclear)]
        missing = counted(len(found.missing), "file that rows refer to is", "files that rows refer to are")
        summary = f"{missing} not on the host"
        return failed(
            summary
            + (f", {counted(len(found.unclear), 'value names', 'values name')} no file" if found.unclear else ""),
            [*evidence, *lines[:SHOWN], *([f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else [])],
            [
                f"bring the files into {assets.source} and run: dixis run --from assets.sync",
                "or mend the rows in the shop; files that the shop lost long ago can be waived, with the reason",
            ],
            **facts,
        )
    return passed(f"{counted(len(found.paths), 'file')} that rows refer to, all on the host", evidence, **facts)
