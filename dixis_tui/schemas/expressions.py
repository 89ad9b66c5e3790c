"""SQL expressions of SQLite, written for MySQL and MariaDB where both mean the same by them. Parsed, never searched."""

from __future__ import annotations

import sqlite3
import string
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError

# What means the same on both sides. Division, casts, LIKE and GLOB do not.
PORTABLE = (
    exp.Identifier,
    exp.Column,
    exp.Literal,
    exp.Null,
    exp.Boolean,
    exp.HexString,
    exp.In,
    exp.Tuple,
    exp.Paren,
    exp.And,
    exp.Or,
    exp.Not,
    exp.EQ,
    exp.NEQ,
    exp.NullSafeEQ,
    exp.NullSafeNEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.Between,
    exp.Is,
    exp.Add,
    exp.Sub,
    exp.Mul,
    exp.Mod,
    exp.Neg,
    exp.DPipe,
    exp.Lower,
    exp.Upper,
    exp.Trim,
    exp.Length,
    exp.Substring,
    exp.Abs,
    exp.Coalesce,
    exp.Case,
    exp.If,
)
COMPARISONS = (
    *(exp.EQ, exp.NEQ, exp.NullSafeEQ, exp.NullSafeNEQ, exp.GT, exp.GTE, exp.LT, exp.LTE),
    *(exp.In, exp.Between, exp.Is, exp.Add, exp.Sub, exp.Mul, exp.Mod),
)
SUMS = (exp.Add, exp.Sub, exp.Mul, exp.Mod, exp.Abs, exp.Neg)
TEXTS = (exp.DPipe, exp.Lower, exp.Upper, exp.Trim, exp.Substring)
# Sources of a view that MySQL has by the same name and meaning, beside PORTABLE.
PORTABLE_IN_VIEWS = (
    *PORTABLE,
    exp.Create,
    exp.Table,
    exp.TableAlias,
    exp.Alias,
    exp.Select,
    exp.From,
    exp.Join,
    exp.Where,
    exp.Group,
    exp.Having,
    exp.Order,
    exp.Ordered,
    exp.Limit,
    exp.Offset,
    exp.Distinct,
    exp.Star,
    exp.Subquery,
    exp.Exists,
    exp.Union,
    exp.With,
    exp.CTE,
    exp.Count,
    exp.Sum,
    exp.Min,
    exp.Max,
    exp.Schema,
)
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
# What SQLite takes from its clock, which shows UTC.
CLOCK = {"datetime": "UTC_TIMESTAMP", "date": "UTC_DATE", "time": "UTC_TIME"}


def lower(text: str) -> str:
    """A name as SQLite compares names: the letters A to Z without case, all others as they are."""
    return text.translate(_LOWER)


def parsed(sql: str, columns: Collection[str]) -> exp.Expr | None:
    """The tree of an expression, None when it cannot be read. A quoted name that is no column is a text to SQLite."""
    try:
        tree: exp.Expr = sqlglot.parse_one(f"SELECT {sql}", read="sqlite").expressions[0]
    except (SqlglotError, IndexError):
        return None
    known = {lower(column) for column in columns}

    def as_text(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Column) and node.this.quoted and not node.table and lower(node.name) not in known:
            return exp.Literal.string(node.name)
        return node

    changed: exp.Expr = tree.transform(as_text)
    return changed


def portable(sql: str, columns: Collection[str]) -> str | None:
    """The same expression for the target, None when it holds anything that may mean something else there."""
    tree = parsed(sql, columns)
    if tree is None or not all(isinstance(node, PORTABLE) or _json_valid(node) for node in tree.walk()):
        return None
    return written(tree)


def renamed(sql: str, columns: Collection[str], names: Mapping[str, str]) -> str:
    """The same expression of SQLite's with columns called otherwise; as it is when it cannot be read."""
    tree = parsed(sql, columns)
    if tree is None:
        return sql
    now = {lower(before): after for before, after in names.items()}
    for node in tree.find_all(exp.Column):
        if lower(node.name) in now:
            node.set("this", exp.to_identifier(now[lower(node.name)], quoted=True))
    return tree.sql("sqlite", identify=True)


