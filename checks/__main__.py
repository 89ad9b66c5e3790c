"""`python -m checks > docs/checks.md` writes the catalogue of checks from the registry."""

from __future__ import annotations

from collections.abc import Iterator

from checks import FAMILIES, all_checks

WORDS = {"fail": "stops the plan", "warn": "warns; the plan goes on"}


def catalogue() -> Iterator[str]:
    """Lines of docs/checks.md."""
    yield "# Catalogue of checks"
    yield ""
    yield "Made from the registry by `python -m checks`. Each check only reads. When it cannot be asked, its answer is"
    yield "*error*, which is neither yes nor no and stops the plan until it can be asked or is waived with a reason."
    for family in FAMILIES:
        yield ""
        yield f"## {(family.__doc__ or '').strip().splitlines()[0]}"
        for check in all_checks():
            if check.ask.__module__ != family.__name__:
                continue
            yield ""
            yield f"### {check.id}"
            yield ""
            yield f"{check.title}. {check.why}"
            yield ""
            yield f"- A problem {WORDS[check.severity]}."
            yield f"- Remedy: {check.remedy}"


if __name__ == "__main__":
    print("\n".join(catalogue()))
