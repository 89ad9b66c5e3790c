"""Checks of room on disks, on both ends."""

from __future__ import annotations

import humanize

from checks.registry import Answer, check, good, problem
from dixis_tui import assets, backup
from dixis_tui.context import Context
from dixis_tui.source import latest_snapshot

# Three snapshots may stand side by side: preflight's, the data's, the rollback's.
SNAPSHOTS = 3
RESERVE = 100 * 1024 * 1024


def _asset_bytes(ctx: Context) -> int:
    if ctx.config.assets is None:
        return 0
    return sum(path.lstat().st_size for path in assets.files_below(ctx.config.assets.source))


def _judge(name: str, free: int, needed: int) -> Answer:
    text = f"{humanize.naturalsize(free)} free on {name}, {humanize.naturalsize(needed)} wanted"
    return good(text) if free >= needed else problem(text)


@check(
    "preflight.space-here",
    "Room on this machine",
    why="Snapshots and archives are kept here; a full disk in the window costs the window.",
    severity="fail",
    remedy="make room, or put [run] directory and [backup] directory on another disk",
)
def here(ctx: Context) -> Answer:
    needed = SNAPSHOTS * latest_snapshot(ctx).size + _asset_bytes(ctx) + RESERVE
    return _judge(ctx.local.name, ctx.local.free_space(str(ctx.run_dir)), needed)


@check(
    "preflight.space-host",
    "Room on the application's host",
    why="The assets go there, and a copy of the source is made there for each snapshot.",
    severity="fail",
    remedy="make room on the host",
)
def host(ctx: Context) -> Answer:
    needed = latest_snapshot(ctx).size + _asset_bytes(ctx) + RESERVE
    return _judge(ctx.app_host.name, ctx.app_host.free_space(ctx.config.app.root), needed)


@check(
    "preflight.assets-folder",
    "The assets are there",
    why="A wrong folder would send nothing and look like success.",
    severity="fail",
    remedy="check [assets] source: the folder that holds the images here; leave the section out when there are none",
)
def assets_folder(ctx: Context) -> Answer:
    settings = ctx.config.assets
    if settings is None:
        return good("not needed: there is no [assets] section")
    if not settings.source.is_dir():
        return problem(f"{settings.source} is not a folder")
    count = len(assets.files_below(settings.source))
    if count == 0:
        return problem(f"{settings.source} is empty")
    return good(f"{count} files in {settings.source}")


@check(
    "preflight.backup-folder",
    "Backup folder can be written",
    why="No step that changes anything may run without a place for its backup.",
    severity="fail",
    remedy="mend its permissions, or name another under [backup] directory",
)
def backup_folder(ctx: Context) -> Answer:
    directory = ctx.config.backup.directory
    backup.prepare(directory)
    return good(str(directory))
