"""Takes secrets out of what is said, recorded or shown."""

from __future__ import annotations

import re

from dixis_tui.config import Config
from dixis_tui.model import Example, Finding, Outcome

MARK = "•••"
# Laravel's reader of .env quotes what it does not understand there, and that may be a secret.
UNREAD = re.compile(r"(Failed to parse dotenv file\. Encountered .*? at ).*")


class Redactor:
    """Knows the secrets that have been resolved so far; the file's other ones nobody has read yet."""

    def __init__(self, config: Config) -> None:
        self._config = config

    def text(self, text: str) -> str:
        for secret in self._config.known_secrets():
            text = text.replace(secret, MARK)
        return UNREAD.sub(rf"\1[{MARK}]", text)

    def lines(self, lines: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(self.text, lines))

    def outcome(self, outcome: Outcome) -> Outcome:
        """The outcome without secrets in what people read of it."""
        return outcome.model_copy(
            update={
                "summary": self.text(outcome.summary),
                "evidence": self.lines(outcome.evidence),
                "remedy": self.lines(outcome.remedy),
                "findings": tuple(map(self._finding, outcome.findings)),
            }
        )

    def _finding(self, finding: Finding) -> Finding:
        examples = (Example(key=self.text(one.key), value=self.text(one.value)) for one in finding.examples)
        return finding.model_copy(
            update={
                "message": self.text(finding.message),
                "remedy": self.lines(finding.remedy),
                "examples": tuple(examples),
            }
        )
