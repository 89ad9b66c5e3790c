"""The first backup of the target, made and restored while everybody is still awake: a step of the Watch phase."""

from __future__ import annotations

from dixis_tui.backups import make, manifest, scratch
from dixis_tui.backups.judge import judge
from dixis_tui.backups.manifest import Kept
from dixis_tui.backups.work import Work
from dixis_tui.context import Context
from dixis_tui.model import Kind, Outcome, Status, failed, passed
from dixis_tui.phrase import counted
from dixis_tui.step import Step


def step() -> Step:
    """The action of the Watch phase."""
    return Step(
        id="watch.first-backup",
        title="The first backup",
        kind=Kind.ACTION,
        why="The shop's new database has never been backed up; a backup counts once it was restored.",
        work=first,
        preview=_preview,
        undo="remove the file and its manifest; nothing else is changed",
    )


def _work(ctx: Context) -> Work:
    return Work(ctx.config, ctx.local, ctx.app_host, ctx.say, ctx.stop)


def _there(work: Work) -> str:
    """What is said of a good backup that is there; empty for none."""
    found = judge(manifest.look(work.directory), "target", work.now(), work.config.backup.max_age_hours)
    return found.summary if found.status is Status.PASS else ""


def _preview(ctx: Context) -> list[str]:
    target = ctx.config.target
    if there := _there(_work(ctx)):
        return [f"nothing: {there}"]
    return [
        f"dump {target.database} with the server's own program into {ctx.config.backup.directory}",
        "restore it into a database of its own, compare every table, drop that database",
    ]


def first(ctx: Context) -> Outcome:
    """Make a backup and restore it, where no good one is there. Raises what make and scratch do."""
    work = _work(ctx)
    if there := _there(work):
        return passed(f"there is one already: {there}")
    with manifest.alone(work.directory):
        kept = scratch.verify(work, make.target(work))
    told = _evidence(kept)
    if kept.good:
        return passed(f"{kept.path.name} was made, and restored to equal", told)
    differences = kept.manifest.verified.differences if kept.manifest.verified else ()
    return failed(
        f"{kept.path.name} does not restore to what was dumped",
        [*told, *differences],
        ["keep it for a look, and try again: dixis backup create --verify"],
    )


def _evidence(kept: Kept) -> list[str]:
    told = kept.manifest
    return [
        str(kept.path),
        f"{counted(len(told.tables), 'table')}, {counted(told.rows, 'row')}, {told.size:,} bytes, sha256 {told.sha256}",
    ]
