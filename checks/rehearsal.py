"""Check of the rehearsal: the journal it left says whether it ended well, so nobody has to vouch for it."""

from __future__ import annotations

import humanize

from checks.registry import Answer, check, finding, found, skip
from dixis_tui.context import Context
from dixis_tui.model import Finding
from dixis_tui.record import rehearsal


@check(
    "time.rehearsal",
    "A rehearsal that ended well",
    why="What is done for the first time takes longest. The journal of the rehearsal is verified to the last byte, and"
    " its comparison, its times and its rollback are read from it.",
    severity="fail",
    remedy="rehearse once more on a copy of the shop, and name its folder: [run] rehearsal",
)
def rehearsed(ctx: Context) -> Answer:
    directory = ctx.config.run.rehearsal
    if directory is None:
        return skip("no folder of a rehearsal is named under [run] rehearsal: a person signs for it")
    told = rehearsal.read(directory)
    findings: list[Finding] = [finding(problem) for problem in told.problems]
    if told.run_id == ctx.run_id:
        findings.append(finding("this is the folder of the run itself, not of a rehearsal"))
    minutes = ctx.config.run.window_minutes
    if told.closed is not None and told.closed > minutes * 60:
        text = f"the shop was closed for {_span(told.closed)} in it, the window is {minutes} minutes long"
        findings.append(finding(text, severity="warn"))
    if told.rollback is None:
        findings.append(finding("the rollback was not rehearsed", "in the rehearsal: dixis rollback", severity="warn"))
    closed = "" if told.closed is None else f"the shop was closed for {_span(told.closed)}"
    back = "" if told.rollback is None else f"the rollback took {_span(told.rollback)}"
    evidence = [
        f"run {told.run_id} ({told.environment}), {told.ended_at or 'not ended'}; its journal holds",
        f"compared: {told.proof or 'nothing'}",
        *(f"{title:<14}{_span(seconds)}" for title, seconds in told.phases.items() if seconds),
        *filter(None, (closed, back)),
    ]
    facts = {"closed": told.closed, "rollback": told.rollback, "phases": dict(told.phases)}
    return found(findings, f"run {told.run_id} ended well: {told.proof}", *evidence, facts=facts)


def _span(seconds: float) -> str:
    said: str = humanize.precisedelta(seconds, minimum_unit="seconds", format="%0.0f")
    return said
