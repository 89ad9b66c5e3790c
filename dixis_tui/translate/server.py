"""What the target's server can do, and which keys its collation takes for equal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Abilities:
    """What the target server can do. one_case: its table names do not tell upper from lower case."""

    mariadb: bool = False
    version: tuple[int, ...] = (8, 0, 30)
    one_case: bool = False

    @property
    def expression_keys(self) -> bool:
        return not self.mariadb and self.version >= (8, 0, 13)

    @property
    def descending(self) -> bool:
        return not self.mariadb or self.version >= (10, 8)

    @property
    def invisible(self) -> bool:
        return self.mariadb or self.version >= (8, 0, 23)

    @property
    def exact_collation(self) -> str:
        """The collation that keeps apart what SQLite keeps apart, trailing spaces included."""
        if self.mariadb:
            return "utf8mb4_nopad_bin"
        return "utf8mb4_0900_bin" if self.version >= (8, 0, 17) else "utf8mb4_bin"


@dataclass(frozen=True)
class Merged:
    """A unique key whose texts the target's collation would take for equal. columns: its text columns; examples: the
    first rows concerned, in words; groups: how many there are."""

    table: str
    index: str
    columns: tuple[str, ...]
    groups: int
    examples: tuple[str, ...]
