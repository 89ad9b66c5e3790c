"""The demo shop's 83 tables, described once in the terms of Laravel's Blueprint, and their SQLite form.

The description is a small text. `[name]` starts a migration file, an unindented line starts a table, indented lines
hold its columns and keys, separated by a comma and a space:

    type(arguments) name [null] [primary] [unique] [index] [now] [=default] [>table:on-delete] [later]
    index(a,b) | unique(a,b) | primary(a,b), each with an optional `=name`

A table written as `rebuilt` or `doctrine` has the form that Laravel 11, or doctrine/dbal before it, leaves behind when
it rebuilds a SQLite table to change a column; `later` marks a column added after that, in Laravel's plain form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

Form = Literal["plain", "rebuilt", "doctrine"]


@dataclass(frozen=True)
class Foreign:
    table: str
    on_delete: str = ""


@dataclass(frozen=True)
class Column:
    """One column; `type` is the Blueprint method that makes it, `arguments` what follows its name there."""

    name: str
    type: str
    arguments: tuple[str, ...] = ()
    nullable: bool = False
    default: str | None = None
    current: bool = False
    foreign: Foreign | None = None
    later: bool = False


@dataclass(frozen=True)
class Index:
    name: str
    kind: Literal["index", "unique", "primary"]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    name: str
    migration: str
    form: Form
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...]

    @property
    def primary(self) -> Index | None:
        return next((index for index in self.indexes if index.kind == "primary"), None)


# Laravel makes its own `migrations` table, so no file of ours does.
FRAMEWORK = "framework"
# The last file: foreign keys whose target did not exist yet when their table was made.
LATE_KEYS_MIGRATION = "2024_03_01_100000_add_keys_that_form_cycles"

DESCRIPTION = """
[framework]
migrations
    id, string migration, integer batch

[2023_03_06_080000_create_account_tables]
users rebuilt
    id, string name, string email unique, timestamp email_verified_at null, string password, string(30) phone null
    string(30) role =consumer, rememberToken, timestamps, foreignId tenant_id null >tenants:set-null later
    boolean is_active =1 later, string avatar null later, string stripe_customer_id null later
    string google_id null later, char(2) locale =el later
password_reset_tokens
    string email primary, string token, timestamp created_at null
personal_access_tokens
    id, string tokenable_type, unsignedBigInteger tokenable_id, string name, string(64) token unique
    text abilities null, timestamp last_used_at null, timestamp expires_at null, timestamps
    index(tokenable_type,tokenable_id)
sessions
    string id primary, foreignId user_id null index, string(45) ip_address null, text user_agent null
    longText payload, integer last_activity index
permissions
    id, string name, string guard_name, timestamps, unique(name,guard_name)
roles
    id, string name, string guard_name, timestamps, unique(name,guard_name)
model_has_permissions
    foreignId permission_id >permissions:cascade, string model_type, unsignedBigInteger model_id
    primary(permission_id,model_id,model_type), index(model_id,model_type)
model_has_roles
    foreignId role_id >roles:cascade, string model_type, unsignedBigInteger model_id
    primary(role_id,model_id,model_type), index(model_id,model_type)
role_has_permissions
    foreignId permission_id >permissions:cascade, foreignId role_id >roles:cascade, primary(permission_id,role_id)
addresses
    id, foreignId user_id >users:cascade, string label =Σπίτι, string recipient, string street, string(20) street_number
    string city, string(10) postal_code index, string region null, string country =Ελλάδα, string(30) phone null
    string doorbell null, boolean is_default =0, timestamps

[2023_03_06_090000_create_queue_and_cache_tables]
cache
    string key primary, mediumText value, integer expiration
cache_locks
    string key primary, string owner, integer expiration
jobs
    id, string queue index, longText payload, unsignedTinyInteger attempts, unsignedInteger reserved_at null
    unsignedInteger available_at, unsignedInteger created_at
job_batches
    string id primary, string name, integer total_jobs, integer pending_jobs, integer failed_jobs
    longText failed_job_ids, mediumText options null, integer cancelled_at null, integer created_at
    integer finished_at null
failed_jobs
    id, string uuid unique, text connection, text queue, longText payload, longText exception, timestamp failed_at now
