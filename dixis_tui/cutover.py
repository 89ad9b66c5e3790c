"""Cutover: maintenance on, source unchanged, `.env` switched, the application asked, the gate, traffic.

Until the last step the shop is closed and everything can be taken back by the rollback.
"""

from __future__ import annotations

from datetime import UTC, datetime

from dixis_tui import envfile, laravel, transfer, validation
from dixis_tui.config import Config
from dixis_tui.context import Context
from dixis_tui.host import join
from dixis_tui.journal import SWITCHED, WENT_LIVE
from dixis_tui.model import DixisError, Kind, Outcome, failed, passed
from dixis_tui.source import latest_snapshot, mark, source_host
from dixis_tui.step import Step
from dixis_tui.target import connected, identifier, query

# Laravel's names of the drivers that reach the target.
DRIVERS = ("mysql", "mariadb")
GATE_ROLES = ("lead", "database review", "technical approval")


def steps(config: Config) -> tuple[Step, ...]:
    """The cutover's checklist, in order."""
    return (
        Step(
            id="cutover.maintenance",
            title="Maintenance mode on",
            kind=Kind.ACTION,
            why="No order may be written to the old database after its last copy was taken.",
            work=_maintenance,
            preview=lambda ctx: [
                laravel.shown(ctx, "queue:restart"),
                laravel.shown(ctx, "down", "--retry=60"),
                "starts the clock of the window if it is not running",
            ],
            undo="php artisan up",
        ),
        Step(
            id="cutover.snapshot",
            title="Last snapshot",
            kind=Kind.ACTION,
            why="Whatever was written to the old database since the copy is taken along now that nobody writes.",
            work=transfer.take_last,
            preview=lambda ctx: [
                f"where {ctx.config.source.path} was written since its latest snapshot: take another one"
            ],
            undo="nothing to undo: the source is only read",
        ),
        Step(
            id="cutover.resync",
            title="Write what changed since the copy",
            kind=Kind.ACTION,
            why="The copy may have been made while the shop was open: only the difference is written in the window.",
            work=lambda ctx: transfer.resync_all(ctx, "cutover.resync"),
            preview=transfer.resync_preview,
            word=transfer.word_needed,
            undo="nothing to undo: the target holds the last snapshot, the source still has every row",
        ),
        Step(
            id="cutover.unchanged",
            title="Source unchanged since the snapshot",
            kind=Kind.CHECK,
            why="A row written after the snapshot would be missing on MySQL.",
            work=_unchanged,
            waivable=False,
        ),
        Step(
            id="cutover.proof",
            title="Every value on the target",
            kind=Kind.CHECK,
            why="Whatever a functional test left there would go live.",
            work=lambda ctx: validation.prove(ctx, "cutover.proof"),
        ),
        Step(
            id="cutover.environment",
            title=f"Switch {config.app.env_file} to MySQL",
            kind=Kind.ACTION,
            why="This is the moment the application changes its database.",
            work=_switch,
            preview=_switch_preview,
            undo="the rollback puts the saved copy back, byte for byte",
        ),
        Step(
            id="cutover.caches",
            title="Clear caches, restart workers",
            kind=Kind.ACTION,
            why="A cached configuration would keep the application on the old database.",
            work=lambda ctx: laravel.refresh_caches(ctx).outcome("the application reads its new settings"),
            preview=_caches_preview,
            undo="nothing to undo: caches fill again by themselves",
        ),
        Step(
            id="cutover.smoke",
            title="The application answers on MySQL",
            kind=Kind.CHECK,
            why="Only the application itself can say which database it reads.",
            work=_smoke,
            waivable=False,
        ),
        Step(
            id="cutover.gate",
            title="Go or no-go",
            kind=Kind.GATE,
            why="Traffic returns when lead, database reviewer and technical approver agree: two people at least.",
            roles=GATE_ROLES,
        ),
        Step(
            id="cutover.open",
            title="Maintenance mode off",
            kind=Kind.ACTION,
            why="The shop is open again, on MySQL.",
            work=_open,
            preview=lambda ctx: [laravel.shown(ctx, "up"), "stops the clock of the window"],
            undo="the rollback; it brings home what was written to MySQL from here on",
        ),
    )


def trial() -> Step:
    """The check that stands in Validation: the application can use the target before anything is switched."""
    return Step(
        id="validation.application",
        title="The application answers on MySQL, on trial",
        kind=Kind.CHECK,
        why="Its driver, its certificate and its account are proved while the shop still runs on SQLite.",
        work=_trial,
    )


def _trial(ctx: Context) -> Outcome:
    with laravel.trial_environment(ctx) as name:
        answer = laravel.ask(ctx, environment=name)
    return _judge(ctx, answer) or passed(
        "the application can use MySQL, and counts the rows the target holds", answer.lines()
    )


def _judge(ctx: Context, answer: laravel.Answer) -> Outcome | None:
    """What is wrong with the application's answer on the target; None when nothing is."""
    target = ctx.config.target
    if answer.driver not in DRIVERS or answer.database != target.database:
        return failed(
            f"the application is on {answer.driver} {answer.database}, not on MySQL {target.database}",
            answer.lines(),
            ["a cached configuration or a shell variable may override .env: see cutover.caches"],
        )
    expected = target_counts(ctx, ctx.config.validation.probe_tables)
    if answer.rows != expected:
        return failed(
            "the application counts other rows than the target holds", [*answer.lines(), f"target: {expected}"]
        )
    return None


