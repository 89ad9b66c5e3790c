"""[vat] and [validation]: what is tried and signed before the switch."""

from __future__ import annotations

from pydantic import Field

from dixis_tui.config.base import Name, Section


class Vat(Section):
    """[vat]: where the tax of an order is kept, what it is counted from, and the rates it may follow, in per cent."""

    table: Name = "orders"
    tax: Name = "tax_amount"
    base: Name = "subtotal"
    total: Name = "total_amount"
    rates: tuple[float, ...] = (24.0, 13.0)


class Query(Section):
    """[[validation.queries]]: a question asked of both sides, whose answers must be the same; sql: one SELECT that both
    read; target_sql: where the target needs other words."""

    title: str = Field(min_length=1)
    sql: str = Field(min_length=1)
    target_sql: str = ""


class Validation(Section):
    """[validation]: the functional tests a person performs and signs; probe_tables: tables the application is asked to
    count through its own connection; queries: asked of both sides besides the plan's own; max_load: the share of the
    server's connections that may be at work for others before a comparison waits, 0 for no limit."""

    functional: tuple[str, ...] = (
        "User authentication and registration",
        "Product catalog browsing",
        "Multi-producer cart functionality",
        "B2B wholesale pricing",
        "Adoption marketplace features",
        "Greek VAT tax calculations",
        "SEPA payment processing",
        "Invoice generation",
        "Email notifications",
    )
    probe_tables: tuple[str, ...] = ("users", "products", "orders", "producers")
    queries: tuple[Query, ...] = ()
    max_load: float = Field(default=0.0, ge=0, le=1)
