"""One form for a value on both sides: what the source's SQL and the target's SQL write for it is the same text.

The form follows the type of the target's column. Nothing is trimmed, folded or rounded: a source value that the type
cannot hold keeps more than the type's form, and so differs. Two equal forms always mean two equal values.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from dixis_tui.schemas import catalogue, rows
from dixis_tui.schemas.rows import Field
from dixis_tui.target import Flavour, identifier, literal

# Between the values of a row. Values that may hold it are replaced by their SHA-256.
BETWEEN = "\x1f"
# Texts above so many bytes are replaced by their SHA-256, so that a row's text stays small.
LONG = 4096
DIGITS = 15
# The servers write a double without an exponent while its first digit stands from so far behind the point to so far
# before, or further when there are digits behind it; MySQL only as long as that takes no more characters than WIDTH.
LEAST_POINT, MOST_POINT = -14, 15
WIDTH = {"MySQL": 24, "MariaDB": 400}
UTF8 = frozenset({"utf8mb4", "utf8mb3", "utf8"})
ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
ESCAPES |= {chr(code): f"\\u{code:04x}" for code in range(32) if chr(code) not in ESCAPES}
ESCAPED = str.maketrans(ESCAPES)
# Enough for every double written out.
WIDE = Context(prec=800)
JSON_INTEGERS = range(-(1 << 63), 1 << 64)


@dataclass(frozen=True)
class Form:
    """How one column is written. source, target: expressions of a value's form; whole_source, whole_target: of the
    value itself where the form is only its hash. None of them minds NULL. json: equal by value, not by form; number:
    the target's whole value comes as a double, to be written with so many characters; 0 for other values."""

    field: Field
    source: str
    target: str
    whole_source: str
    whole_target: str
    json: bool = False
    number: int = 0

    @property
    def name(self) -> str:
        return self.field.source.name


def forms(fields: Sequence[Field], time_zone: str, flavour: Flavour) -> tuple[Form, ...]:
    """The forms of these columns; time_zone is that of the session on the target."""
    return tuple(_form(field, time_zone, flavour) for field in fields)


def prepare(connection: sqlite3.Connection) -> None:
    """Give a connection to the source the functions the forms use."""
    for name, arguments, function in (
        ("dixis_sha256", 1, _sha256),
        ("dixis_double", 2, double_text),
        ("dixis_decimal", 2, _decimal_text),
        ("dixis_json", 1, json_form),
    ):
        connection.create_function(name, arguments, function, deterministic=True)


def source_row(wanted: Sequence[Form], null: str) -> str:
    """The expression of a row's text in the source. null: what stands for NULL; no value may be equal to it."""
    values = [f"ifnull({form.source}, '{null}')" if form.field.holds.nulls else form.source for form in wanted]
    parts = []
    for start in range(0, len(values), rows.ARGUMENTS):
        some = values[start : start + rows.ARGUMENTS]
        parts.append(f"printf('{BETWEEN.join(['%s'] * len(some))}', {', '.join(some)})")
    return f" || '{BETWEEN}' || ".join(parts)


def target_row(wanted: Sequence[Form], null: str) -> str:
    """The expression of a row's text on the target."""
    values = [
        f"IFNULL({form.target}, {literal(null)})" if form.field.target.nullable else form.target for form in wanted
    ]
    return f"CONCAT_WS({literal(BETWEEN)}, {', '.join(values)})"


def whole_target(form: Form) -> str:
    """The expression by which the target is asked for a value that read() makes comparable."""
    return form.whole_target if form.number else f"CAST({form.whole_target} AS BINARY)"


def read(form: Form, value: Any) -> bytes | None:
    """A value of the target as the bytes the source would have for it."""
    if form.number and value is not None:
        return str(double_text(float(value), form.number)).encode()
    return None if value is None else bytes(value)


def equal(form: Form, mine: bytes | None, theirs: bytes | None) -> bool:
    """True when two whole values are the same."""
    if mine == theirs:
        return True
    return form.json and mine is not None and theirs is not None and _same_json(mine, theirs)


