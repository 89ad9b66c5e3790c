"""Cutover: workers stopped, maintenance on, source unchanged, `.env` switched, the application asked, gate, traffic.

Until the last step the shop is closed and everything can be taken back by the rollback.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from dixis_tui.compare import validation
from dixis_tui.config import Config, Run
from dixis_tui.config.application import secretive
from dixis_tui.context import Context
from dixis_tui.copy import catchup, holdings, transfer
from dixis_tui.hosts import envfile, fleet, laravel, smoke
from dixis_tui.hosts.host import join
from dixis_tui.model import DixisError, Kind, Outcome, StoppedError, failed, passed, warned
from dixis_tui.phrase import counted, roughly
from dixis_tui.record.journal import KEPT, WENT_LIVE
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
            id="cutover.flag",
            title="Maintenance mode outlives the switch",
            kind=Kind.CHECK,
            why="A flag kept in the database or in a cache that is cleared would open the shop in the middle of it.",
            work=_flag,
            waivable=False,
        ),
        Step(
            id="cutover.workers",
            title="Stop the workers",
            kind=Kind.ACTION,
            why="Workers hear of it through the cache, which may be in the old database: so while that is still there.",
            work=_stop_workers,
            preview=_workers_preview,
            undo="start the workers again: the commands of [app] start_workers",
        ),
        Step(
            id="cutover.maintenance",
            title="Maintenance mode on",
            kind=Kind.ACTION,
            why="No order may be written to the old database after its last copy was taken.",
            work=_maintenance,
            preview=_maintenance_preview,
            undo="php artisan up",
        ),
        Step(
            id="cutover.drain",
            title="Running requests have ended",
            kind=Kind.CHECK,
            why="A request that began before the maintenance may still write an order.",
            work=_drain,
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
            work=lambda ctx: catchup.resync_all(ctx, "cutover.resync"),
            preview=catchup.resync_preview,
            word=holdings.word_needed,
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
            work=lambda ctx: refresh(ctx, "the application reads its new settings"),
            preview=caches_preview,
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
            id="cutover.migrations",
            title="Every migration has run",
            kind=Kind.CHECK,
            why="Asked of artisan as it is now, on its new database.",
            work=_migrations,
        ),
        Step(
            id="cutover.trials",
            title="Trials behind the closed door",
            kind=Kind.CHECK,
            why="The addresses, commands and questions of [smoke] are tried before customers try them.",
            work=smoke.check,
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
            preview=_open_preview,
            undo="the rollback; it brings home what was written to MySQL from here on",
        ),
        Step(
            id="cutover.workers-start",
            title="Start the workers",
            kind=Kind.ACTION,
            why="Mails, invoices and payments wait in the queue until somebody works on it.",
            work=_start_workers,
            preview=lambda ctx: fleet.lines(ctx, lambda host: _shown_commands(host, ctx.config.app.start_workers)),
            undo="stop them again: the commands of [app] stop_workers",
        ),
        Step(
            id="cutover.keep",
            title="Old SQLite database read-only, and kept",
            kind=Kind.ACTION,
            why="Whoever still writes there is told at once, and the file stays as it was when the shop left it.",
            work=_keep,
            preview=lambda ctx: [f"{source_host(ctx).name}: chmod a-w {ctx.config.source.path}"],
            undo="chmod u+w; the rollback gives it back the mode it had",
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
    def answered(host: Context) -> laravel.Answer:
        with laravel.trial_environment(host) as name:
            return laravel.ask(host, environment=name)

    return _judge(ctx, fleet.each(ctx, answered), "the application can use MySQL, and counts the rows the target holds")


def _judge(ctx: Context, answers: Sequence[laravel.Answer], good: str) -> Outcome:
    """What the application's answers on the target amount to, on each host."""
    target = ctx.config.target
    told = fleet.named(ctx, [answer.lines() for answer in answers])
    for answer in answers:
        if answer.driver not in DRIVERS or answer.database != target.database:
            return failed(
                f"the application is on {answer.driver} {answer.database}, not on MySQL {target.database}",
                told,
                ["a cached configuration or a shell variable may override .env: see cutover.caches"],
            )
    expected = target_counts(ctx, ctx.config.validation.probe_tables)
    if any(answer.rows != expected for answer in answers):
        return failed("the application counts other rows than the target holds", [*told, f"target: {expected}"])
    return passed(good, told)