settings
    id, string key unique, text value null, string(20) type =string, string group =general index
    string description null, timestamps
notifications
    id, foreignId user_id >users:cascade, string type, string title, text message, json data null
    boolean is_read =0, timestamp read_at null, timestamps, index(user_id,is_read)

[2023_04_18_100000_create_tenant_tables]
tenants
    id, string name, string slug unique, string domain null unique, string subdomain unique
    enum(basic,premium,enterprise) plan =basic, enum(active,suspended,trial) status =trial
    foreignId owner_id null >users:set-null, json settings null, timestamp subscription_expires_at null index
    timestamp trial_ends_at null, timestamps, softDeletes, index(status,plan)
tenant_themes
    id, foreignId tenant_id >tenants:cascade, char(7) primary_color =#4b6b2f, char(7) secondary_color =#f4efe2
    char(7) accent_color =#c8873a, string font_family =Commissioner, string logo_path null, longText custom_css null
    json palette null, timestamps, unique(tenant_id)

[2023_05_02_100000_create_producer_tables]
producers rebuilt
    id, foreignId user_id >users:cascade, string business_name, string slug unique, string(12) tax_id null
    string tax_office null, text description null, string address null, string city null, string(10) postal_code null
    string region null, string logo null, string cover_image null, string website null, json social_media null
    boolean verified =0, decimal(3,2) rating null, timestamps, foreignId tenant_id null >tenants:set-null later
    decimal(10,7) latitude null later, decimal(10,7) longitude null later
    boolean uses_custom_shipping_rates =0 later, json opening_hours null later
producer_profiles
    id, foreignId producer_id >producers:cascade, string registration_number null, json specialties null
    text story null, year founded_in null, decimal(8,2) minimum_order_amount =0, unsignedSmallInteger processing_days =2
    enum(pending,verified,rejected) verification_status =pending, timestamp verified_at null, timestamps
    unique(producer_id)
producer_documents
    id, foreignId producer_id >producers:cascade, string title, string file_path, string(40) kind =certificate
    date issued_on null, date expires_on null, enum(pending,accepted,rejected) status =pending, timestamps
producer_media
    id, foreignId producer_id >producers:cascade, enum(image,video) type =image, string file_path, string caption null
    integer order =0, timestamps
producer_reviews
    id, foreignId user_id >users:cascade, foreignId producer_id >producers:cascade, unsignedTinyInteger rating
    string title null, text comment null, boolean is_approved =0, timestamps, unique(user_id,producer_id)
producer_questions
    id, foreignId producer_id >producers:cascade, foreignId user_id >users:cascade, text question, text answer null
    boolean is_public =1, timestamp answered_at null, timestamps
producer_environmental_stats
    id, foreignId producer_id >producers:cascade, double distance_km null, double co2_saved_kg null
    double water_saved_l null, unsignedInteger trees_planted =0, timestamps

[2023_05_15_100000_create_catalogue_tables]
categories
    id, foreignId parent_id null >categories:set-null, string name, string slug unique, text description null
    string image null, integer sort_order =0, boolean is_active =1, timestamps
    foreignId tenant_id null >tenants:set-null
products rebuilt
    id, foreignId producer_id >producers:cascade, string name, string slug unique, text description null
    string(500) short_description null, decimal(10,2) price, decimal(10,2) discount_price null
    string(40) sku null unique, integer stock =0, unsignedInteger weight_grams null, string main_image null
    boolean is_active =1, boolean is_featured =0, json attributes null, timestamps
    foreignId category_id null >categories:set-null later, foreignId tenant_id null >tenants:set-null later
    decimal(4,2) vat_rate =24 later, boolean b2b_available =0 later, decimal(10,2) wholesale_price null later
    boolean is_organic =0 later, date season_start null later, date season_end null later
    string(40) quickbooks_item_id null later
    index(producer_id,is_active)=idx_products_producer_active, index(created_at)
product_categories
    id, foreignId parent_id null >product_categories:cascade, string name, string slug unique, string image null
    string(30) type =shelf, integer order =0, boolean is_active =1, timestamps
product_category_relations
    id, foreignId product_id >products:cascade, foreignId product_category_id >product_categories:cascade, timestamps
    unique(product_id,product_category_id)=product_category_relations_pair_unique