def _form(field: Field, time_zone: str, flavour: Flavour) -> Form:
    c, t = catalogue.name(field.source.name), identifier(field.target.name)
    kind, full = field.target.kind, field.target.type
    if kind in rows.BINARY_KINDS:
        return _hashed(field, f"CAST({c} AS BLOB)", t)
    if kind == "json":
        written = f"dixis_json(CAST({c} AS BLOB))"
        return Form(field, written, t, f"CAST({c} AS BLOB)", f"CAST({t} AS CHAR)", json=True)
    if kind in rows.TEXT_KINDS:
        # Hashed are the bytes as they are stored: those of another character set may be another text's in UTF-8.
        whole = t if field.target.charset in UTF8 else f"CONVERT({t} USING utf8mb4)"
        if field.hexadecimal or not field.plain or field.holds.bytes > LONG:
            return _hashed(field, f"CAST({rows.text_form(field)} AS BLOB)", whole)
        return _both(field, rows.text_form(field), whole)
    if kind in ("double", "float"):
        # A FLOAT and a type with sizes are written with fewer digits than they hold; as part of a sum they are not.
        number = t if full == "double" else f"({t} + 0e0)"
        # MySQL writes some powers of two as their neighbour's text: those are marked. Asked for alone, all are exact.
        written = f"IF(CONCAT({number}) + 0e0 = {number}, {number}, CONCAT({number}, '~'))"
        exact = f"dixis_double({c}, {WIDTH[flavour]})"
        return Form(field, exact, f"IF({t} IS NULL, NULL, {written})", exact, number, number=WIDTH[flavour])
    if kind == "decimal":
        return _both(field, _decimal(field), f"({t} + 0)" if "zerofill" in full else t)
    if kind in rows.MOMENT_KINDS:
        return _both(field, _moment(field), _instant(t, full, time_zone) if kind == "timestamp" else t)
    return _both(field, c, f"({t} + 0)" if "zerofill" in full or kind == "year" else t)


def _both(field: Field, source: str, target: str) -> Form:
    return Form(field, source, target, source, target)


def _hashed(field: Field, source: str, target: str) -> Form:
    return Form(field, f"dixis_sha256({source})", f"SHA2({target}, 256)", source, target)


def _decimal(field: Field) -> str:
    c, holds = catalogue.name(field.source.name), field.holds
    _, scale = rows.sizes(field.target.type)
    if holds.texts or holds.blobs or holds.inexact or holds.scale > scale or holds.digits + scale > DIGITS:
        return f"dixis_decimal({c}, {scale})"
    # printf takes NULL for 0, and would write -0.
    written = f"printf('%.{scale}f', {c} + 0.0)"
    return f"CASE WHEN {c} IS NOT NULL THEN {written} END" if holds.nulls else written


def _moment(field: Field) -> str:
    """A moment with as many digits behind the second as its type has; longer ones stay as they are."""
    c = catalogue.name(field.source.name)
    digits = 0 if field.target.kind == "date" else rows.sizes(field.target.type)[0]
    if not digits:
        return c
    zeros = "0" * digits
    missing = f"max(0, {digits} - length({c}) + instr({c}, '.'))"
    return f"CASE instr({c}, '.') WHEN 0 THEN {c} || '.{zeros}' ELSE {c} || substr('{zeros}', 1, {missing}) END"


def _instant(t: str, full: str, time_zone: str) -> str:
    """A TIMESTAMP in the session's zone. Where an hour comes twice, a mark tells the second one from the first.

    The text alone means the instant that the server makes of it when it is stored.
    """
    if time_zone[:1] in "+-" or time_zone.upper() == "UTC":
        return t
    read_again = f"UNIX_TIMESTAMP(CAST({t} AS DATETIME({rows.sizes(full)[0]})))"
    return f"IF({t} IS NULL OR UNIX_TIMESTAMP({t}) = {read_again}, {t}, CONCAT({t}, ' (the hour that comes twice)'))"


# Functions of the source. A value they do not speak of is answered as it is.


