"""Adds to a shop what is hard to move from SQLite to MySQL: one table or row for each kind of trouble."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

_LONG_NAME = "warehouse_temperature_readings_of_the_cold_rooms_in_the_northern_regions"


@dataclass(frozen=True)
class Trouble:
    """One kind of trouble.

    id: a word for it; table: where it is; topic: the family it belongs to; what: what makes it hard;
    evidence: SQL whose first value is true where the trouble is present; setup: the statements that bring it about.
    """

    id: str
    table: str
    topic: str
    what: str
    evidence: str
    setup: tuple[str, ...] = field(repr=False)
    module: str = ""


def add_trouble(connection: sqlite3.Connection) -> list[Trouble]:
    """Bring about every trouble that this SQLite can hold, in the connection's transaction, and name them.

    A trouble with `module` is left out where SQLite lacks that module. Foreign keys must not be enforced.
    """
    modules = {name for (name,) in connection.execute("select name from pragma_module_list")}
    added = [trouble for trouble in TROUBLES if not trouble.module or trouble.module in modules]
    for trouble in added:
        for statement in trouble.setup:
            connection.execute(statement)
    return added


def _table(name: str, columns: str, *rows: str) -> tuple[str, ...]:
    """A table and rows for all its columns, each written as SQL values."""
    return (f'create table "{name}" ({columns})', *(f'insert into "{name}" values ({row})' for row in rows))


_FIELDS = ", ".join(f'"field_{number}" varchar' for number in range(70))
_ID = '"id" integer primary key autoincrement not null'

_SIZES = (
    Trouble(
        "long-text",
        "hard_long_texts",
        "sizes",
        "text of 70,000 bytes: TEXT holds 65,535",
        "select max(length(cast(body as blob))) > 65535 from hard_long_texts",
        _table(
            "hard_long_texts", f'{_ID}, "body" text not null', "1, replace(hex(zeroblob(17500)), '0', 'α')", "2, ''"
        ),
    ),
    Trouble(
        "long-varchar",
        "hard_long_varchars",
        "sizes",
        "a varchar of 300 characters where Laravel means 255",
        "select max(length(title)) > 255 from hard_long_varchars",
        _table("hard_long_varchars", f'{_ID}, "title" varchar not null', "1, printf('%.300c', 'x')"),
    ),
    Trouble(
        "huge-text",
        "hard_huge_texts",
        "sizes",
        "text of 17,000,000 bytes: MEDIUMTEXT holds 16,777,215, and max_allowed_packet may be less",
        "select max(length(body)) > 16777215 from hard_huge_texts",
        _table("hard_huge_texts", f'{_ID}, "body" text not null', "1, hex(zeroblob(8500000))"),
    ),
    Trouble(
        "bare-numeric",
        "hard_numerics",
        "sizes",
        "fractions in a NUMERIC without a scale: decimal(10,0) on MySQL",
        "select count(*) from hard_numerics where amount <> round(amount)",
        _table("hard_numerics", f'{_ID}, "amount" numeric not null', "1, 5.99", "2, 12", "3, 19.9"),
    ),
    Trouble(
        "fine-numeric",
        "hard_fine_numerics",
        "sizes",
        "more than two decimals, and more than ten digits, in a NUMERIC",
        "select count(*) from hard_fine_numerics where amount <> round(amount, 2)",
        _table("hard_fine_numerics", f'{_ID}, "amount" numeric', "1, 0.1234567", "2, 123456789012.25", "3, 1e-9"),
    ),
    Trouble(
        "numeric-text",
        "hard_numeric_texts",
        "sizes",
        "exact decimals kept as text because a NUMERIC column would make doubles of them",
        "select count(*) from hard_numeric_texts where amount = '12345678901234567.89'",
        _table("hard_numeric_texts", f'{_ID}, "amount" varchar', "1, '12345678901234567.89'", "2, '0.10'"),
    ),
    Trouble(
        "wide-row",
        "hard_wide_rows",
        "sizes",
        "70 varchar columns: 71,400 bytes a row in utf8mb4, the limit is 65,535",
        "select count(*) * 255 * 4 > 65535 from pragma_table_info('hard_wide_rows') where type = 'varchar'",
        (
            f'create table "hard_wide_rows" ({_ID}, {_FIELDS})',
            "insert into hard_wide_rows (id, field_0, field_69) values (1, 'α', 'ω')",
        ),
    ),
    Trouble(
        "wide-key",
        "hard_wide_keys",
        "sizes",
        "a unique key over four varchars: 4,080 bytes, the limit is 3,072",
        "select count(*) * 255 * 4 > 3072 from pragma_index_info('hard_wide_keys_unique')",
        (
            *_table(
                "hard_wide_keys", f'{_ID}, "a" varchar, "b" varchar, "c" varchar, "d" varchar', "1, 'α', 'β', 'γ', 'δ'"
            ),
            'create unique index "hard_wide_keys_unique" on "hard_wide_keys" ("a", "b", "c", "d")',
        ),
    ),
    Trouble(
        "text-key",
        "hard_text_keys",
        "sizes",
        "TEXT as primary key and in an index: MySQL wants a prefix length",
        "select count(*) from pragma_table_info('hard_text_keys') where lower(type) = 'text' and pk = 1",
        (
            *_table(
                "hard_text_keys", '"code" text not null, "note" text, primary key ("code")', "'α', 'πρώτο'", "'β', null"
            ),
            'create index "hard_text_keys_note_index" on "hard_text_keys" ("note")',
        ),
    ),
)

_TYPES = (
    Trouble(
        "text-in-integer",
        "hard_mixed_integers",
        "types",
        "words, fractions, blobs and phone numbers in an INTEGER column",
        "select count(distinct typeof(quantity)) = 4 from hard_mixed_integers",
        _table(
            "hard_mixed_integers",
            f'{_ID}, "quantity" integer',
            "1, 3",
            "2, 'τρία'",
            "3, 2.5",
            "4, x'00ff'",
            "5, 306945550123",
            "6, ''",
        ),
    ),
    Trouble(
        "number-in-text",
        "hard_mixed_untyped",
        "types",
        "integers, reals and text in a column without a declared type",
        "select count(distinct typeof(value)) = 4 from hard_mixed_untyped",
        _table("hard_mixed_untyped", f'{_ID}, "value"', "1, 7", "2, 7.0", "3, '7'", "4, x'37'"),
    ),
    Trouble(
        "boolean-words",
        "hard_booleans",
        "types",
        "booleans as 1, 'true', 't' and 300 in a tinyint(1)",
        "select count(*) from hard_booleans where typeof(flag) = 'text' or flag > 127",
        _table("hard_booleans", f'{_ID}, "flag" tinyint(1) not null', "1, 1", "2, 'true'", "3, 't'", "4, 300"),
    ),
    Trouble(
        "big-integer",
        "hard_big_integers",
        "types",
        "both ends of the signed 64-bit range, and one beyond it, which SQLite keeps as a real",
        "select count(*) from hard_big_integers where typeof(value) = 'real'",
        _table(
            "hard_big_integers",
            f'{_ID}, "value" integer',
            "1, 9223372036854775807",
            "2, -9223372036854775808",
            "3, 9223372036854775808",
        ),
    ),
    Trouble(
        "doubles",
        "hard_doubles",
        "types",
        "doubles that need 17 digits, the largest and the smallest, and minus zero",
        "select count(*) from hard_doubles where value = 0.1 + 0.2 and value <> 0.3",
        _table(
            "hard_doubles",
            f'{_ID}, "value" real',
            "1, 0.1 + 0.2",
            "2, 1.7976931348623157e308",
            "3, 5e-324",
            "4, -0.0",
            "5, 1.0 / 3",
        ),
    ),
    Trouble(
        "infinities",
        "hard_infinities",
        "types",
        "infinities in a REAL column: MySQL has none",
        "select count(*) = 2 from hard_infinities where abs(value) > 1.7976931348623157e308",
        _table("hard_infinities", f'{_ID}, "value" real', "1, 9e999", "2, -9e999"),
    ),
    Trouble(
        "empty-and-null",
        "hard_empty_values",
        "types",
        "'' and NULL side by side in text, integer, numeric and datetime columns",
        "select count(*) from hard_empty_values where number = '' and typeof(number) = 'text'",
        _table(
            "hard_empty_values",
            f'{_ID}, "word" varchar, "number" integer, "amount" numeric, "moment" datetime',
            "1, '', '', '', ''",
            "2, null, null, null, null",
        ),
    ),
    Trouble(
        "enum-outside",
        "hard_enums",
        "types",
        "values outside an enum whose CHECK a rebuild has lost",
        "select count(*) from hard_enums where status not in ('draft', 'sent')",
        _table(
            "hard_enums",
            f"{_ID}, \"status\" varchar not null default ('draft')",
            "1, 'draft'",
            "2, 'Sent'",
            "3, 'παλιό'",
        ),
    ),
)

_TEXTS = (
    Trouble(
        "json-duplicate-keys",
        "hard_json_duplicates",
        "json",
        "a JSON object with the same key twice: MySQL keeps the last",
        "select count(*) > count(distinct key) from hard_json_duplicates, json_each(data)",
        _table("hard_json_duplicates", f'{_ID}, "data" text', """1, '{"a": 1, "b": 2, "a": 3}'"""),
    ),
    Trouble(
        "json-escapes",
        "hard_json_escapes",
        "json",
        "JSON with \\u escapes, \\/ and numbers that no double holds",
        "select count(*) from hard_json_escapes where instr(data, '\\u03b5') > 0",
        _table(
            "hard_json_escapes",
            f'{_ID}, "data" text',
            """1, '{"name": "\\u03b5\\u03bb\\u03b9\\u03ac", "url": "https:\\/\\/example.com"}'""",
            """2, '{"n": 12345678901234567890, "d": 0.10, "e": 1E2}'""",
            """3, '"\\ud83e\\uded2"'""",
        ),
    ),
    Trouble(
        "json-invalid",
        "hard_json_invalid",
        "json",
        "PHP-serialised text, half an object and '' in a column the application calls JSON",
        "select count(*) = 3 from hard_json_invalid where not json_valid(data)",
        _table(
            "hard_json_invalid", f'{_ID}, "data" text', "1, 'a:1:{i:0;i:1;}'", """2, '{"a": 1'""", "3, ''", "4, '[]'"
        ),
    ),
    Trouble(
        "control-text",
        "hard_control_texts",
        "text",
        "tab, newline, carriage return, backslash, quotes and \\N in text",
        "select count(*) from hard_control_texts where instr(body, char(9)) and instr(body, char(92))",
        _table(
            "hard_control_texts",
            f'{_ID}, "body" text',
            "1, 'a' || char(9) || 'b' || char(10) || 'c' || char(13) || char(10) || 'd\\e'",
            "2, '\\N'",
            "3, '''quoted'' \"twice\" `and` so;'",
            "4, char(92)",
            "5, char(26) || 'after'",
        ),
    ),
    Trouble(
        "nul-text",
        "hard_nul_texts",
        "text",
        "text with a NUL in the middle: length() stops there",
        "select count(*) from hard_nul_texts where instr(hex(body), '00')",
        _table("hard_nul_texts", f'{_ID}, "body" text', "1, 'πριν' || char(0) || 'μετά'"),
    ),
    Trouble(
        "invalid-utf8",
        "hard_invalid_utf8",
        "text",
        "text that is not UTF-8: one Windows-1253 word and a lone surrogate",
        "select count(*) = 2 from hard_invalid_utf8 where hex(body) in ('C5EBE9DC', '61EDA0BD62')",
        _table(
            "hard_invalid_utf8", f'{_ID}, "body" text', "1, cast(x'C5EBE9DC' as text)", "2, cast(x'61EDA0BD62' as text)"
        ),
    ),
    Trouble(
        "four-bytes",
        "hard_four_byte_texts",
        "text",
        "emoji, a family of them, and letters beyond the basic plane",
        "select count(*) from hard_four_byte_texts where length(cast(body as blob)) = 4 * length(body)",
        _table(
            "hard_four_byte_texts", f'{_ID}, "body" varchar', "1, '🫒🍯'", "2, '👩‍🌾'", "3, '𐆊𝛑'", "4, 'ά' || char(769)"
        ),
    ),
    Trouble(
        "blobs",
        "hard_blobs",
        "text",
        "blobs with every byte that loaders trip over, one empty, one of 100,000 bytes",
        "select count(*) from hard_blobs where data = x'001A5C090A0D2722FFFE'",
        _table(
            "hard_blobs",
            f'{_ID}, "data" blob',
            "1, x'001A5C090A0D2722FFFE'",
            "2, x''",
            "3, null",
            "4, zeroblob(100000)",
        ),
    ),
    Trouble(
        "nocase",
        "hard_nocase",
        "text",
        "columns with COLLATE NOCASE and RTRIM, the first in a unique key",
        "select count(*) from hard_nocase where code = 'ABC' and code <> 'ABC' collate binary",
        _table(
            "hard_nocase",
            f'{_ID}, "code" varchar collate nocase unique, "name" varchar collate rtrim',
            "1, 'abc', 'x  '",
            "2, 'ΆΒΓ', 'x'",
            "3, 'άβγ', 'y'",
        ),
    ),
)

_KEYS = (
    Trouble(
        "collation-greek",
        "hard_greek_keys",
        "keys",
        "a unique key that keeps case and accents apart; utf8mb4_unicode_ci does not",
        "select count(*) = 4 from hard_greek_keys",
        (
            *_table(
                "hard_greek_keys",
                f'{_ID}, "name" varchar not null',
                "1, 'Ελιά'",
                "2, 'ΕΛΙΑ'",
                "3, 'ελια'",
                "4, 'Ελιες'",
            ),
            'create unique index "hard_greek_keys_name_unique" on "hard_greek_keys" ("name")',
        ),
    ),
    Trouble(
        "collation-latin",
        "hard_latin_keys",
        "keys",
        "a unique key that keeps ß and ss, and a trailing space, apart",
        "select count(*) = 5 from hard_latin_keys",
        (
            *_table(
                "hard_latin_keys",
                f'{_ID}, "name" varchar not null',
                "1, 'Strauß'",
                "2, 'Strauss'",
                "3, 'key'",
                "4, 'key '",
                "5, 'Κλειδί'",
            ),
            'create unique index "hard_latin_keys_name_unique" on "hard_latin_keys" ("name")',
        ),
    ),
    Trouble(
        "collation-primary",
        "hard_word_primary_keys",
        "keys",
        "a varchar primary key with two words that differ in case only",
        "select count(*) = 2 from hard_word_primary_keys",
        _table(
            "hard_word_primary_keys",
            '"word" varchar not null, "n" integer, primary key ("word")',
            "'Αθήνα', 1",
            "'αθηνα', 2",
        ),
    ),
    Trouble(
        "id-zero",
        "hard_zero_ids",
        "keys",
        "rows with id 0 and with negative ids",
        "select count(*) = 3 from hard_zero_ids where id <= 0",
        _table(
            "hard_zero_ids",
            f'{_ID}, "name" varchar',
            "0, 'μηδέν'",
            "1, 'ένα'",
            "-1, 'μείον ένα'",
            "-9223372036854775808, 'τέλος'",
        ),
    ),
    Trouble(
        "sequence-ahead",
        "hard_sequences",
        "keys",
        "sqlite_sequence far ahead of max(id): numbers given once must not be given again",
        "select seq > 1 from sqlite_sequence where name = 'hard_sequences'",
        (
            *_table("hard_sequences", f'{_ID}, "name" varchar', "1, 'παραστατικό'"),
            "update sqlite_sequence set seq = 70500 where name = 'hard_sequences'",
        ),
    ),
    Trouble(
        "sequence-without-rows",
        "hard_empty_sequences",
        "keys",
        "an empty table whose sequence stands at 812",
        "select seq = 812 from sqlite_sequence where name = 'hard_empty_sequences'",
        (
            *_table("hard_empty_sequences", f'{_ID}, "name" varchar', "812, 'διαγραμμένο'"),
            "delete from hard_empty_sequences",
        ),
    ),
    Trouble(
        "null-primary-key",
        "hard_null_keys",
        "keys",
        "NULL, twice, in a primary key, which SQLite allows",
        "select count(*) = 2 from hard_null_keys where code is null",
        _table("hard_null_keys", '"code" varchar primary key, "name" varchar', "null, 'α'", "null, 'β'", "'x', 'γ'"),
    ),
    Trouble(
        "no-key",
        "hard_no_keys",
        "keys",
        "a table without any key, with equal rows",
        "select max(copies) = 3 from (select count(*) as copies from hard_no_keys group by word, n)",
        _table(
            "hard_no_keys",
            '"word" varchar, "n" integer',
            "'ίδιο', 1",
            "'ίδιο', 1",
            "'ίδιο', 1",
            "null, null",
            "null, null",
        ),
    ),
    Trouble(
        "composite-key",
        "hard_composite_keys",
        "keys",
        "a primary key of three columns in another order than the columns",
        "select count(*) = 3 from pragma_table_info('hard_composite_keys') where pk > 0",
        _table(
            "hard_composite_keys",
            '"a" integer not null, "b" varchar not null, "c" date not null, "v" numeric, primary key ("c", "a", "b")',
            "1, 'x', '2024-05-01', 1.5",
            "1, 'y', '2024-05-01', 2",
            "2, 'x', '2024-05-01', null",
        ),
    ),
    Trouble(
        "without-rowid",
        "hard_without_rowid",
        "keys",
        "a WITHOUT ROWID table with a text key",
        "select instr(lower(sql), 'without rowid') from sqlite_master where name = 'hard_without_rowid'",
        (
            'create table "hard_without_rowid" ("code" varchar not null primary key, "n" integer) without rowid',
            "insert into hard_without_rowid values ('β', 2), ('α', 1)",
        ),
    ),
)

_MOMENTS = (
    Trouble(
        "dst-gap",
        "hard_clock_gaps",
        "moments",
        "local times that Athens' clocks skipped, and one they showed twice",
        "select count(*) = 2 from hard_clock_gaps where moment like '2024-03-31 03:%' or moment like '2025-03-30 03:%'",
        _table(
            "hard_clock_gaps",
            f'{_ID}, "moment" datetime',
            "1, '2024-03-31 03:30:00'",
            "2, '2025-03-30 03:00:00'",
            "3, '2024-10-27 03:30:00'",
        ),
    ),
    Trouble(
        "timestamp-range",
        "hard_far_moments",
        "moments",
        "moments outside 1970 to 2038, where a TIMESTAMP ends, and outside the calendar of a DATETIME",
        "select count(*) = 5 from hard_far_moments where moment < '1970-01-01' or moment > '2038-01-19 03:14:07'",
        _table(
            "hard_far_moments",
            f'{_ID}, "moment" datetime',
            "1, '1969-12-31 23:59:59'",
            "2, '2038-01-19 03:14:08'",
            "3, '9999-12-31 23:59:59'",
            "4, '0001-01-01 00:00:00'",
            "5, '-0044-03-15 12:00:00'",
            "6, '2024-01-01 00:00:00'",
        ),
    ),
    Trouble(
        "iso-moments",
        "hard_iso_moments",
        "moments",
        "ISO datetimes with T, Z and an offset",
        "select count(*) = 4 from hard_iso_moments where instr(moment, 'T')",
        _table(
            "hard_iso_moments",
            f'{_ID}, "moment" datetime',
            "1, '2024-05-01T10:20:30Z'",
            "2, '2024-05-01T10:20:30+03:00'",
            "3, '2024-05-01T10:20:30.123456Z'",
            "4, '2024-05-01T10:20'",
        ),
    ),
    Trouble(
        "fractions-of-seconds",
        "hard_fraction_moments",
        "moments",
        "fractions of seconds: MySQL rounds the last one into the next year",
        "select count(*) from hard_fraction_moments where moment = '2024-12-31 23:59:59.999'",
        _table(
            "hard_fraction_moments",
            f'{_ID}, "moment" datetime',
            "1, '2024-05-01 10:20:30.5'",
            "2, '2024-05-01 10:20:30.123456789'",
            "3, '2024-12-31 23:59:59.999'",
        ),
    ),
    Trouble(
        "zero-moments",
        "hard_zero_moments",
        "moments",
        "'0000-00-00', '' and 30 February in date and datetime columns",
        "select count(*) from hard_zero_moments where moment = '0000-00-00 00:00:00' or day = ''",
        _table(
            "hard_zero_moments",
            f'{_ID}, "moment" datetime, "day" date',
            "1, '0000-00-00 00:00:00', '0000-00-00'",
            "2, '', ''",
            "3, '2024-02-30 10:00:00', '2023-02-29'",
        ),
    ),
    Trouble(
        "epoch-moments",
        "hard_epoch_moments",
        "moments",
        "seconds, milliseconds and Julian days in a datetime column",
        "select count(*) from hard_epoch_moments where typeof(moment) = 'integer'",
        _table("hard_epoch_moments", f'{_ID}, "moment" datetime', "1, 1714550430", "2, 1714550430123", "3, 2460431.93"),
    ),
    Trouble(
        "short-moments",
        "hard_short_moments",
        "moments",
        "a date in a datetime column, a datetime in a date column, day before month, 24:00",
        "select count(*) from hard_short_moments where length(moment) = 10",
        _table(
            "hard_short_moments",
            f'{_ID}, "moment" datetime, "day" date',
            "1, '2024-05-01', '2024-05-01 10:20:30'",
            "2, '2024-05-01 24:00:00', '01/05/2024'",
        ),
    ),
)

_FOREIGN_KEYS = (
    Trouble(
        "orphans",
        "favorites",
        "foreign keys",
        "a row of the shop itself that points at a user and a product that are not there",
        "select count(*) = 2 from pragma_foreign_key_check('favorites')",
        ("insert into favorites (id, user_id, product_id) values (9001, 999, 9999)",),
    ),
    Trouble(
        "foreign-type",
        "hard_foreign_types",
        "foreign keys",
        "a varchar that references an integer key: MySQL wants the same type",
        "select count(*) from pragma_foreign_key_list('hard_foreign_types') where \"table\" = 'products'",
        _table(
            "hard_foreign_types",
            f'{_ID}, "product_id" varchar, foreign key("product_id") references "products"("id")',
            "1, '1'",
            "2, null",
        ),
    ),
    Trouble(
        "foreign-nowhere",
        "hard_foreign_nowhere",
        "foreign keys",
        "foreign keys to a table that is gone and to a column without a key",
        "select count(*) = 2 from pragma_foreign_key_list('hard_foreign_nowhere')",
        _table(
            "hard_foreign_nowhere",
            f'{_ID}, "farm_id" integer references "old_farms"("id"), "city" varchar references "addresses"("city")',
            "1, null, null",
        ),
    ),
    Trouble(
        "foreign-cycle",
        "hard_cycle_left",
        "foreign keys",
        "two tables that reference each other, with rows that do, and NOT NULL on one side",
        "select count(*) from hard_cycle_left l join hard_cycle_right r on l.right_id = r.id and r.left_id = l.id",
        (
            *_table(
                "hard_cycle_left", f'{_ID}, "right_id" integer not null references "hard_cycle_right"("id")', "1, 1"
            ),
            *_table("hard_cycle_right", f'{_ID}, "left_id" integer references "hard_cycle_left"("id")', "1, 1"),
        ),
    ),
    Trouble(
        "foreign-self",
        "hard_self_references",
        "foreign keys",
        "rows that reference later rows of their table, and themselves",
        "select count(*) = 2 from hard_self_references where parent_id >= id",
        _table(
            "hard_self_references",
            f'{_ID}, "parent_id" integer references "hard_self_references"("id") on delete cascade',
            "1, 3",
            "2, 2",
            "3, null",
        ),
    ),
)

_NAMES = (
    Trouble(
        "reserved-words",
        "order",
        "names",
        "a table and columns named with MySQL's reserved words",
        "select count(*) = 4 from pragma_table_info('order') where name in ('key', 'group', 'rank', 'system')",
        _table(
            "order",
            '"key" varchar not null primary key, "group" varchar, "rank" integer, "system" varchar',
            "'α', 'β', 1, 'γ'",
        ),
    ),
    Trouble(
        "reserved-groups",
        "groups",
        "names",
        "a table named groups, reserved since MySQL 8.0, with an index named key",
        "select count(*) from pragma_index_list('groups') where name = 'key'",
        (*_table("groups", f'{_ID}, "lateral" varchar', "1, 'α'"), 'create index "key" on "groups" ("lateral")'),
    ),
    Trouble(
        "long-names",
        _LONG_NAME,
        "names",
        "table, column and index names over 64 characters",
        f"select length(name) > 64 from sqlite_master where name = '{_LONG_NAME}'",
        (
            *_table(_LONG_NAME, f'{_ID}, "{_LONG_NAME}_in_celsius" numeric', "1, 4.5"),
            f'create index "{_LONG_NAME}_index" on "{_LONG_NAME}" ("{_LONG_NAME}_in_celsius")',
        ),
    ),
    Trouble(
        "greek-names",
        "παραλαβές",
        "names",
        "Greek names of table, columns and index",
        "select count(*) from pragma_table_info('παραλαβές') where name = 'ημερομηνία'",
        (
            *_table("παραλαβές", f'{_ID}, "ημερομηνία" date, "ποσότητα" numeric', "1, '2024-05-01', 2.5"),
            'create index "δείκτης_ημερομηνίας" on "παραλαβές" ("ημερομηνία")',
        ),
    ),
    Trouble(
        "case-only-tables",
        "Παραλαβές",
        "names",
        "a table whose name differs from another's in case only",
        "select count(*) = 2 from sqlite_master where name in ('παραλαβές', 'Παραλαβές')",
        _table("Παραλαβές", f'{_ID}, "σημείωση" text', "1, 'άλλος πίνακας'"),
    ),
    Trouble(
        "case-only-columns",
        "hard_case_columns",
        "names",
        "columns that differ in case or accent only: one column to MySQL",
        "select count(*) = 3 from pragma_table_info('hard_case_columns') where name in ('Τιμή', 'τιμή', 'τιμη')",
        _table("hard_case_columns", f'{_ID}, "Τιμή" numeric, "τιμή" numeric, "τιμη" numeric', "1, 1.5, 2.5, 3.5"),
    ),
    Trouble(
        "quoted-names",
        "hard `name` with \"quotes\" 'and' spaces",
        "names",
        "spaces, quotes, backticks, a percent sign and a trailing space in names",
        "select count(*) from sqlite_master where instr(name, '`') and instr(name, '\"')",
        (
            f'create table "hard `name` with ""quotes"" \'and\' spaces" ({_ID}, "price %" numeric, "last " varchar)',
            'insert into "hard `name` with ""quotes"" \'and\' spaces" values (1, 2.5, \'x\')',
        ),
    ),
)

_OBJECTS = (
    Trouble(
        "expression-index",
        "hard_expression_indexes",
        "objects",
        "a unique index on an expression",
        "select count(*) from pragma_index_xinfo('hard_expression_indexes_lower') where cid = -2",
        (
            *_table("hard_expression_indexes", f'{_ID}, "email" varchar', "1, 'A@example.com'", "2, 'b@example.com'"),
            'create unique index "hard_expression_indexes_lower" on "hard_expression_indexes" (lower("email"))',
        ),
    ),
    Trouble(
        "literal-index",
        "hard_literal_indexes",
        "objects",
        "an index whose column was misspelt and became a string literal",
        "select count(*) from pragma_index_info('hard_literal_indexes_region') where cid = -2",
        (
            *_table("hard_literal_indexes", f'{_ID}, "city" varchar', "1, 'Βόλος'"),
            'create index "hard_literal_indexes_region" on "hard_literal_indexes" ("region")',
        ),
    ),
    Trouble(
        "partial-index",
        "hard_partial_indexes",
        "objects",
        "a partial index, and a partial unique one that allows doubles outside its condition",
        "select count(*) = 2 from pragma_index_list('hard_partial_indexes') where partial",
        (
            *_table(
                "hard_partial_indexes",
                f'{_ID}, "code" varchar, "deleted_at" datetime',
                "1, 'α', '2024-05-01 10:00:00'",
                "2, 'α', '2024-05-02 10:00:00'",
                "3, 'α', null",
            ),
            'create unique index "hard_partial_code" on "hard_partial_indexes" ("code") where "deleted_at" is null',
            'create index "hard_partial_gone" on "hard_partial_indexes" ("deleted_at") where "deleted_at" is not null',
        ),
    ),
    Trouble(
        "descending-index",
        "hard_descending_indexes",
        "objects",
        "an index with a descending column",
        "select count(*) from pragma_index_xinfo('hard_descending_indexes_recent') where desc",
        (
            *_table("hard_descending_indexes", f'{_ID}, "n" integer, "day" date', "1, 1, '2024-05-01'"),
            'create index "hard_descending_indexes_recent" on "hard_descending_indexes" ("n", "day" desc)',
        ),
    ),
    Trouble(
        "generated-columns",
        "hard_generated_columns",
        "objects",
        "a stored and a virtual generated column",
        "select count(*) = 2 from pragma_table_xinfo('hard_generated_columns') where hidden in (2, 3)",
        (
            f'create table "hard_generated_columns" ({_ID}, "net" numeric not null, '
            '"gross" numeric as (round("net" * 1.24, 2)) stored, "label" varchar as (\'#\' || "net") virtual)',
            "insert into hard_generated_columns (id, net) values (1, 10.5), (2, 8)",
        ),
    ),
    Trouble(
        "checks",
        "hard_checks",
        "objects",
        "CHECKs in SQLite's own words: glob, length and json_valid",
        "select instr(sql, 'glob') from sqlite_master where name = 'hard_checks'",
        _table(
            "hard_checks",
            f'{_ID}, "code" varchar check ("code" glob \'A[0-9]*\' and length("code") < 9), '
            '"data" text check (json_valid("data"))',
            "1, 'A1234', '{}'",
        ),
    ),
    Trouble(
        "defaults",
        "hard_defaults",
        "objects",
        "defaults in brackets, of functions, on a text column and with a quote inside",
        "select count(*) from pragma_table_info('hard_defaults') where instr(dflt_value, 'random')",
        _table(
            "hard_defaults",
            f'{_ID}, "flag" tinyint(1) not null default (\'0\'), "dice" integer default (abs(random() % 6)), '
            "\"note\" text default 'it''s', \"day\" date default (date('now'))",
            "1, 0, 3, 'x', '2024-05-01'",
        ),
    ),
    Trouble(
        "odd-types",
        "hard_odd_types",
        "objects",
        "declared types that only SQLite takes",
        "select count(*) = 5 from pragma_table_info('hard_odd_types') where name <> 'id'",
        _table(
            "hard_odd_types",
            'id INTEGER PRIMARY KEY, a CLOB COLLATE "BINARY", b BOOLEAN, c "BIG INT", d STRING, e "any type"(7)',
            "1, 'α', 1, 12, '0012', 'x'",
        ),
    ),
    Trouble(
        "view",
        "hard_view",
        "objects",
        "a view in SQLite's dialect",
        "select count(*) from sqlite_master where type = 'view' and name = 'hard_view'",
        ("create view \"hard_view\" as select name || ' #' || id as label, ifnull(sku, '-') as sku from products",),
    ),
    Trouble(
        "trigger",
        "hard_triggered",
        "objects",
        "a trigger that changes the row it fires for",
        "select count(*) from sqlite_master where type = 'trigger' and tbl_name = 'hard_triggered'",
        (
            *_table("hard_triggered", f'{_ID}, "n" integer, "touched" integer default 0', "1, 5, 0"),
            'create trigger "hard_touch" after update of n on "hard_triggered" begin '
            "update hard_triggered set touched = touched + 1 where id = new.id; end",
        ),
    ),
    Trouble(
        "virtual-table",
        "hard_search",
        "objects",
        "a full-text table of SQLite's, with its shadow tables",
        "select count(*) > 4 from sqlite_master where name like 'hard_search%'",
        (
            'create virtual table "hard_search" using fts5(title, body)',
            "insert into hard_search values ('Ελιές', 'Πράσινες ελιές τσακιστές')",
        ),
        module="fts5",
    ),
)

TROUBLES = (*_SIZES, *_TYPES, *_TEXTS, *_KEYS, *_MOMENTS, *_FOREIGN_KEYS, *_NAMES, *_OBJECTS)