product_images
    id, foreignId product_id >products:cascade, string path, string alt_text null, integer sort_order =0, timestamps
product_attributes
    id, string name, string slug unique, enum(text,number,boolean,select) type =text, json options null
    boolean is_filterable =0, integer order =0, timestamps
product_attribute_values
    id, foreignId product_id >products:cascade, foreignId product_attribute_id >product_attributes:cascade
    text value, timestamps, unique(product_id,product_attribute_id)=product_attribute_values_pair_unique
product_cost_breakdowns
    id, foreignId product_id >products:cascade, decimal(10,2) producer_cost, decimal(10,2) packaging_cost =0
    decimal(5,2) platform_fee_percentage =10, decimal(10,4) cost_per_100g null, timestamps
product_questions doctrine
    id, foreignId product_id >products:cascade, foreignId user_id >users:cascade, text question, text answer null
    boolean is_public =1, timestamps
stock_movements
    id, foreignId product_id >products:cascade, integer quantity, enum(in,out,correction) direction
    string reason null, timestamp moved_at now, index(product_id,moved_at)
reviews rebuilt
    id, foreignId user_id >users:cascade, foreignId product_id >products:cascade, integer rating, string title null
    text comment null, boolean is_approved =0, boolean is_verified_purchase =0, timestamps
    foreignId tenant_id null >tenants:cascade later, unique(user_id,product_id)
favorites
    id, foreignId user_id >users:cascade, foreignId product_id >products:cascade, timestamps
    unique(user_id,product_id)
wishlists
    id, foreignId user_id >users:cascade, foreignId product_id >products:cascade, boolean notify_on_price =0, timestamps
    unique(user_id,product_id)

[2023_06_12_100000_create_shipping_tables]
shipping_zones
    id, string name, text description null, json geojson null, char(7) color =#2f6f8f, boolean is_active =1, timestamps
weight_tiers
    id, string(20) code unique, unsignedInteger min_weight_grams, unsignedInteger max_weight_grams
    string description null
delivery_methods
    id, string(20) code unique, string name, text description null, boolean is_active =1
    unsignedInteger max_weight_grams null, boolean supports_cod =0
shipping_rates
    id, foreignId shipping_zone_id >shipping_zones:cascade, foreignId weight_tier_id >weight_tiers:cascade
    foreignId delivery_method_id >delivery_methods:cascade, decimal(8,2) price
    unique(shipping_zone_id,weight_tier_id,delivery_method_id)=shipping_rates_triple_unique
extra_weight_charges
    id, foreignId shipping_zone_id >shipping_zones:cascade, foreignId delivery_method_id >delivery_methods:cascade
    decimal(8,2) price_per_kg, unique(shipping_zone_id,delivery_method_id)=extra_weight_charges_pair_unique
additional_charges
    id, string(30) code unique, string name, text description null, decimal(8,2) price, boolean is_percentage =0
    boolean is_active =1
postal_code_zones
    id, string(5) postal_code_prefix unique, foreignId shipping_zone_id >shipping_zones:cascade
producer_shipping_methods
    id, foreignId producer_id >producers:cascade, foreignId delivery_method_id >delivery_methods:cascade
    boolean is_enabled =1, unique(producer_id,delivery_method_id)=producer_shipping_methods_pair_unique
producer_shipping_rates
    id, foreignId producer_id >producers:cascade, foreignId shipping_zone_id >shipping_zones:cascade
    foreignId weight_tier_id >weight_tiers:cascade, foreignId delivery_method_id >delivery_methods:cascade
    decimal(8,2) price
producer_free_shipping
    id, foreignId producer_id >producers:cascade, foreignId shipping_zone_id >shipping_zones:cascade
    decimal(8,2) threshold, boolean is_active =1
shipping_tracking_events
    id, string(40) tracking_number index, string(30) provider, string(40) event_type, string event_description null
    string location null, timestamp event_timestamp null, json raw_data null, timestamps

[2023_07_03_100000_create_business_tables]
businesses
    id, foreignId user_id >users:cascade, string business_name, string(12) tax_id null, string tax_office null
    text description null, string city null, string logo null, boolean verified =0, timestamp verification_date null
    timestamps