def _json_valid(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and node.name.upper() == "JSON_VALID"


def written(tree: exp.Expr) -> str:
    """An expression's SQL, all its names quoted."""
    return tree.sql("mysql", comments=False, identify=True)


def compared(sql: str, columns: Collection[str]) -> list[tuple[str, str, bool]]:
    """What an expression compares: column in lower case, constant, and whether that one is a text."""
    tree = parsed(sql, columns)
    return [] if tree is None else list(_constants(tree))


def computed(tree: exp.Expr) -> exp.Expr | None:
    """The constant that an expression without columns always gives, as SQLite computes it; None for any other."""
    if any(not isinstance(node, PORTABLE) or isinstance(node, exp.Column) for node in tree.walk()):
        return None
    try:
        with closing(sqlite3.connect(":memory:")) as connection:
            value = connection.execute(f"SELECT {tree.sql('sqlite')}").fetchone()[0]
    except sqlite3.Error:
        return None
    if isinstance(value, bytes):
        return exp.HexString(this=value.hex())
    if value is None:
        return None
    return exp.Literal.string(value) if isinstance(value, str) else exp.Literal.number(value)


def columns_of(sql: str, columns: Collection[str]) -> list[str]:
    """The columns an expression reads, in lower case."""
    tree = parsed(sql, columns)
    return [] if tree is None else list(dict.fromkeys(node.name.lower() for node in tree.find_all(exp.Column)))


def read_as_text(sql: str, columns: Collection[str]) -> set[str]:
    """The columns, in lower case, whose values an expression takes as texts; each side words numbers its own way."""
    tree = parsed(sql, columns)
    texts = [] if tree is None else tree.find_all(*TEXTS, exp.Length)
    return {column.name.lower() for node in texts for column in node.find_all(exp.Column)}


def computes(sql: str, columns: Collection[str]) -> tuple[set[str], bool]:
    """The columns, in lower case, an expression adds or multiplies, and whether a constant with a fraction is among it.

    SQLite computes fractions as doubles, the target as decimals.
    """
    tree = parsed(sql, columns)
    sums = [] if tree is None else list(tree.find_all(*SUMS))
    names = {column.name.lower() for node in sums for column in node.find_all(exp.Column)}
    return names, _with_fractions(sums)


def makes_text(sql: str, columns: Collection[str]) -> bool:
    return isinstance(parsed(sql, columns), TEXTS)


def makes_whole_number(sql: str, columns: Collection[str]) -> bool:
    return isinstance(parsed(sql, columns), exp.Length)


def clock(tree: exp.Expr) -> str:
    """The target's word for datetime('now') and its like, empty for anything else."""
    if isinstance(tree, exp.Date | exp.Time | exp.Anonymous):
        arguments = [tree.this] if not isinstance(tree, exp.Anonymous) else tree.expressions
        word = tree.name.lower() if isinstance(tree, exp.Anonymous) else type(tree).__name__.lower()
        if len(arguments) == 1 and isinstance(arguments[0], exp.Literal) and arguments[0].name.lower() == "now":
            return CLOCK.get(word, "")
    return ""


def view(sql: str, name: str) -> str | None:
    """CREATE OR REPLACE VIEW for the target, None when the view holds anything that may mean something else there."""
    try:
        tree = sqlglot.parse_one(sql, read="sqlite")
        if not isinstance(tree, exp.Create) or any(not isinstance(node, PORTABLE_IN_VIEWS) for node in tree.walk()):
            return None
        body = tree.expression.sql("mysql", comments=False, identify=True, unsupported_level=ErrorLevel.RAISE)
    except SqlglotError:
        return None
    columns = tree.this.expressions if isinstance(tree.this, exp.Schema) else []
    names = f" ({', '.join(written(column) for column in columns)})" if columns else ""
    return f"CREATE OR REPLACE VIEW {written(exp.to_identifier(name, quoted=True))}{names} AS {body}"


@dataclass(frozen=True)
class ViewUses:
    """What a view reads, all names in lower case.

    as_text: columns it words as texts; matched: those it compares, groups or orders by; computed: those it calculates
    with; fractions: it calculates with constants that have a fraction; constants: column, constant, whether a text.
    """

    tables: frozenset[str]
    columns: frozenset[str]
    as_text: frozenset[str]
    matched: frozenset[str]
    computed: frozenset[str]
    fractions: bool
    constants: tuple[tuple[str, str, bool], ...]


def view_uses(sql: str) -> ViewUses | None:
    """What a view reads and how; None when it cannot be read."""
    try:
        tree = sqlglot.parse_one(sql, read="sqlite")
    except SqlglotError:
        return None
    matching = list(tree.find_all(*COMPARISONS, exp.Group, exp.Order, exp.Min, exp.Max))
    matching += [node.parent for node in tree.find_all(exp.Distinct) if node.parent is not None]
    matching += [node for node in tree.find_all(exp.Union) if node.args.get("distinct", True)]
    sums = list(tree.find_all(exp.Sum, *SUMS))
    return ViewUses(
        tables=frozenset(lower(node.name) for node in tree.find_all(exp.Table)),
        columns=_read([tree]),
        as_text=_read(tree.find_all(*TEXTS, exp.Length)),
        matched=_read(matching),
        computed=_read(sums),
        fractions=_with_fractions(sums),
        constants=tuple(_constants(tree)),
    )


def _read(nodes: Iterable[exp.Expr]) -> frozenset[str]:
    return frozenset(lower(column.name) for node in nodes for column in node.find_all(exp.Column))


def _with_fractions(nodes: Iterable[exp.Expr]) -> bool:
    constants = [one for node in nodes for one in node.find_all(exp.Literal) if not one.is_string]
    return any(not str(one.this).isdigit() for one in constants)


def _constants(tree: exp.Expr) -> Iterator[tuple[str, str, bool]]:
    """What is compared with constants: column in lower case, constant, and whether that one is a text."""
    for node in tree.find_all(*COMPARISONS):
        parts = [part.unnest() for part in node.iter_expressions()]
        names = [part.name.lower() for part in parts if isinstance(part, exp.Column)]
        constants = [part for part in parts if isinstance(part, exp.Literal)]
        yield from ((name, str(one.this), bool(one.is_string)) for name in names for one in constants)


def column_type(text: str) -> str:
    """A column's type as MySQL writes it, its character set and collation included.

    Raises ValueError when the text is anything else.
    """
    try:
        made = sqlglot.parse_one(f"CREATE TABLE t (c {text})", read="mysql")
        column = made.this.expressions[0]
    except (SqlglotError, AttributeError, IndexError) as error:
        raise ValueError(f"{text!r} is no type that MySQL knows") from error
    allowed = (exp.CollateColumnConstraint, exp.CharacterSetColumnConstraint)
    one = isinstance(made, exp.Create) and len(made.this.expressions) == 1 and isinstance(column, exp.ColumnDef)
    if not one or column.kind is None or column.kind.this is exp.DataType.Type.USERDEFINED:
        raise ValueError(f"{text!r} is no type that MySQL knows")
    if any(not isinstance(constraint.kind, allowed) for constraint in column.constraints):
        raise ValueError(f"{text!r} says more than a type, its character set and its collation")
    words = " ".join(part.sql("mysql") for part in (column.kind, *column.constraints))
    return words if "'" in words else words.replace(", ", ",")


def sizes_of(kind: str) -> list[int]:
    """The numbers in the parenthesis of a type, such as decimal(10,2)."""
    inside = kind.partition("(")[2].partition(")")[0]
    return [int(part) for part in inside.split(",") if part.strip().isdigit()]


def enum_values(kind: str) -> list[str]:
    """The values of an enum type as the server writes it."""
    made = exp.DataType.build(kind, dialect="mysql")
    return [str(value.this) for value in made.expressions]
