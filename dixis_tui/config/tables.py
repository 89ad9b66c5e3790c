"""[schema], [types], [names] and [data]: how tables and rows travel."""

from __future__ import annotations

import codecs
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from dixis_tui.config.base import Name, Section
from dixis_tui.schemas import expressions


class Index(Section):
    """[[schema.indexes]] and [[schema.fulltext]]: an index the plan wants. waive: why it may be left out."""

    name: Name
    table: Name
    columns: tuple[Name, ...] = Field(min_length=1)
    waive: str = ""


class Schema(Section):
    """[schema]: native builds the tables from the source's schema; artisan has the application's migrations do it.

    accept: findings the operator agrees to beforehand, by the id or the kind that schema.findings prints. leave_out:
    foreign keys that are not made because rows refer to nothing, as `table.(column)`, each with who decided it and why.
    """

    mode: Literal["native", "artisan"] = "native"
    accept: tuple[str, ...] = ()
    leave_out: dict[str, str] = Field(default_factory=dict)
    indexes: tuple[Index, ...] = (
        Index(name="idx_products_category_featured", table="products", columns=("category_id", "is_featured")),
        Index(name="idx_products_producer_active", table="products", columns=("producer_id", "is_active")),
        Index(name="idx_orders_user_date", table="orders", columns=("user_id", "created_at")),
        Index(name="idx_shipping_zones_greece", table="shipping_zones", columns=("country", "region")),
    )
    fulltext: tuple[Index, ...] = (
        Index(name="ft_products_name_description", table="products", columns=("name", "description")),
        Index(
            name="ft_producers_business_name_description", table="producers", columns=("business_name", "description")
        ),
    )


class Group(Section):
    """[[data.groups]]: tables copied together, in the order of the file; tables not there are named, not guessed."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    priority: int = Field(ge=1, le=9)
    tables: tuple[str, ...]


def _group(name: str, title: str, priority: int, tables: str) -> Group:
    return Group(name=name, title=title, priority=priority, tables=tuple(tables.split()))


PLAN_GROUPS = (
    _group(
        "users",
        "Users and authentication",
        1,
        "users roles permissions model_has_roles model_has_permissions role_has_permissions personal_access_tokens"
        " password_reset_tokens addresses",
    ),
    _group(
        "core",
        "Core business data",
        1,
        "producers producer_profiles producer_media businesses business_users categories product_categories products"
        " product_images product_attributes product_attribute_values product_category_relations",
    ),
    _group(
        "financial",
        "Financial data",
        1,
        "orders order_items payments invoices invoice_items invoice_payments quickbooks_tokens",
    ),
    _group(
        "configuration",
        "Configuration data",
        2,
        "shipping_zones shipping_rates delivery_methods postal_code_zones tenants tenant_themes settings",
    ),
)


def zone_of(text: str) -> tzinfo:
    """The time zone of an offset like +02:00 or a name like Europe/Athens. Raises ValueError for anything else."""
    if text[:1] in ("+", "-"):
        return datetime.strptime(text, "%z").tzinfo or UTC
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"{text!r} is no time zone: use an offset like +02:00 or a name like Europe/Athens") from error


class Conversion(Section):
    """[[data.conversions]]: a change of values on their way that the operator wants; no other is ever made.

    column: `table.column`. rule: empty-to-null; iso-datetime (times with T, Z or an offset become times of zone); round
    (to the target's scale); epoch (whole seconds since 1970 become times of zone); charset (text that is not valid
    UTF-8 is read as `from`); quarantine (rows whose value does not fit are set aside in _dixis_quarantine);
    set-orphans-aside (the same for rows whose foreign key on that column leads to no row).
    """

    column: str = Field(pattern=r"^[^.]+\.[^.]+$")
    rule: Literal["empty-to-null", "iso-datetime", "round", "epoch", "charset", "quarantine", "set-orphans-aside"]
    zone: str = "+00:00"
    from_: str = Field(default="", alias="from", pattern=r"^[A-Za-z0-9_-]*$")

    @model_validator(mode="after")
    def _usable(self) -> Conversion:
        zone_of(self.zone)
        if (self.rule == "charset") != bool(self.from_):
            raise ValueError('from = "iso-8859-7" (or another charset) goes with rule = "charset", and only with it')
        if self.from_:
            try:
                codecs.lookup(self.from_)
            except LookupError as error:
                raise ValueError(f"{self.from_!r} is no charset that is known here") from error
        return self

    @property
    def table(self) -> str:
        return self.column.partition(".")[0]

    @property
    def column_name(self) -> str:
        return self.column.partition(".")[2]


class Data(Section):
    """[data]: how rows travel. chunk_rows: rows in one transaction; chunk_mib bounds it for wide rows; streams: how
    many tables, or parts of a large one, are copied at the same time; conversions: changes that are wanted."""

    chunk_rows: int = Field(default=20_000, ge=1, le=1_000_000)
    chunk_mib: int = Field(default=16, ge=1, le=512)
    streams: int = Field(default=2, ge=1, le=16)
    conversions: tuple[Conversion, ...] = ()
    groups: tuple[Group, ...] = PLAN_GROUPS


def _column_type(text: str) -> str:
    return expressions.column_type(text)


def _column_names(types: dict[str, str]) -> dict[str, str]:
    for name in types:
        if not all(name.rpartition(".")[::2]):
            raise ValueError(f'{name!r} is not of the form "table.column"')
    return types


# [types]: the type of a column on the target, by "table.column", instead of the one the console would choose.
Types = Annotated[dict[str, Annotated[str, AfterValidator(_column_type)]], AfterValidator(_column_names)]


# [names]: what a table or column is called on the target, by "table" or "table.column", instead of the source's name.
Names = dict[str, Name]
