"""The demo shop's orders and everything that hangs on them, in batches, for any scale."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from dixis_tui.sandbox.shop_catalogue import (
    ADDRESS_OF_USER,
    BUSINESS_USERS,
    QUOTE_OF_ORDER,
    USERS,
    Product,
    day_of,
    escaped_json,
    moment,
    money,
    products,
    vat_cents,
)

ORDERS_PER_SCALE = 480
BATCH = 480
_DAYS = 500

COLUMNS = {
    "orders": (
        "id user_id order_number status subtotal total_amount shipping_cost tax_amount discount_amount "
        "shipping_address_id billing_address_id payment_method payment_status notes created_at updated_at tenant_id "
        "business_user_id quote_id order_type tracking_number shipped_at shipping_metadata"
    ),
    "order_items": "order_id product_id producer_id quantity price vat_rate tax_amount total created_at updated_at",
    "payments": "order_id transaction_id status payment_gateway amount gateway_data paid_at created_at updated_at",
    "invoices": (
        "id tenant_id order_id user_id invoice_number invoice_type status issue_date due_date subtotal tax_amount "
        "total_amount quickbooks_id created_at updated_at"
    ),
    "invoice_items": (
        "invoice_id product_id description quantity unit_price tax_rate tax_amount total_amount created_at updated_at"
    ),
    "invoice_payments": "invoice_id payment_method amount payment_date reference_number created_at updated_at",
    "shipping_tracking_events": (
        "tracking_number provider event_type event_description location event_timestamp raw_data created_at updated_at"
    ),
    "coupon_redemptions": "coupon_id order_id amount created_at updated_at",
    "revenue_shares": (
        "tenant_id order_id gross_amount commission_rate commission_amount net_amount status payout_date "
        "created_at updated_at"
    ),
}

Record = tuple[object, ...]
Batch = dict[str, list[Record]]


@dataclass(frozen=True)
class Line:
    """One line of an order; money in cents, `net` without VAT."""

    product: Product
    quantity: int
    net: int
    tax: int


def order_batches(random: Random, scale: int) -> Iterator[Batch]:
    """Rows per table for `scale` times 480 orders, a batch of orders at a time."""
    shelf = products()
    count = scale * ORDERS_PER_SCALE
    for first in range(1, count + 1, BATCH):
        batch: Batch = {table: [] for table in COLUMNS}
        for number in range(first, first + BATCH):
            _add_order(batch, random, shelf, number, day=number * _DAYS // count)
        yield batch


def _add_order(batch: Batch, random: Random, shelf: Sequence[Product], number: int, day: int) -> None:
    user = 1 + (number * 7) % USERS
    status = random.choices(
        ("delivered", "shipped", "processing", "paid", "pending", "cancelled"), (70, 8, 6, 6, 5, 5)
    )[0]
    sent = status in ("delivered", "shipped")
    settled = status not in ("pending", "cancelled")
    created = moment(day, number * 37)
    quote = QUOTE_OF_ORDER.get(number)
    business = user in BUSINESS_USERS or quote is not None
    lines = _lines(random, shelf)
    net = sum(line.net for line in lines)
    tax = sum(line.tax for line in lines)
    shipping = 0 if net >= 5000 else random.choice((350, 425, 510))
    discount = 450 if number % 25 == 0 and net > 1000 else 0
    total = net + tax + shipping - discount
    tenant = 2 if number % 9 == 0 else 1
    tracking = f"GR{number:09d}" if sent else None
    batch["orders"].append(
        (
            number,
            user,
            f"ORD-{number:08d}",
            status,
            money(net),
            money(total),
            money(shipping),
            money(tax),
            money(discount),
            ADDRESS_OF_USER[user],
            ADDRESS_OF_USER[user] + number % 2,
            ("card", "sepa", "cod")[number % 3],
            "paid" if settled else "failed" if status == "cancelled" else "pending",
            "Παράδοση μετά τις 17:00, παρακαλώ." if number % 11 == 0 else None,
            created,
            created,
            tenant,
            1 + user % 2 if business else None,
            quote,
            "b2b" if business else "b2c",
            tracking,
            moment(day + 1, number * 53) if sent else None,
            escaped_json({"boxes": 1 + number % 3, "σχόλιο": "εύθραυστο", "kg": net / 1000}) if sent else None,
        )
    )
    for line in lines:
        batch["order_items"].append(
            (
                number,
                line.product.id,
                line.product.producer_id,
                line.quantity,
                money(line.product.cents),
                line.product.vat_rate,
                money(line.tax),
                money(line.net),
                created,
                created,
            )
        )
    gateway = ("stripe", "viva", "sepa")[number % 3]
    batch["payments"].append(
        (
            number,
            f"{gateway}_{number:010d}" if status != "pending" else None,
            "completed" if settled else "failed" if status == "cancelled" else "pending",
            gateway,
            money(total),
            f'{{"ref":"{number:08x}","amount":{total},"note":"\\u03a0\\u03bb\\u03b7\\u03c1\\u03c9\\u03bc\\u03ae"}}',
            created if settled else None,
            created,
            created,
        )
    )
    if discount:
        batch["coupon_redemptions"].append((2, number, money(discount), created, created))
    if sent:
        _add_invoice(batch, number, user, tenant, day, lines, created)
        _add_tracking(batch, number, day, status)
    if settled and tenant == 2:
        commission = vat_cents(net, 12)
        batch["revenue_shares"].append(
            (
                tenant,
                number,
                money(net),
                0.12,
                money(commission),
                money(net - commission),
                "pending",
                None,
                created,
                created,
            )
        )


def _lines(random: Random, shelf: Sequence[Product]) -> list[Line]:
    """One to four lines whose rounded VAT stays within a cent of the rate on the whole order."""
    lines: list[Line] = []
    error = 0  # hundredths of a cent
    for product in random.sample(shelf, random.choices((1, 2, 3, 4), (25, 35, 25, 15))[0]):
        quantity = random.randint(1, 4)
        net = quantity * product.cents
        tax = vat_cents(net, product.vat_rate)
        rounding = tax * 100 - net * product.vat_rate
        if abs(error + rounding) < 100:
            error += rounding
            lines.append(Line(product, quantity, net, tax))
    return lines


def _add_invoice(
    batch: Batch, number: int, user: int, tenant: int, day: int, lines: Sequence[Line], created: str
) -> None:
    net = sum(line.net for line in lines)
    tax = sum(line.tax for line in lines)
    business = user in BUSINESS_USERS
    batch["invoices"].append(
        (
            number,
            tenant,
            number,
            user,
            f"{'ΤΙΜ' if business else 'ΑΛΠ'}-{number:08d}",
            "invoice" if business else "receipt",
            "sent" if business and number % 4 == 0 else "paid",
            day_of(day),
            day_of(day + 30) if business else None,
            money(net),
            money(tax),
            money(net + tax),
            str(50_000 + number) if number % 2 else None,
            created,
            created,
        )
    )
    for line in lines:
        batch["invoice_items"].append(
            (
                number,
                line.product.id,
                line.product.name,
                line.quantity,
                money(line.product.cents),
                line.product.vat_rate,
                money(line.tax),
                money(line.net),
                created,
                created,
            )
        )
    if business and number % 4:
        batch["invoice_payments"].append(
            (number, "sepa", money(net + tax), day_of(day + 20), f"SEPA-{number}", created, created)
        )


def _add_tracking(batch: Batch, number: int, day: int, status: str) -> None:
    stages = [("picked_up", "Παραλαβή από τον παραγωγό", "Λάρισα"), ("in_transit", "Σε μεταφορά", None)]
    if status == "delivered":
        stages.append(("delivered", "Παραδόθηκε", "Αθήνα"))
    for stage, (event, description, place) in enumerate(stages, start=1):
        when = moment(day + stage, number * 71)
        raw = f'{{"code": {stage}, "ok": true}}' if stage != 2 else None
        batch["shipping_tracking_events"].append(
            (f"GR{number:09d}", "speedex" if number % 2 else "acs", event, description, place, when, raw, when, when)
        )
