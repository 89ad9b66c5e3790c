"""Checks of time: does the migration fit into its window?"""

from __future__ import annotations

import time
from dataclasses import dataclass

import humanize

from checks.env import ARTISAN
from checks.registry import Answer, check, finding, found
from checks.shared import HOST, PLANNED, Planned, planned, server
from dixis_tui.context import Context
from dixis_tui.copy.copying import reading_jobs
from dixis_tui.hosts import assets
from dixis_tui.plan import MINUTES
from dixis_tui.schemas import rows
from dixis_tui.schemas.rows import Range
from dixis_tui.target import query

PROBE_BYTES = 4 << 20
PROBE_SECONDS = 1.0
PROBE_ROWS = 20_000
# What the server stores, indexes included, when nothing else bounds it; measured with the copy on two cores.
STORE_BYTES = 12e6
STORE_ROWS = 40_000
# Reading both sides for the proof, and one statement of DDL.
PROVE_BYTES = 20e6
DDL_SECONDS = 0.05
# Starting what a phase consists of.
BESIDE_SECONDS = 5.0
# A measured estimate may be wrong by this much before the plan is.
CAUTION = 1.5
TITLES = {"schema": "Schema", "data": "Data", "assets": "Assets", "validation": "Validation", "cutover": "Cutover"}


@dataclass(frozen=True)
class Speeds:
    """Measured here, bytes a second: encoding rows, sending to the server, sending to the application's host; artisan:
    seconds of one command."""

    encode: float
    server: float
    host: float
    artisan: float


@check(
    "time.window",
    "The plan's times",
    why="The window is two hours. An estimate from the scan and quick measurements is held against the plan's T+15,"
    " T+45, T+75, T+90 and T+120.",
    severity="warn",
    remedy="ask for a longer window, copy the assets beforehand, or mend what is slow",
    needs=(PLANNED, HOST, ARTISAN),
)
def window(ctx: Context) -> Answer:
    plan = planned(ctx)
    speeds = _measure(ctx, plan)
    seconds = estimate(ctx, plan, speeds)
    evidence, findings, spent = [], [], 0.0
    for phase, needed in seconds.items():
        spent += needed
        due = MINUTES[phase] * 60
        line = f"{TITLES[phase]:<11} {humanize.precisedelta(needed, minimum_unit='seconds', format='%0.0f')}"
        evidence.append(f"{line}, done at T+{spent / 60:.0f}, due T+{MINUTES[phase]}")
        if spent * CAUTION > due:
            text = f"{TITLES[phase]} would be done at about T+{spent / 60:.0f}, the plan wants it by T+{MINUTES[phase]}"
            findings.append(finding(text))
    measured = (
        f"measured: encoding {_rate(speeds.encode)}, to the server {_rate(speeds.server)}, to the host"
        f" {_rate(speeds.host)}, artisan {speeds.artisan:.1f} s"
    )
    minutes = ctx.config.run.window_minutes
    if spent * CAUTION > minutes * 60:
        findings.append(finding(f"all of it takes about {spent / 60:.0f} minutes, the window is {minutes} long"))
    facts = {"seconds": seconds, "speeds": vars(speeds)}
    return found(findings, f"about {spent / 60:.0f} of {minutes} minutes", *evidence, measured, facts=facts)


def _rate(speed: float) -> str:
    return f"{humanize.naturalsize(speed)}/s"


def estimate(ctx: Context, plan: Planned, speeds: Speeds) -> dict[str, float]:
    """Seconds each phase would take."""
    size = plan.snapshot.size
    count = sum(job.total for job in plan.jobs)
    keys = sum(len(table.indexes) + len(table.foreign_keys) + 1 for table in plan.schema.tables)
    snapshot = size / speeds.host if not ctx.app_host.is_local else size / STORE_BYTES / 4
    store = max(size / min(speeds.encode, speeds.server, STORE_BYTES), count / STORE_ROWS)
    files = assets.files_below(ctx.config.assets.source) if ctx.config.assets else []
    asset_bytes = sum(path.lstat().st_size for path in files)
    return {
        "schema": BESIDE_SECONDS + keys * DDL_SECONDS,
        "data": BESIDE_SECONDS + snapshot + store,
        "assets": BESIDE_SECONDS + asset_bytes / speeds.host + asset_bytes / PROVE_BYTES,
        "validation": BESIDE_SECONDS + 2 * size / PROVE_BYTES,
        "cutover": BESIDE_SECONDS + 12 * speeds.artisan,
    }


def _measure(ctx: Context, plan: Planned) -> Speeds:
    started = time.perf_counter()
    ctx.app_host.run([ctx.config.app.php, "artisan", "--version"], cwd=ctx.config.app.root, timeout=60)
    artisan = time.perf_counter() - started
    return Speeds(_encoding(plan), _to_server(ctx), _to_host(ctx), artisan)


def _encoding(plan: Planned) -> float:
    """Bytes of rows written in the load format in a second, from the largest table."""
    jobs = sorted((job for job in plan.jobs if job.fields and job.total), key=lambda job: -job.total)
    if not jobs:
        return STORE_BYTES
    job = jobs[0]
    count = min(PROBE_ROWS, rows.block_rows(job.fields) * 20)
    done, started = 0, time.perf_counter()
    with reading_jobs(plan.snapshot.path, [job]) as source:
        size = rows.block_rows(job.fields)
        for block in rows.blocks(source, job.read, job.fields, Range(), load=True, count=size):
            done += len(block.data)
            count -= block.rows
            if count <= 0 or time.perf_counter() - started > PROBE_SECONDS:
                break
    return max(done, 1) / max(time.perf_counter() - started, 1e-4)


def _to_server(ctx: Context) -> float:
    payload = "x" * min(PROBE_BYTES, 1 << 19)
    started, sent = time.perf_counter(), 0
    with server(ctx) as connection:
        while sent < PROBE_BYTES and time.perf_counter() - started < PROBE_SECONDS:
            query(connection, "SELECT LENGTH(%s)", (payload,))
            sent += len(payload)
    return sent / max(time.perf_counter() - started, 1e-4)


def _to_host(ctx: Context) -> float:
    if ctx.app_host.is_local:
        return STORE_BYTES * 10
    started = time.perf_counter()
    ctx.app_host.run(["sh", "-c", "cat > /dev/null"], data=b"x" * PROBE_BYTES, timeout=60)
    return PROBE_BYTES / max(time.perf_counter() - started, 1e-4)