def _flag(ctx: Context) -> Outcome:
    flags = [answer.flag for answer in fleet.each(ctx, lambda host: laravel.ask(host, tables=()))]
    told = fleet.named(ctx, [[f"kept in {f.path if f.driver == 'file' else f'cache store {f.store}'}"] for f in flags])
    if any(flag.driver != "file" and (flag.store_driver == "database" or flag.cleared) for flag in flags):
        return failed(
            "the switch would lift maintenance mode: its flag is in the database, or in the cache that is cleared",
            told,
            ["set APP_MAINTENANCE_DRIVER=file in .env and clear the cached configuration: php artisan config:clear"],
        )
    return passed("nothing the cutover does can lift maintenance mode", told)


def _shown_commands(ctx: Context, commands: Sequence[str]) -> list[str]:
    return [f"{ctx.app_host.name}: {text}" for text in commands] or [f"{ctx.app_host.name}: no command is configured"]


def _workers_preview(ctx: Context) -> list[str]:
    return [
        *fleet.lines(ctx, lambda host: [laravel.shown(host, laravel.RESTART)]),
        *fleet.lines(ctx, lambda host: _shown_commands(host, ctx.config.app.stop_workers)),
    ]


def _stop_workers(ctx: Context) -> Outcome:
    def tell(host: Context) -> laravel.Refreshed:
        if laravel.ask(host, tables=()).driver in DRIVERS:
            return laravel.Refreshed(("on MySQL already: queue:restart was not sent again",), ())
        return laravel.restart_workers(host)

    told = fleet.each(ctx, tell)
    done = fleet.each(ctx, lambda host: laravel.run_commands(host, ctx.config.app.stop_workers))
    deaf = fleet.named(ctx, [one.problems for one in told])
    problems = fleet.named(ctx, [one.problems for one in done])
    evidence = fleet.named(ctx, [(*one.done, *two.done) for one, two in zip(told, done, strict=True)])
    if problems:
        return failed(
            "not every worker could be stopped; the shop is open, on SQLite",
            [*problems, *deaf, *evidence],
            ["stop them by hand, or mend [app] stop_workers; then run this step again"],
        )
    if deaf:
        return warned(
            "queue workers could not be told to end; the shop is open, on SQLite",
            [*deaf, *evidence],
            ["see that no worker runs before you go on: one would write to the database that is left"],
        )
    if not ctx.config.app.stop_workers:
        evidence.append("[app] stop_workers names no command: whoever starts workers anew must be stopped by hand")
    return passed("the workers are told to end", evidence)


def _start_workers(ctx: Context) -> Outcome:
    done = fleet.each(ctx, lambda host: laravel.run_commands(host, ctx.config.app.start_workers))
    problems = fleet.named(ctx, [one.problems for one in done])
    evidence = fleet.named(ctx, [one.done for one in done])
    if problems:
        return failed(
            "the shop is open on MySQL, but not every worker could be started",
            [*problems, *evidence],
            ["start them by hand, or mend [app] start_workers; then run this step again"],
        )
    return passed("the workers work again" if evidence else "no command is configured: [app] start_workers", evidence)


def _maintenance_preview(ctx: Context) -> list[str]:
    def shown(host: Context) -> list[str]:
        arguments, unknown = laravel.down_arguments(host)
        return [laravel.shown(host, "down", *arguments), *(f"  left out: --{name}" for name in unknown)]

    starts = "starts the clock of the window if it is not running"
    return [*fleet.lines(ctx, shown), starts, *_outside_the_window(ctx.config.run, datetime.now(UTC))]


def _outside_the_window(run: Run, now: datetime) -> list[str]:
    """A word to whoever would close the shop when nobody expects it to be closed."""
    if run.window_opens is None:
        return []
    to_go = (run.window_opens.astimezone(UTC) - now).total_seconds()
    if to_go > 0:
        return [f"BEFORE THE WINDOW: it was announced to open in {roughly(to_go)}"]
    over = -to_go - run.window_minutes * 60
    return [f"PAST THE WINDOW: it ended {roughly(over)} ago"] if over > 0 else []


