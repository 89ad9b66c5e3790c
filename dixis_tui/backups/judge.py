"""Whether there is a backup to fall back on: the one idea of a good backup that every check and page shares."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import humanize

from dixis_tui.backups.manifest import Folder, Kept, Kind
from dixis_tui.model import Status

MAKE = "dixis backup create --verify"


@dataclass(frozen=True)
class Verdict:
    """status: pass, warn or fail; age: of the newest good one, None without; remedy: commands."""

    status: Status
    summary: str
    lines: tuple[str, ...] = ()
    remedy: tuple[str, ...] = ()
    newest: Kept | None = None
    age: timedelta | None = None


def judge(folder: Folder, kind: Kind | None, now: datetime, max_age_hours: int) -> Verdict:
    """Pass: the newest good backup is young enough and was restored to equal. Warn: it is older, or was not restored
    yet. Fail: there is none, or it is more than twice too old."""
    what = {"target": "backup of the target", "source": "backup of the source", None: "backup"}[kind]
    mine = [kept for kept in folder.kept if kind in (None, kept.manifest.kind)]
    newest = folder.newest_good(kind)
    bad = [kept for kept in mine if not kept.good and (newest is None or mine.index(kept) > mine.index(newest))]
    lines = [_told(kept) for kept in (*([newest] if newest else []), *bad)]
    if newest is None:
        return Verdict(Status.FAIL, f"there is no good {what}", tuple(lines), (MAKE,))
    age = now - newest.manifest.made_at
    old = humanize.naturaldelta(age)
    most = timedelta(hours=max_age_hours)
    remedy: tuple[str, ...] = ()
    status, summary = Status.PASS, f"the newest good {what} is {old} old and was restored to equal"
    if newest.state != "verified":
        status, summary = Status.WARN, f"the newest {what} is {old} old and was not restored yet"
        remedy = (f"dixis backup verify {newest.path.name}",)
    if bad:
        status, summary = Status.WARN, f"{summary}; {len(bad)} newer not good"
        remedy = (MAKE,)
    if age > most:
        status, summary = Status.WARN, f"the newest good {what} is {old} old"
        remedy = (MAKE, "dixis backup schedule")
    if age > 2 * most:
        status = Status.FAIL
    return Verdict(status, summary, tuple(lines), remedy, newest, age)


def _told(kept: Kept) -> str:
    verified = kept.manifest.verified
    why = kept.problem or "; ".join(verified.differences[:3] if verified else ())
    return f"{kept.path.name}: {kept.state}" + (f", {why}" if why else "")