def _sha256(value: bytes | None) -> str | None:
    return None if value is None else hashlib.sha256(value).hexdigest()


def double_text(value: float | str | bytes | None, width: int) -> str | bytes | None:
    """A number as the servers write a DOUBLE: the fewest digits that tell it from all others, and no exponent where it
    needs none and fits into width characters."""
    if isinstance(value, int):
        if abs(value) > 1 << 1000 or float(value) != value:
            return str(value)
        value = float(value)
    if not isinstance(value, float) or value - value != 0:
        return value if value is None or isinstance(value, str | bytes) else str(value)
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits))
    point = len(text) + exponent
    minus = "-" if sign else ""
    if LEAST_POINT <= point <= 0:
        plain = f"{minus}0.{'0' * -point}{text}"
    elif 0 < point <= max(MOST_POINT, len(text) - 1):
        whole = text.ljust(point, "0")
        plain = f"{minus}{whole[:point]}{'.' if len(whole) > point else ''}{whole[point:]}"
    else:
        plain = ""
    if text == "0":
        return minus + text
    if plain and len(plain) <= width:
        return plain
    return f"{minus}{text[0]}{'.' if len(text) > 1 else ''}{text[1:]}e{point - 1}"


def _decimal_text(value: float | str | bytes | None, scale: int) -> str | bytes | None:
    """A number with exactly scale digits after the point where that tells it, with all its digits otherwise."""
    if not isinstance(value, int | float) or value - value != 0:
        return value if value is None or isinstance(value, str | bytes) else str(value)
    short = f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)
    number = Decimal(short if isinstance(value, int) or float(short) == value else repr(value))
    try:
        scaled = number.quantize(Decimal(1).scaleb(-scale), context=WIDE)
    except InvalidOperation:
        return f"{number:f}"
    if scaled != number:
        return f"{number:f}"
    return f"{scaled if scaled else abs(scaled):f}"


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object in their order, repeated ones included."""


class _Number(str):
    """A JSON number with a fraction or an exponent, as written."""


def _parsed(code: bytes) -> Any:
    return json.loads(code, object_pairs_hook=_Pairs, parse_float=_Number, parse_constant=_refuse)


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def json_form(code: bytes | None) -> str | bytes | None:
    """A JSON text as MySQL writes it back; a text that is no JSON as it is."""
    if code is None:
        return None
    try:
        return _written(_parsed(code))
    except (ValueError, RecursionError):
        return code


def _written(value: Any) -> str:
    if isinstance(value, _Pairs):
        members = sorted(value, key=lambda member: _member_order(member[0]))
        return "{" + ", ".join(f"{_quoted(key)}: {_written(held)}" for key, held in members) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    if isinstance(value, _Number):
        return _json_double(float(value))
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value) if value in JSON_INTEGERS else _json_double(float(value))


def _member_order(key: str) -> tuple[int, bytes]:
    code = key.encode("utf-8", "surrogatepass")
    return len(code), code


def _quoted(text: str) -> str:
    return f'"{text.translate(ESCAPED)}"'


def _json_double(value: float) -> str:
    text = str(double_text(value, WIDTH["MariaDB"]))
    return text if "." in text or "e" in text else text + ".0"


def _same_json(mine: bytes, theirs: bytes) -> bool:
    """True when two JSON texts hold the same members, each as often, and the same numbers to the last digit."""
    try:
        return bool(_value(_parsed(mine)) == _value(_parsed(theirs)))
    except (ValueError, RecursionError):
        return False


def _value(parsed: Any) -> Any:
    """A parsed JSON text in a form in which equal means the same value of the same kind."""
    if isinstance(parsed, _Pairs):
        members = sorted(parsed, key=lambda member: _member_order(member[0]))
        return ("object", [(key, _value(held)) for key, held in members])
    if isinstance(parsed, list):
        return ("array", [_value(item) for item in parsed])
    if isinstance(parsed, _Number):
        number = Decimal(parsed)
        return ("double", number, number.is_signed())
    return (type(parsed).__name__, parsed)