def _maintenance(ctx: Context) -> Outcome:
    before = [answer.down for answer in fleet.each(ctx, lambda host: laravel.ask(host, tables=()))]
    closed = dict(zip(map(fleet.place, fleet.contexts(ctx)), before, strict=True))

    def open_again(host: Context) -> None:
        if not closed[fleet.place(host)] and laravel.ask(host, tables=()).down:
            laravel.go_up(host)

    told = fleet.each(ctx, laravel.go_down, undo=open_again)
    ctx.record("window-opened", {})
    return passed(
        "the application is in maintenance mode",
        [f"window of {ctx.config.run.window_minutes} minutes opened", *fleet.named(ctx, told)],
    )


def _drain(ctx: Context) -> Outcome:
    """Wait as configured; go on waiting, up to three times as long, while the source is still written."""
    seconds = ctx.config.app.drain_seconds
    path, host = ctx.config.source.path, source_host(ctx)
    waited = 0.0
    for _ in range(3):
        before = mark(host, path)
        if ctx.stop.wait(seconds):
            raise StoppedError
        waited += seconds
        if mark(host, path) == before:
            return passed(f"nothing was written to the source for {seconds:g} s", [f"waited {waited:g} s"])
        ctx.say(f"the source was written within {seconds:g} s; waiting again")
    return failed(
        f"the source is still written, {waited:g} s after maintenance mode came on",
        (),
        ["find who writes: workers, scheduled tasks, another host; then run this check again"],
    )


def _unchanged(ctx: Context) -> Outcome:
    if ctx.fact("data.snapshot", "snapshot") is None:
        return failed("the data has not been copied in this run", (), ["run the Data phase first"])
    if not all(answer.down for answer in fleet.each(ctx, lambda host: laravel.ask(host, tables=()))):
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
    def shown(host: Context) -> list[str]:
        text = laravel.read_env(host)
        return [
            f"{host.app_host.name}: keep a copy: {laravel.saved_env_path(host)} (same mode and owner)",
            f"write {laravel.env_path(host)}, all other lines as they are:",
            *(f"  {line}" for line in laravel.shown_changes(laravel.target_env(host, text))),
        ]

    return fleet.lines(ctx, shown)


def _switch(ctx: Context) -> Outcome:
    hosts = fleet.contexts(ctx)
    kept = {fleet.place(host) for host in hosts if laravel.saved(host)}
    texts = fleet.each(ctx, laravel.read_env)
    changes = [laravel.target_env(host, text) for host, text in zip(hosts, texts, strict=True)]
    if not kept:
        unsafe = _unchanged(ctx)
        if not unsafe.status.settled:
            return unsafe
    fresh = [(h, t, c) for h, t, c in zip(hosts, texts, changes, strict=True) if fleet.place(h) not in kept]
    already = [host.app_host.name for host, text, wanted in fresh if _leads_there(text, wanted)]
    if already:
        return failed(
            f"{ctx.config.app.env_file} on {', '.join(already)} already leads to the target, and this run holds no copy"
            " of the one before",
            (),
            [
                "put the SQLite settings back into it, so that a copy for the rollback can be kept",
                "then run this step again",
            ],
        )
    for host, text, _ in fresh:
        laravel.note_caches(host)
        laravel.save_env(host, text)
    before = dict(zip(map(fleet.place, hosts), texts, strict=True))
    fleet.each(
        ctx,
        lambda host: _write_env(host, before[fleet.place(host)]),
        undo=lambda host: _write_back(host, before[fleet.place(host)]),
    )
    told = [
        [f"copy kept: {laravel.saved_env_path(host)}", *laravel.shown_changes(wanted)]
        for host, wanted in zip(hosts, changes, strict=True)
    ]
    return passed(f"{ctx.config.app.env_file} leads to MySQL", fleet.named(ctx, told))


def _leads_there(text: str, wanted: Mapping[str, str]) -> bool:
    """Whether settings lead to the target already; by another password, or one quoted otherwise, it is the same one."""
    there = envfile.values(text)
    return all(there.get(key) == value for key, value in wanted.items() if not secretive(key, value))