business_users
    id, foreignId tenant_id null >tenants:cascade, foreignId user_id >users:cascade, string business_name
    enum(restaurant,hotel,grocery,wholesale) business_type, string(12) tax_number null, json billing_address null
    string contact_person, enum(pending,active,suspended) status =pending, decimal(12,2) credit_limit =5000
    string(20) payment_terms =net_30, enum(bronze,silver,gold) discount_tier =bronze, timestamp approved_at null
    timestamps, softDeletes, unique(user_id), index(status,discount_tier)
contracts
    id, foreignId tenant_id null >tenants:cascade, foreignId business_user_id >business_users:cascade
    string contract_number unique, string title, enum(supply,volume,exclusive) type =supply
    enum(draft,active,expired) status =draft, date start_date, date end_date null, boolean auto_renewal =0
    decimal(12,2) minimum_order_value null, decimal(5,2) discount_percentage =0, longText terms null
    foreignId created_by null >users:set-null, timestamp signed_at null, timestamps, softDeletes
quotes
    id, foreignId tenant_id null >tenants:cascade, foreignId business_user_id >business_users:cascade
    string quote_number unique, string title, enum(draft,sent,accepted,rejected,converted) status =draft
    decimal(12,2) subtotal =0, decimal(12,2) discount_amount =0, decimal(12,2) tax_amount =0
    decimal(12,2) total_amount =0, char(3) currency =EUR, date valid_until null, text notes null
    foreignId created_by null >users:set-null, foreignId converted_to_order_id null >orders:set-null
    timestamps, softDeletes, index(status,valid_until)
quote_items
    id, foreignId quote_id >quotes:cascade, foreignId product_id >products:cascade, unsignedInteger quantity
    decimal(10,2) unit_price, decimal(5,2) discount_percentage =0, decimal(12,2) total_price, text notes null
    timestamps

[2023_07_24_100000_create_order_tables]
carts
    id, foreignId user_id null >users:cascade, string session_id null index, timestamp expires_at null, timestamps
cart_items
    id, foreignId cart_id >carts:cascade, foreignId product_id >products:cascade, integer quantity =1
    decimal(10,2) price, json attributes null, timestamps
coupons
    id, string(40) code unique, enum(percent,amount) kind =percent, decimal(8,2) value, date valid_from null
    date valid_until null, unsignedInteger max_uses null, boolean is_active =1, timestamps
orders rebuilt
    id, foreignId user_id >users:cascade, string(30) order_number unique
    enum(pending,paid,processing,shipped,delivered,cancelled) status =pending, decimal(12,2) subtotal =0
    decimal(12,2) total_amount, decimal(10,2) shipping_cost =0, decimal(10,2) tax_amount =0
    decimal(10,2) discount_amount =0, foreignId shipping_address_id >addresses:restrict
    foreignId billing_address_id >addresses:restrict, string(30) payment_method
    enum(pending,paid,failed,refunded) payment_status =pending, text notes null, timestamps
    foreignId tenant_id null >tenants:set-null later, foreignId business_user_id null >business_users:set-null later
    foreignId quote_id null >quotes:set-null later, string(10) order_type =b2c later
    string(40) tracking_number null later, timestamp shipped_at null later, json shipping_metadata null later
    index(user_id), index(status,created_at), index(tracking_number)
coupon_redemptions
    id, foreignId coupon_id >coupons:cascade, foreignId order_id >orders:cascade, decimal(8,2) amount, timestamps
    unique(coupon_id,order_id)
order_items
    id, foreignId order_id >orders:cascade, foreignId product_id >products:restrict
    foreignId producer_id >producers:restrict, unsignedInteger quantity, decimal(10,2) price, decimal(4,2) vat_rate
    decimal(10,2) tax_amount, decimal(12,2) total, timestamps, index(order_id), index(product_id)
payments
    id, foreignId order_id >orders:cascade, string transaction_id null unique
    enum(pending,completed,failed,refunded) status =pending, string(30) payment_gateway, decimal(12,2) amount
    char(3) currency =EUR, json gateway_data null, timestamp paid_at null, timestamps, index(order_id)
