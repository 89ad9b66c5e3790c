"""What is no table: triggers, virtual tables; and keys that the collation would merge."""

from __future__ import annotations

from dixis_tui.translate.draft import Draft


def tell_merged(draft: Draft) -> None:
    for one in draft.merged:
        chosen = [name for name in one.columns if "COLLATE" in _columns_type(draft, one.table, name)]
        columns = ", ".join(name for name in one.columns if name not in chosen)
        proposal = f"{columns} and what refers to it with COLLATE {draft.server.exact_collation}"
        if chosen:
            proposal = "the collation of [types] all the same; the copy stops at these rows if it merges them"
        draft.find(
            "warning",
            one.table,
            one.index,
            "collation",
            f"{one.groups or 'perhaps some'} groups of rows are told apart by this unique key,"
            f" and equal to {draft.collation}: {'; '.join(one.examples)}",
            proposal,
        )


def _columns_type(draft: Draft, table: str, column: str) -> str:
    made = draft.columns.get(table, {}).get(column.lower())
    return made.type if made is not None else ""


def tell_objects(draft: Draft) -> None:
    for trigger in draft.schema.triggers:
        what = "is a trigger and is not made"
        draft.find("warning", trigger, "", "trigger", what, "left out; write it anew for the target if it is needed")
    for name in draft.schema.left_out:
        draft.find("warning", name, "", "virtual", "is a virtual table or belongs to one", "it is left out")
    if draft.schema.encoding != "UTF-8":
        what = f"its text is stored as {draft.schema.encoding}"
        draft.find("error", "(database)", "", "encoding", what, "copy it into a UTF-8 one first")
