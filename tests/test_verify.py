"""Validation finds rows that are missing, rows without a parent, and tax that is not the source's."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from dixis_tui.compare import validation, verify
from dixis_tui.model import Kind, Status
from dixis_tui.sandbox import RunningServer
from dixis_tui.target import execute
from tests.data_path import Driver, make_driver

SHOP = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, name VARCHAR)",
    "CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, user_id INTEGER,"
    " total_amount NUMERIC NOT NULL, tax_amount NUMERIC NOT NULL DEFAULT '0',"
    " shipping_cost NUMERIC NOT NULL DEFAULT '0', discount_amount NUMERIC NOT NULL DEFAULT '0',"
    " FOREIGN KEY (user_id) REFERENCES users (id))",
    "INSERT INTO users VALUES (1, 'Μαρία'), (2, 'Νίκος')",
    # 24 % with a discount, 13 % with shipping, a mixed basket, and one without tax
    "INSERT INTO orders VALUES (1, 1, 121, 24, 2, 5), (2, 1, 118, 13, 5, 0), (3, 2, 237, 37, 0, 0),"
    " (4, NULL, 50, 0, 0, 0)",
)


def migrated(server: RunningServer, database: str, folder: Path, extra: tuple[str, ...] = ()) -> Driver:
    driver = make_driver(server, database, folder, [*SHOP, *extra])
    outcomes = [*driver.make_tables(), *driver.copy()]
    assert all(outcome.status.settled for outcome in outcomes), outcomes[-1]
    return driver


def test_a_faithful_copy_passes_everything(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = migrated(server, database, tmp_path)
    outcomes = driver.run(validation.steps(driver.config))
    answers = {step.id: step for step in validation.steps(driver.config) if step.kind is Kind.CHECK}
    found = dict(zip(answers, outcomes, strict=True))
    # This shop has neither products nor payments: the plan's questions about them are told as such.
    assert found.pop("validation.queries").status is Status.WARN
    assert [outcome.status for outcome in found.values()] == [Status.PASS] * 4
    assert found["validation.proof"].summary == "2 tables, 6 rows, every value equal"
    assert found["validation.vat"].summary == "3 orders with tax, 74.00 in all, equal and within the rates"
    report = validation.report(driver.ctx)
    assert report.equal
    assert [(t.table, t.rows_source, t.rows_target, t.status) for t in report.tables] == [
        ("users", 2, 2, "equal"),
        ("orders", 4, 4, "equal"),
    ]
    signed = [step for step in validation.steps(driver.config) if step.kind is Kind.SIGNOFF]
    assert len(signed) == 9
    assert (signed[5].id, signed[5].title) == ("validation.test-6", "Greek VAT tax calculations")


def test_a_missing_row_is_a_failure(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = migrated(server, database, tmp_path)
    with closing(driver.target()) as target:
        execute(target, "DELETE FROM orders WHERE id = 4")
        target.commit()
    outcome = verify.check_counts(driver.ctx)
    assert outcome.status is Status.FAIL
    assert outcome.summary == "1 of 2 tables differ: orders"
    report = validation.report(driver.ctx)
    assert not report.equal
    assert [table.status for table in report.tables] == ["equal", "differs"]
    assert [one.model_dump() for one in report.tables[1].differences] == [
        {"key": "id = 4", "column": "*", "source": "present", "target": "missing", "at": ""}
    ]


def test_orphans_of_the_source_are_found_and_shown(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = migrated(server, database, tmp_path, ("INSERT INTO orders VALUES (9, 77, 10, 0, 0, 0)",))
    outcome = verify.check_orphans(driver.ctx)
    assert outcome.status is Status.FAIL
    assert outcome.evidence == ("orders (user_id) to users (id): 1 row, such as (77,)",)
    assert validation.report(driver.ctx).orphans == {"orders (user_id) to users (id)": 1}


def test_changed_tax_fails_and_odd_tax_is_shown(server: RunningServer, database: str, tmp_path: Path) -> None:
    driver = migrated(server, database, tmp_path, ("INSERT INTO orders VALUES (9, 1, 130, 30, 0, 0)",))
    outcome = verify.check_vat(driver.ctx)
    assert outcome.status is Status.WARN
    assert "order 9: total 130.00, tax 30.00" in outcome.evidence
    with closing(driver.target()) as target:
        execute(target, "UPDATE orders SET tax_amount = 24.01 WHERE id = 1")
        target.commit()
    assert verify.check_vat(driver.ctx).status is Status.FAIL


def test_a_plan_that_names_a_column_that_is_not_there_is_told(
    server: RunningServer, database: str, tmp_path: Path
) -> None:
    driver = migrated(server, database, tmp_path)
    vat = driver.config.vat.model_copy(update={"tax": "total_tax"})
    driver.config = driver.config.model_copy(update={"vat": vat})
    outcome = verify.check_vat(driver.ctx)
    assert outcome.status is Status.WARN
    assert outcome.summary == "orders has no column total_tax"
    assert "tax_amount" in outcome.evidence[0] or "total_amount" in outcome.evidence[0]
