"""A SQLite schema and what its columns hold, turned into CREATE TABLE statements for MySQL or MariaDB.

Types follow the declared type and the values, so that every value is held exactly. Whatever cannot be held or is built
otherwise is a finding; nothing is left out without one.
"""

from dixis_tui.translate.findings import Finding
from dixis_tui.translate.server import Abilities, Merged
from dixis_tui.translate.tables import PREFIX, PRIMARY, TargetColumn, TargetTable, Translation
from dixis_tui.translate.types import decimal_for
from dixis_tui.translate.whole import translate

__all__ = [
    "PREFIX",
    "PRIMARY",
    "Abilities",
    "Finding",
    "Merged",
    "TargetColumn",
    "TargetTable",
    "Translation",
    "decimal_for",
    "translate",
]
