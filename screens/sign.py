"""Where a person answers with a name: sign-offs, gates, and waiving a check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from screens.deliberate import Deliberate


@dataclass(frozen=True)
class Answer:
    """What a person said. yes: signed or waived; otherwise refused."""

    yes: bool
    role: str
    name: str
    note: str


class SignDialog(Deliberate, ModalScreen[Answer | None]):
    """Evidence, role, name and note; None when the person went back.

    roles: who may answer, the expected one first, with the name expected of each (empty: unknown).
    yes, no: what the buttons say; an empty no leaves that button out. problem: why the last try was not taken.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Back"),
        Binding("pageup", "scroll(-5)", "Page up", show=False),
        Binding("pagedown", "scroll(5)", "Page down", show=False),
        Binding("ctrl+t", "role", "Role", show=False),
    ]

    def __init__(
        self,
        title: str,
        evidence: Sequence[str],
        roles: Sequence[tuple[str, str]],
        *,
        yes: str,
        no: str = "",
        last: Answer | None = None,
        problem: str = "",
    ) -> None:
        super().__init__()
        self._title = title
        self._evidence = evidence
        self._roles = list(roles)
        self._yes = yes
        self._no = no
        self._problem_text = problem
        self._role = last.role if last else self._roles[0][0]
        self._name = last.name if last else self._roles[0][1]
        self._note = last.note if last else ""

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(self._title)  # a title may hold brackets
            with VerticalScroll(id="sign-evidence", classes="dialog-body", can_focus=False):
                yield Static("\n".join(self._evidence), markup=False)
            with Horizontal(classes="field"):
                yield Static("Role", classes="label", markup=False)
                yield Static(id="sign-role", markup=False)
            with Horizontal(classes="field"):
                yield Static("Name", classes="label", markup=False)
                yield Input(self._name, id="sign-name", placeholder="the person who answers")
            with Horizontal(classes="field"):
                yield Static("Note", classes="label", markup=False)
                yield Input(
                    self._note,
                    id="sign-note",
                    placeholder=f"what was seen; needed to {(self._no or self._yes).lower()}",
                )
            yield Static(self._problem_text, id="sign-problem", classes="problem", markup=False)
            with Horizontal(classes="buttons"):
                yield Button(self._yes, id="sign-yes", compact=True)
                if self._no:
                    yield Button(self._no, id="sign-no", compact=True)
                yield Button("Back", id="sign-back", compact=True)
            yield Static(
                "Tab: next field   Enter: press   PgUp/PgDn: scroll   Esc: back", classes="dialog-keys", markup=False
            )

    def on_mount(self) -> None:
        self._show_role()

    def _show_role(self) -> None:
        more = f"   (Ctrl+T: another of {len(self._roles)})" if len(self._roles) > 1 else ""
        self.query_one("#sign-role", Static).update(self._role + more)

    def action_role(self) -> None:
        """Answer in the next role; a name not typed over changes with it."""
        names = dict(self._roles)
        roles = list(names)
        name = self.query_one("#sign-name", Input)
        expected = name.value == names[self._role]
        self._role = roles[(roles.index(self._role) + 1) % len(roles)]
        if expected:
            name.value = names[self._role]
        self._show_role()

    def action_scroll(self, by: int) -> None:
        self.query_one("#sign-evidence").scroll_relative(y=by, animate=False)

    def on_key(self, event: events.Key) -> None:
        if not self.meant(event) and event.key == "enter":
            event.stop()
            self.query_one("#sign-problem", Static).update("A key that is held down signs nothing. Press it once more.")

    @on(Input.Submitted, "#sign-name")
    def _to_note(self) -> None:
        self.query_one("#sign-note").focus()

    @on(Input.Submitted, "#sign-note")
    def _to_buttons(self) -> None:
        self.query_one("#sign-yes").focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "sign-back":
            self.dismiss(None)
            return
        yes = event.button.id == "sign-yes"
        name, note = (self.query_one(f"#{field}", Input).value.strip() for field in ("sign-name", "sign-note"))
        if not name:
            self.query_one("#sign-problem", Static).update("A name is needed.")
        elif not yes and not note:
            self.query_one("#sign-problem", Static).update(f"To {self._no.lower()}, say why in the note.")
        else:
            self.dismiss(Answer(yes, self._role, name, note))