def _write_env(host: Context, before: str) -> None:
    path = laravel.env_path(host)
    text = envfile.changed(before, laravel.target_env(host, before))
    host.app_host.write(path, text.encode())
    host.app_host.remove(join(host.config.app.root, laravel.TRIAL_ENV))
    if laravel.read_env(host) != text:
        raise DixisError(
            f"{path} on {host.app_host.name} does not read back as written.",
            safe="the shop is closed, and the saved copy leads back",
            next_step="find out what else writes it; then run this step again, or the rollback",
        )


def _write_back(host: Context, before: str) -> None:
    if laravel.read_env(host) != before:
        host.app_host.write(laravel.env_path(host), before.encode())


def caches_preview(ctx: Context) -> list[str]:
    """The commands after a change of `.env`, on each host."""
    return fleet.lines(
        ctx,
        lambda host: [
            *(laravel.shown(host, name) for name in laravel.cache_commands(host)),
            *(f"{host.app_host.name}: {text}" for text in ctx.config.app.restart),
        ],
    )


def refresh(ctx: Context, summary: str) -> Outcome:
    """Make the application read its changed `.env` on each host."""
    for host in fleet.contexts(ctx):
        laravel.note_caches(host)
    done = fleet.each(ctx, laravel.refresh_caches)
    problems = fleet.named(ctx, [one.problems for one in done])
    evidence = fleet.named(ctx, [one.done for one in done])
    if problems:
        return warned(
            f"{summary}, but {counted(len(problems), 'command')} failed",
            [*evidence, *problems],
            ["run these by hand in the application's folder, then go on: the next step asks the application itself"],
        )
    return passed(summary, evidence)


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
    answers = fleet.each(ctx, laravel.ask)
    outcome = _judge(ctx, answers, "the application answers on MySQL, with the rows the target holds")
    if outcome.status.settled and not all(answer.down for answer in answers):
        return failed(
            "the application answers on MySQL, but it is open: somebody ended its maintenance mode",
            outcome.evidence,
            ["php artisan down, then run this step again; orders taken meanwhile are on MySQL"],
        )
    return outcome


def _migrations(ctx: Context) -> Outcome:
    return laravel.judge_migrations(
        laravel.artisan(ctx, "migrate:status"), "php artisan migrate --force in the application's folder, or roll back"
    )


def _open_preview(ctx: Context) -> list[str]:
    return [
        "The point of no return: from here on customers write to MySQL. Until now the old database held every row,",
        "and going back cost nothing. From now on the rollback must bring home what was written there: it does so",
        f"where MySQL answers, and says since when rows are at risk where it does not. {ctx.config.source.path}",
        "is kept as it is now.",
        *fleet.lines(ctx, lambda host: [laravel.shown(host, "up")]),
        "stops the clock of the window",
    ]


def _open(ctx: Context) -> Outcome:
    answers = fleet.each(ctx, lambda host: laravel.ask(host, tables=()))
    wrong = next((answer.driver for answer in answers if answer.driver not in DRIVERS), None)
    if wrong is not None:
        raise DixisError(
            f"The application is on {wrong}; traffic was not let in.",
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
            "server": f"{ctx.config.target.host}:{ctx.config.target.port}",
            "snapshot": latest_snapshot(ctx).model_dump(mode="json"),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    )
    try:
        fleet.each(ctx, laravel.go_up, undo=laravel.go_down)
    except fleet.FleetError as error:
        raise DixisError(
            f"Not every web host could be opened: {error.what}",
            safe=f"closed again ({error.safe}); what was written meanwhile is on MySQL",
            next_step="mend artisan there and run this step again, take that host out of [[hosts]], or roll back",
        ) from error
    ctx.record("window-closed", {})
    return passed("the shop is open, on MySQL")


def _keep(ctx: Context) -> Outcome:
    path, host = ctx.config.source.path, source_host(ctx)
    facts = host.stat(path)
    if facts is None:
        return failed(f"{path} is not there any more", (), ["find out who took it: it leads back"])
    if facts.mode & 0o222:
        ctx.record(KEPT, {"path": path, "mode": facts.mode})
        host.run(["chmod", "a-w", "--", path]).check(f"Making {path} read-only")
    return passed("the old database is kept, and nobody writes it by mistake", [f"{path} on {host.name}: read-only"])
