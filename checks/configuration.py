"""Checks of the configuration itself."""

from __future__ import annotations

from checks.registry import Answer, check, good, problem
from dixis_tui.context import Context


@check(
    "preflight.secrets",
    "Secrets kept out of the configuration",
    why="A configuration is copied, shown and committed; a password in it is no secret.",
    severity="warn",
    remedy='use { env = "NAME" }, { file = "PATH" } with mode 0600, or { prompt = true }',
)
def secrets(ctx: Context) -> Answer:
    clear = ctx.config.clear_secrets()
    if clear:
        return problem(f"in clear in the file: {', '.join(clear)}")
    return good("no secret stands in the file")


@check(
    "preflight.people",
    "The gate has its people",
    why="The go decision wants three signatures of at least two people; at 2 a.m. they must be known and awake.",
    severity="warn",
    remedy="name them under [people]: lead, database_review, technical_approval",
)
def people(ctx: Context) -> Answer:
    named = {role: name for role, name in ctx.config.people.model_dump().items() if name}
    missing = [role for role in ctx.config.people.model_dump() if role not in named]
    evidence = [f"{role}: {name}" for role, name in named.items()]
    if missing:
        return problem(f"not named: {', '.join(missing)}", *evidence)
    if len({name.casefold() for name in named.values()}) < 2:
        return problem("one person holds every role", *evidence, remedy=("name a second person for one of the roles",))
    return good(", ".join(named.values()), *evidence)