revenue_shares
    id, foreignId tenant_id >tenants:cascade, foreignId order_id >orders:cascade, decimal(12,2) gross_amount
    decimal(6,4) commission_rate, decimal(12,2) commission_amount, decimal(12,2) net_amount
    enum(pending,paid) status =pending, date payout_date null, timestamps

[2023_09_04_100000_create_invoice_tables]
invoices
    id, foreignId tenant_id null >tenants:cascade, foreignId order_id null >orders:set-null
    foreignId user_id >users:cascade, string(30) invoice_number unique
    enum(receipt,invoice,credit) invoice_type =receipt
    enum(draft,sent,paid,cancelled) status =draft, date issue_date, date due_date null, decimal(12,2) subtotal
    decimal(12,2) tax_amount =0, decimal(12,2) total_amount, char(3) currency =EUR, string(40) quickbooks_id null
    text notes null, timestamps, softDeletes, index(order_id), index(issue_date,status)
invoice_items
    id, foreignId invoice_id >invoices:cascade, foreignId product_id null >products:set-null, string description
    unsignedInteger quantity, decimal(10,2) unit_price, decimal(4,2) tax_rate, decimal(10,2) tax_amount
    decimal(12,2) total_amount, string(20) unit =τεμ., timestamps, index(invoice_id)
invoice_payments
    id, foreignId invoice_id >invoices:cascade, string(30) payment_method, decimal(12,2) amount, date payment_date
    string reference_number null, text notes null, timestamps
vat_rates
    id, string(20) code unique, string name, decimal(4,2) rate, date valid_from, date valid_until null, timestamps

[2023_10_09_100000_create_adoption_tables]
adoptable_items
    id, foreignId producer_id >producers:cascade, string name, string slug unique, text description
    enum(tree,hive,animal,vineyard) type, string location, enum(available,adopted,retired) status =available
    string main_image null, json gallery_images null, json attributes null, boolean featured =0, timestamps
adoption_plans
    id, foreignId adoptable_item_id >adoptable_items:cascade, string name, text description null, decimal(10,2) price
    unsignedSmallInteger duration_months, json benefits null, boolean active =1, timestamps
adoptions rebuilt
    id, foreignId user_id >users:cascade, foreignId adoptable_item_id >adoptable_items:cascade
    foreignId adoption_plan_id >adoption_plans:cascade, enum(active,expired,cancelled) status =active, date start_date
    date end_date, decimal(10,2) price_paid, string(30) payment_status =pending, string certificate_number null unique
    text notes null, timestamps
adoption_updates
    id, foreignId adoption_id >adoptions:cascade, string title, text content, json images null
    enum(draft,published) status =published, dateTime published_at null, timestamps
subscription_plans
    id, string name, enum(consumer,producer,business) target_type =consumer, decimal(8,2) price
    enum(monthly,yearly) billing_cycle =monthly, decimal(6,4) commission_rate =0.12, json features null
    boolean is_active =1, timestamps
subscriptions
    id, foreignId plan_id >subscription_plans:cascade, string subscribable_type, unsignedBigInteger subscribable_id
    enum(active,cancelled,past_due) status =active, date start_date, date end_date null, boolean auto_renew =1
    timestamps, index(subscribable_type,subscribable_id)

[2024_02_12_100000_create_integration_and_insight_tables]
quickbooks_tokens
    id, foreignId user_id >users:cascade, text access_token, text refresh_token, string company_id
    timestamp expires_at null, json company_info null, timestamp last_sync null, timestamps, unique(user_id)
integration_settings
    id, string(40) service, foreignId user_id null >users:set-null, text tokens null, json settings null
    timestamp connected_at null, boolean is_active =0, timestamps, unique(service,user_id)
integration_logs
    id, string(40) service_name, string(60) operation, string external_id null, json request_data null
    longText response_data null, enum(success,error) status =success, text error_message null
    unsignedInteger response_time_ms null, timestamps, index(service_name,status)
recommendation_logs
    id, foreignId user_id null >users:cascade, json product_ids, string(40) algorithm, json context null
    timestamp served_at now, timestamp clicked_at null, foreignId clicked_product_id null >products:set-null, timestamps