def _maintenance(ctx: Context) -> Outcome:
    evidence = [f"window of {ctx.config.run.window_minutes} minutes opened"]
    if laravel.ask(ctx, tables=()).down:
        evidence.append("it was in maintenance mode already")
    else:
        # Workers hear of it through the cache, which may be in the old database: so before the last look at that.
        restarted = laravel.artisan(ctx, "queue:restart")
        evidence.append(
            "queue workers end after their present job"
            if restarted.returncode == 0
            else "queue:restart is not available in this application; restart its workers by hand"
        )
        laravel.go_down(ctx)
    ctx.record("window-opened", {})
    return passed("the application is in maintenance mode", evidence)


def _unchanged(ctx: Context) -> Outcome:
    if ctx.fact("data.snapshot", "snapshot") is None:
        return failed("the data has not been copied in this run", (), ["run the Data phase first"])
    if not laravel.ask(ctx, tables=()).down:
        return failed(
            "the application is not in maintenance mode: it may write at any moment",
            (),
            ["run cutover.maintenance again"],
        )
    return _written_since(ctx) or passed(
        "nothing was written to the source since its snapshot", [f"snapshot taken {latest_snapshot(ctx).taken_at}"]
    )


def _written_since(ctx: Context) -> Outcome | None:
    """What to say when the source was written after its snapshot; None when it was not."""
    snapshot = latest_snapshot(ctx)
    now = mark(source_host(ctx), ctx.config.source.path)
    evidence = [f"snapshot taken {snapshot.taken_at}, sha256 {snapshot.sha256}"]
    if now != snapshot.mark:
        return failed(
            "the source was written after its snapshot",
            [*evidence, f"then: {snapshot.mark}", f"now:  {now}"],
            [
                "the new rows are in the SQLite database only; nothing is lost",
                "find who writes although the shop is in maintenance: workers, scheduled tasks, another host",
                "then take them along: run Last snapshot again and go on, or dixis run --from cutover.snapshot",
            ],
        )
    return None


def _switch_preview(ctx: Context) -> list[str]:
    path = laravel.env_path(ctx)
    text = laravel.read_env(ctx)
    return [
        f"keep a copy: {laravel.saved_env_path(ctx)} (same mode and owner)",
        f"write {path}, all other lines as they are:",
        *(f"  {line}" for line in laravel.shown_changes(laravel.target_env(ctx, text))),
    ]


def _switch(ctx: Context) -> Outcome:
    path, saved = laravel.env_path(ctx), laravel.saved_env_path(ctx)
    text = laravel.read_env(ctx)
    changes = laravel.target_env(ctx, text)
    kept = any(event["path"] == saved for event in ctx.recorded(SWITCHED))
    if not kept:
        unsafe = _unchanged(ctx)
        if not unsafe.status.settled:
            return unsafe
        if changes.items() <= envfile.values(text).items():
            return failed(
                f"{path} already leads to the target, and this run holds no copy of the one before",
                (),
                [
                    "put the SQLite settings back into it, so that a copy for the rollback can be kept",
                    "then run this step again",
                ],
            )
        ctx.app_host.copy(path, saved)
        ctx.record(SWITCHED, {"path": saved, "sha256": laravel.digest(text), "environment": path})
    switched = envfile.changed(text, changes)
    ctx.app_host.write(path, switched.encode())
    ctx.app_host.remove(join(ctx.config.app.root, laravel.TRIAL_ENV))
    if laravel.read_env(ctx) != switched:
        return failed(
            f"{path} does not read back as written", (), ["find out what else writes it; then run the rollback"]
        )
    return passed(f"{ctx.config.app.env_file} leads to MySQL", [f"copy kept: {saved}", *laravel.shown_changes(changes)])


def _caches_preview(ctx: Context) -> list[str]:
    commands = [laravel.shown(ctx, name) for name in laravel.cache_commands(ctx) if name]
    return [*commands, *(f"{ctx.app_host.name}: {text}" for text in ctx.config.app.restart)]


def target_counts(ctx: Context, tables: tuple[str, ...]) -> dict[str, int | None]:
    """Rows of these tables on the target over the console's own connection; None for one that is not there."""
    counts: dict[str, int | None] = {}
    with connected(ctx.config.target) as connection:
        present = {str(row[0]) for row in query(connection, "SHOW TABLES")}
        for table in tables:
            if table in present:
                counts[table] = int(query(connection, f"SELECT COUNT(*) FROM {identifier(table)}")[0][0])
            else:
                counts[table] = None
    return counts


def _smoke(ctx: Context) -> Outcome:
    answer = laravel.ask(ctx)
    wrong = _judge(ctx, answer)
    if wrong is not None:
        return wrong
    if not answer.down:
        return failed(
            "the application answers on MySQL, but it is open: somebody ended its maintenance mode",
            answer.lines(),
            ["php artisan down, then run this step again; orders taken meanwhile are on MySQL"],
        )
    return passed("the application answers on MySQL, with the rows the target holds", answer.lines())


def _open(ctx: Context) -> Outcome:
    answer = laravel.ask(ctx, tables=())
    if answer.driver not in DRIVERS:
        raise DixisError(
            f"The application is on {answer.driver}; traffic was not let in.",
            safe="the application stays in maintenance mode",
            next_step="run the Cutover phase again, or roll back",
        )
    written = _written_since(ctx)
    if written is not None:
        return written
    ctx.record(
        WENT_LIVE,
        {
            "database": ctx.config.target.database,
            "snapshot": latest_snapshot(ctx).model_dump(mode="json"),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
    laravel.go_up(ctx)
    ctx.record("window-closed", {})
    return passed("the shop is open, on MySQL")
