"""Names the server does not take, or takes for another's: the rows arrive under a name that is told beforehand."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from dixis_tui.compare import validation, verify
from dixis_tui.model import DixisError, Status
from dixis_tui.sandbox import RunningServer
from dixis_tui.schemas import shape
from dixis_tui.schemas.catalogue import Column, SourceSchema, Table
from dixis_tui.schemas.names import folded, target_names
from dixis_tui.target import query
from tests.data_path import make_driver

LONG = "warehouse_readings_of_the_cold_rooms_in_" + "the_northern_" * 3
LONGER = LONG + "_and_eastern"
COLUMN = "temperature_of_the_room_" * 3
SHOP = (
    f'CREATE TABLE "{LONG}" (id INTEGER PRIMARY KEY, "{COLUMN}" INTEGER NOT NULL CHECK ("{COLUMN}" > 0),'
    f' double INTEGER GENERATED ALWAYS AS ("{COLUMN}" + 1) STORED, unique ("{COLUMN}"))',
    f'CREATE TABLE "{LONGER}" (id INTEGER PRIMARY KEY, room INTEGER REFERENCES "{LONG}" ("{COLUMN}"))',
    f'CREATE INDEX small ON "{LONG}" ("{COLUMN}") WHERE "{COLUMN}" < 5',
    f'CREATE UNIQUE INDEX smaller ON "{LONG}" ("{COLUMN}") WHERE "{COLUMN}" < 3',
    'CREATE TABLE prices (id INTEGER PRIMARY KEY, "Τιμή" NUMERIC, "τιμή" NUMERIC, "τιμη" NUMERIC, "last " TEXT,'
    ' "🫒" TEXT, "straße" TEXT, "strase" TEXT)',
    f'CREATE VIEW warm AS SELECT "{COLUMN}" FROM "{LONG}"',
    f'INSERT INTO "{LONG}" (id, "{COLUMN}") VALUES (1, 4), (2, 7)',
    f'INSERT INTO "{LONGER}" VALUES (1, 7), (2, NULL)',
    "INSERT INTO prices VALUES (1, 1.5, 2.5, 3.5, 'a', 'b', 'c', 'd')",
)


def test_what_cannot_keep_its_name_arrives_under_another(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = make_driver(server, database, tmp_path, SHOP, names={"prices.last ": "last_one", LONGER: "eastern"})
    driver.waives = False
    told = driver.make_tables()[-1]
    assert told.status is Status.FAIL
    lines = "\n".join(told.evidence)
    assert f"warning: {LONG}:name: has a name of more than 64 characters; it is " in lines
    assert f"warning: {LONG}.{COLUMN}:name: column {COLUMN} has a name of more than 64 characters" in lines
    assert "warning: prices.τιμή:name: column τιμή has a name that is another's to this server; it is τιμή_2" in lines
    assert "note: prices.last :name" in lines
    assert f"note: {LONGER}:name: has a name of more than 64 characters; it is eastern here" in lines
    assert "warning: warm:view: is a view that reads " in lines

    driver.waives = True
    assert driver.make_tables()[-1].status.settled
    copied = driver.copy()
    assert [outcome.status for outcome in copied] == [Status.PASS] * len(copied)
    assert verify.check_orphans(driver.ctx).status is Status.PASS
    proof = validation.prove(driver.ctx, "validation.proof")
    assert proof.status is Status.PASS, proof
    with closing(driver.target()) as target:
        names = shape.table_names(target)
        long = next(name for name in names if name.startswith("warehouse"))
        assert set(names) - {"_dixis_chunks"} == {long, "eastern", "prices"}
        assert len(long) == 64
        readings = query(target, f"SELECT * FROM `{long}` ORDER BY id")
        assert [row[:3] for row in readings] == [(1, 4, 5), (2, 7, 8)]
        definition = shape.definition(target, long)
        assert {"small", "smaller"} <= set(definition.keys)
        assert len(definition.checks) == 1
        assert query(target, "SELECT id, room FROM eastern ORDER BY id") == [(1, 7), (2, None)]
        assert len(shape.definition(target, "eastern").foreign_keys) == 1
        columns = [column.name for column in shape.all_columns(target)["prices"]]
        assert columns == ["id", "Τιμή", "τιμή_2", "τιμη_3", "last_one", "_", "straße", "strase_2"]
        assert [str(value) for value in query(target, "SELECT * FROM prices")[0][1:]] == [
            *("1.50", "2.50", "3.50"),
            *("a", "b", "c", "d"),
        ]


def test_names_that_can_stay_do_and_the_others_are_always_the_same() -> None:
    table = Table("t", tuple(Column(name, "TEXT") for name in ("Άλφα", "a" * 70, "άλφα", "άλφα_2")))
    names = target_names(SourceSchema((table,)), {}, one_case=False)
    assert names.table("t") == "t"
    assert [names.column("T", column.name) for column in table.columns][2:] == ["άλφα_3", "άλφα_2"]
    assert names == target_names(SourceSchema((table,)), {}, one_case=False)
    renamed = [column.name for column in names.renamed(table).columns]
    assert len({folded(name) for name in renamed}) == 4
    assert [names.source_column(table, name) for name in renamed] == [column.name for column in table.columns]


def test_tables_equal_but_for_case_stand_apart_where_the_server_needs_it() -> None:
    schema = SourceSchema((Table("Ελιά", ()), Table("ελιά", ())))
    assert target_names(schema, {}, one_case=False).table("ελιά") == "ελιά"
    assert target_names(schema, {}, one_case=True).table("ελιά") == "ελιά_2"


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        ({"gone": "there"}, "is given to what the source does not have"),
        ({"t.gone": "there"}, "is given to what the source does not have"),
        ({"t.a": "x", "t.b": "X"}, "is given twice"),
    ],
)
def test_chosen_names_must_make_sense(chosen: dict[str, str], why: str) -> None:
    schema = SourceSchema((Table("t", (Column("a", "TEXT"), Column("b", "TEXT"))),))
    with pytest.raises(DixisError, match=why):
        target_names(schema, chosen, one_case=False)