user_behavior_events
    id, foreignId user_id null >users:set-null, string(64) session_id index, string(40) event_type
    foreignId product_id null >products:set-null, string search_query null, text page_url null
    string(45) ip_address null, json metadata null, timestamp created_at null
user_preference_updates
    id, foreignId user_id >users:cascade, foreignId product_id >products:cascade, string(30) action, double weight =1
    timestamp created_at null
user_product_interactions
    id, foreignId user_id >users:cascade, foreignId product_id >products:cascade, decimal(3,1) rating null
    unsignedInteger interaction_count =0, timestamp last_interaction null, timestamps
    unique(user_id,product_id)=user_product_interactions_pair_unique
contact_messages doctrine
    id, string name, string email, string subject null, text message, boolean accept_terms =0
    string(20) status =new, timestamps
newsletter_subscribers
    id, string email unique, string name null, uuid token unique, bigInteger list_mask =0
    timestamp confirmed_at null, timestamps
"""

_SQLITE_TYPES = {
    "string": "varchar",
    "char": "varchar",
    "uuid": "varchar",
    "text": "text",
    "mediumText": "text",
    "longText": "text",
    "json": "text",
    "boolean": "tinyint(1)",
    "decimal": "numeric",
    "double": "double",
    "date": "date",
    "dateTime": "datetime",
    "timestamp": "datetime",
}
_DOCTRINE_TYPES = {"text": "CLOB", "boolean": "BOOLEAN", "timestamp": "DATETIME", "foreignId": "INTEGER"}


def sqlite_type(column: Column) -> str:
    """Laravel's SQLite name of a column's type; every kind of integer is just `integer` there."""
    return _SQLITE_TYPES.get(column.type, "integer")


def sqlite_ddl(table: Table) -> Iterator[str]:
    """The statements that create a table and its indexes, as Laravel leaves them in `sqlite_master`."""
    if table.form == "doctrine":
        yield f"CREATE TABLE {table.name} ({', '.join(_doctrine_parts(table))})"
    else:
        yield f'create table "{table.name}" ({", ".join(_laravel_parts(table))})'
    for index in table.indexes:
        if index.kind != "primary":
            unique = "unique " if index.kind == "unique" else ""
            yield f'create {unique}index "{index.name}" on "{table.name}" ({_quoted(index.columns)})'


def _laravel_parts(table: Table) -> Iterator[str]:
    for column in table.columns:
        yield _laravel_column(column, rebuilt=table.form == "rebuilt" and not column.later)
    for column in table.columns:
        if column.foreign:
            yield _laravel_foreign(column.name, column.foreign, table.form == "rebuilt" and not column.later)
    if table.primary:
        yield f"primary key ({_quoted(table.primary.columns)})"


def _laravel_column(column: Column, rebuilt: bool) -> str:
    if column.type == "id":
        return f'"{column.name}" integer primary key autoincrement not null'
    words = [f'"{column.name}"', sqlite_type(column)]
    if column.type == "enum":
        allowed = ", ".join(f"'{value}'" for value in column.arguments)
        words[1] = "varchar" if rebuilt else f'varchar check ("{column.name}" in ({allowed}))'
    if not column.nullable:
        words.append("not null")
    if column.current:
        words.append("default CURRENT_TIMESTAMP")
    elif column.default is not None:
        words.append(f"default ('{column.default}')" if rebuilt else f"default '{column.default}'")
    return " ".join(words)


def _laravel_foreign(column: str, foreign: Foreign, rebuilt: bool) -> str:
    target = foreign.table if rebuilt else f'"{foreign.table}"'
    text = f'foreign key("{column}") references {target}("id") on delete {foreign.on_delete}'
    return f"{text} on update no action" if rebuilt else text


def _doctrine_parts(table: Table) -> Iterator[str]:
    for column in table.columns:
        yield _doctrine_column(column)
    for number, column in enumerate(table.columns):
        if column.foreign:
            yield (
                f"CONSTRAINT FK_{table.name.upper()}_{number} FOREIGN KEY ({column.name}) "
                f"REFERENCES {column.foreign.table} (id) ON UPDATE NO ACTION "
                f"ON DELETE {column.foreign.on_delete.upper()} NOT DEFERRABLE INITIALLY IMMEDIATE"
            )


def _doctrine_column(column: Column) -> str:
    if column.type == "id":
        return f"{column.name} INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL"
    if column.type == "string":
        type_name = f"VARCHAR({column.arguments[0] if column.arguments else 255})"
    else:
        type_name = _DOCTRINE_TYPES[column.type]
    words = [column.name, type_name]
    if column.default is not None:
        words.append(f"DEFAULT '{column.default}'")
    elif column.nullable:
        words.append("DEFAULT NULL")
    if not column.nullable:
        words.append("NOT NULL")
    if column.type in ("string", "text"):
        words.append('COLLATE "BINARY"')
    return " ".join(words)


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(f'"{name}"' for name in names)


# The description is read into tables.

_CALL = re.compile(r"(?P<word>\w+)(?:\((?P<arguments>[^)]*)\))?(?:=(?P<name>\w+))?$")
_MACROS = {
    "id": ("id id",),
    "timestamps": ("timestamp created_at null", "timestamp updated_at null"),
    "softDeletes": ("timestamp deleted_at null",),
    "rememberToken": ("string(100) remember_token null",),
}


def read_description(text: str) -> tuple[Table, ...]:
    """Tables in the order of the text. Raises ValueError, naming the words, for a line it cannot read."""
    tables: list[Table] = []
    migration = ""
    for line in filter(None, text.splitlines()):
        if line.startswith("["):
            migration = line.strip("[]")
        elif line.startswith(" "):
            for entry in line.strip().split(", "):
                tables[-1] = _with_entry(tables[-1], entry)
        else:
            name, _, form = line.partition(" ")
            tables.append(Table(name, migration, _form(form), (), ()))
    return tuple(tables)


def _form(word: str) -> Form:
    if word == "rebuilt":
        return "rebuilt"
    return "doctrine" if word == "doctrine" else "plain"


def _with_entry(table: Table, entry: str) -> Table:
    if entry in _MACROS:
        for expanded in _MACROS[entry]:
            table = _with_column(table, expanded.split(" "))
        return table
    words = entry.split(" ")
    if len(words) > 1:
        return _with_column(table, words)
    call = _call(entry)
    columns = tuple(call["arguments"].split(","))
    return _with_index(table, call["word"], columns, call["name"])


def _with_column(table: Table, words: list[str]) -> Table:
    call = _call(words[0])
    arguments = tuple(call["arguments"].split(",")) if call["arguments"] else ()
    column = Column(words[1], call["word"], arguments)
    for word in words[2:]:
        if word in ("primary", "unique", "index"):
            table = _with_index(table, word, (column.name,))
        elif word == "null":
            column = replace(column, nullable=True)
        elif word == "now":
            column = replace(column, current=True)
        elif word == "later":
            column = replace(column, later=True)
        elif word.startswith("="):
            column = replace(column, default=word[1:])
        elif word.startswith(">"):
            target, _, action = word[1:].partition(":")
            column = replace(column, foreign=Foreign(target, action.replace("-", " ")))
        else:
            raise ValueError(f"{table.name}: cannot read {word!r} in {' '.join(words)!r}")
    return replace(table, columns=(*table.columns, column))


def _with_index(table: Table, word: str, columns: tuple[str, ...], name: str = "") -> Table:
    kind: Literal["index", "unique", "primary"]
    if word == "index":
        kind = "index"
    elif word == "unique":
        kind = "unique"
    elif word == "primary":
        kind = "primary"
    else:
        raise ValueError(f"{table.name}: cannot read {word!r}")
    index = Index(name or "_".join((table.name, *columns, kind)), kind, columns)
    return replace(table, indexes=(*table.indexes, index))


def _call(text: str) -> dict[str, str]:
    match = _CALL.match(text)
    if match is None:
        raise ValueError(f"cannot read {text!r}")
    return match.groupdict(default="")


TABLES = read_description(DESCRIPTION)


def migration_names() -> list[str]:
    """The shop's migration files in the order they run, without `.php`."""
    made = dict.fromkeys(table.migration for table in TABLES if table.migration != FRAMEWORK)
    return [*made, LATE_KEYS_MIGRATION]
