"""`python -m checks > docs/checks.md` writes the catalogue of checks from the registry."""

from __future__ import annotations

from collections.abc import Iterator

from checks import FAMILIES, of_family

WORDS = {
    "fail": "stops the plan until it is mended or mapped",
    "warn": "warns; the plan goes on",
    "note": "is a note",
}
INTRODUCTION = """
Made from the registry by `python -m checks`. Checks only read. They run side by side, each as soon as those it needs
are well. The answers are pass, warn, fail, *error* when a check could not be asked (neither yes nor no: it stops the
plan until it can be asked, or is waived with a reason), and *skip* with the reason why it was not asked. A fail cannot
be waived, only mended in the source or mapped in the configuration. What a check finds is told one by one: table,
column, number of rows, a few of them by key, and a remedy ready to copy.
"""


def catalogue() -> Iterator[str]:
    """Lines of docs/checks.md."""
    yield "# Catalogue of checks"
    yield ""
    yield from INTRODUCTION.strip().splitlines()
    yield ""
    yield "`dixis preflight` asks all of them, `dixis preflight --only data schema.types` some, `--remedies` puts all"
    yield "remedies together. In the journal a check is the step `preflight.<id>`."
    for family in FAMILIES:
        yield ""
        yield f"## {(family.__doc__ or '').strip().splitlines()[0]}"
        for check in of_family(family.__name__):
            yield ""
            yield f"### {check.id}"
            yield ""
            yield f"{check.title}. {check.why}"
            yield ""
            yield f"- A problem {WORDS[check.severity]}."
            yield f"- Remedy: {check.remedy}"
            if check.needs:
                yield f"- Needs: {', '.join(check.needs)}"


if __name__ == "__main__":
    print("\n".join(catalogue()))
