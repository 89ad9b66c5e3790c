"""The demo shop's fixed rows: everything but the orders and what hangs on them."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from uuid import UUID

from dixis_tui.sandbox.shop_schema import migration_names

Value = str | int | float | None
Row = Mapping[str, Value]

OPENING = datetime(2024, 1, 8, 9, 0, 0)  # noqa: DTZ001 - the application's local time, as it stores it
USERS = 9
BUSINESS_USERS = (8, 9)
TENANTS = 2
QUOTE_OF_ORDER = {12: 2, 40: 4}
ADDRESS_OF_USER = {user: 2 * user - 1 for user in range(1, USERS + 1)}


@dataclass(frozen=True)
class Product:
    """A product for sale; money in cents without VAT, the VAT rate in percent."""

    id: int
    producer_id: int
    category_id: int
    name: str
    cents: int
    vat_rate: int
    grams: int


# id: parent, name
CATEGORIES: dict[int, tuple[int | None, str]] = {
    1: (None, "Λάδι και ελιές"),
    2: (1, "Ελαιόλαδο"),
    3: (1, "Επιτραπέζιες ελιές"),
    4: (None, "Μέλι και γλυκά"),
    5: (4, "Μέλι"),
    6: (4, "Γλυκά του κουταλιού"),
    7: (None, "Γαλακτοκομικά"),
    8: (7, "Τυριά"),
    9: (7, "Γιαούρτια"),
    10: (None, "Όσπρια και ζυμαρικά"),
    11: (10, "Όσπρια"),
    12: (10, "Ζυμαρικά"),
    13: (None, "Βότανα και μπαχαρικά"),
    14: (None, "Κάβα"),
    15: (14, "Κρασιά"),
    16: (14, "Αποστάγματα"),
}

# category, producer, VAT in percent: name|price|grams; …
_SHELVES = (
    (
        (2, 1, 13),
        "Εξαιρετικό παρθένο ελαιόλαδο Κορωνέικη 500 ml|9.40|500; Εξαιρετικό παρθένο ελαιόλαδο 5 L|58.85|5000; "
        "Αγουρέλαιο πρώτης συγκομιδής|14.20|500; Ελαιόλαδο με λεμόνι|8.15|250; Ελαιόλαδο με δεντρολίβανο|8.15|250; "
        "Βιολογικό ελαιόλαδο Μανάκι|12.75|750; Ελαιόλαδο σε κεραμικό|21|500",
    ),
    (
        (3, 1, 13),
        "Ελιές Καλαμών στο ξίδι|4.35|400; Πράσινες ελιές τσακιστές|3.80|400; Θρούμπες Θάσου|4.10|300; "
        "Πάστα ελιάς|3.25|180; Ελιές γεμιστές με αμύγδαλο|5.60|350; Ελιές Χαλκιδικής|4|400",
    ),
    (
        (5, 2, 13),
        "Θυμαρίσιο μέλι|11.90|450; Πευκόμελο|8.70|450; Μέλι ανθέων|7.95|450; Μέλι ελάτης βανίλια|13.45|450; "
        "Μέλι καστανιάς|9.60|450; Μέλι ερείκης|9.15|450; Κηρήθρα σε κουτί|12|300; Πρόπολη σε βάμμα|6.85|30",
    ),
    (
        (6, 2, 24),
        "Γλυκό κυδώνι|5.20|380; Γλυκό βύσσινο|5.45|380; Γλυκό σταφύλι|5.10|380; Γλυκό νεραντζάκι|5.75|380; "
        "Μαρμελάδα σύκο|4.65|280; Παστέλι με σουσάμι|2.35|100; Χαλβάς με φιστίκι Αιγίνης|6.90|400",
    ),
    (
        (8, 3, 13),
        "Φέτα βαρελίσια|8.25|1000; Γραβιέρα δωδεκάμηνη|13.40|1000; Κεφαλογραβιέρα|11.80|1000; Ανθότυρο ξερό|7.10|500; "
        "Μανούρι|6.45|400; Μυζήθρα|5.30|500; Κατσικίσιο τυρί σε λάδι|7.85|350",
    ),
    (
        (9, 3, 13),
        "Γιαούρτι πρόβειο|1.85|220; Γιαούρτι κατσικίσιο|1.95|220; Αριάνι|1.40|500; Ρυζόγαλο με κανέλα|2.05|200",
    ),
    (
        (11, 4, 13),
        "Φασόλια γίγαντες Πρεσπών|5.90|500; Φάβα Σαντορίνης|8.60|400; Φακές Εγκλουβής|7.25|500; "
        "Ρεβίθια Λάρισας|3.15|500; Μαυρομάτικα|3.45|500; Λαθούρι|4.05|500",
    ),
    (
        (12, 4, 13),
        "Χυλοπίτες με αυγό|3.60|500; Τραχανάς ξινός|3.95|500; Τραχανάς γλυκός|3.95|500; Κριθαράκι ολικής|2.85|500; "
        "Πλιγούρι|2.45|500",
    ),
    (
        (13, 4, 13),
        "Ρίγανη Ταϋγέτου|2.20|60; Τσάι του βουνού|3.05|40; Δίκταμο|3.75|25; Κρόκος Κοζάνης|7.65|2; Φασκόμηλο|2.50|40; "
        "Αλάτι με θυμάρι|2.95|150",
    ),
    (
        (15, 5, 24),
        "Ασύρτικο|14.95|1300; Ξινόμαυρο|16.30|1300; Αγιωργίτικο|11.25|1300; Μαλαγουζιά|12.10|1300; Ρετσίνα|6.40|1300",
    ),
    (
        (16, 5, 24),
        "Τσίπουρο χωρίς γλυκάνισο|15.85|900; Ρακόμελο|13.70|900; Λικέρ μαστίχας|17.55|900; Ούζο Πλωμαρίου|12.35|900",
    ),
)

PRODUCERS = (
    ("Ελαιώνες Μεσσηνίας", "Καλαμάτα", "Μεσσηνία", "24100", 37.0389812, 22.1142167),
    ("Μελισσοκομία Υμηττού", "Παιανία", "Αττική", "19002", 37.9541, 23.8545),
    ("Τυροκομείο Πίνδου", "Μέτσοβο", "Ιωάννινα", "44200", 39.7706, 21.1827305),
    ("Κτήμα Θεσσαλικής Γης", "Λάρισα", "Λάρισα", "41222", 39.639, 22.4191254),
    ("Οινοποιείο Αιγαίου", "Φηρά", "Κυκλάδες", "84700", 36.4165999, 25.4324),
)

_PEOPLE = (
    ("Αγγελική Δημητρίου", "admin"),
    ("Σπύρος Ελαιώνης", "producer"),
    ("Μαρία Κηρήθρα", "producer"),
    ("Γιώργος Στάνης", "producer"),
    ("Φωτεινή Κάμπου", "producer"),
    ("Άρης Αμπελάς", "producer"),
    ("Ελένη Πελάτη", "consumer"),
    ("Νίκος Ταβερνάρης", "business"),
    ("Δήμητρα Ξενίου", "business"),
)

_LATIN = dict(zip("αβγδεζηικλμνξοπρσςτυφωάέήίόύώϊϋΐΰ", "avgdeziiklmnxoprsstyfoaeiioyoiyiy", strict=True))
_LATIN |= {"θ": "th", "χ": "ch", "ψ": "ps"}


def slug(text: str) -> str:
    """Greek text in Latin letters for an address: 'Ελιές Καλαμών' becomes 'elies-kalamon'."""
    latin = "".join(_LATIN.get(letter, letter) for letter in text.lower())
    return "-".join("".join(letter if letter.isalnum() else " " for letter in latin).split())


def money(cents: int) -> float:
    """Euros as the application binds them; SQLite's numeric affinity makes whole euros integers."""
    return cents / 100


def vat_cents(net_cents: int, rate: int) -> int:
    """VAT on a net amount, rounded half up to a cent."""
    return (net_cents * rate + 50) // 100


def moment(day: int, seconds: int = 0) -> str:
    """A local time in opening hours, `day` days after the opening: never inside a change of the clocks."""
    return str(OPENING + timedelta(days=day, seconds=seconds % (12 * 3600)))


def day_of(number: int) -> str:
    return str(date(OPENING.year, OPENING.month, OPENING.day) + timedelta(days=number))


def greek_json(value: object) -> str:
    """JSON with Greek letters as they are."""
    return json.dumps(value, ensure_ascii=False)


def escaped_json(value: object) -> str:
    """JSON as PHP's json_encode writes it: Greek letters and slashes escaped."""
    return json.dumps(value, separators=(",", ":")).replace("/", "\\/")


def products() -> tuple[Product, ...]:
    """The 65 products, in the order of their ids."""
    found: list[Product] = []
    for (category, producer, vat_rate), shelf in _SHELVES:
        for entry in shelf.split("; "):
            name, price, grams = entry.split("|")
            cents = int((Decimal(price) * 100).to_integral_value(ROUND_HALF_UP))
            found.append(Product(len(found) + 1, producer, category, name, cents, vat_rate, int(grams)))
    return tuple(found)


def catalogue(random: Random) -> Iterator[tuple[str, Sequence[Row]]]:
    """Table name and its rows; all rows of a table have the same columns."""
    shelf = products()
    yield from _framework(random, shelf)
    yield from _accounts(random)
    yield from _tenants()
    yield from _producers(random)
    yield from _products(random, shelf)
    yield from _opinions(random, shelf)
    yield from _shipping(random)
    yield from _business(random, shelf)
    yield from _adoptions()
    yield from _insight(random, shelf)


def _token(random: Random, length: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    return "".join(random.choices(alphabet, k=length))


def _hex(random: Random, length: int) -> str:
    return _token(random, length, "0123456789abcdef")


def _uuid(random: Random) -> str:
    return str(UUID(int=random.getrandbits(128), version=4))


def _framework(random: Random, shelf: Sequence[Product]) -> Iterator[tuple[str, Sequence[Row]]]:
    files = migration_names()
    yield (
        "migrations",
        [{"id": number, "migration": name, "batch": 1 + number // 8} for number, name in enumerate(files, start=1)],
    )
    sizes = {"dixis_cache_catalogue:full": 175_400, "dixis_cache_catalogue:el": 66_200, "dixis_cache_home": 3_000}
    cache: list[Row] = [
        {"key": key, "value": _php_array(shelf, size), "expiration": 1_767_225_600 + size}
        for key, size in sizes.items()
    ]
    cache.append({"key": "dixis_cache_vat:rates", "value": "a:2:{i:0;i:24;i:1;i:13;}", "expiration": 1_767_225_600})
    yield "cache", cache
    yield (
        "cache_locks",
        [{"key": "dixis_cache_lock:invoices", "owner": _token(random, 16), "expiration": 1_750_000_000}],
    )
    yield (
        "sessions",
        [
            {
                "id": _token(random, 40),
                "user_id": user if user <= USERS else None,
                "ip_address": f"198.51.100.{user}",
                "user_agent": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/128.0",
                "payload": _token(random, 320) + "==",
                "last_activity": 1_750_000_000 + 61 * user,
            }
            for user in range(1, 15)
        ],
    )
    job = {"displayName": "App\\Jobs\\SendInvoice", "maxTries": 3, "data": {"order": 7, "γλώσσα": "el"}}
    yield (
        "jobs",
        [
            {
                "id": number,
                "queue": "default" if number % 2 else "mail",
                "payload": escaped_json({"uuid": _uuid(random), **job}),
                "attempts": number % 3,
                "reserved_at": None,
                "available_at": 1_750_000_000 + number,
                "created_at": 1_750_000_000,
            }
            for number in range(41, 46)
        ],
    )
    yield (
        "job_batches",
        [
            {
                "id": _uuid(random),
                "name": "Τιμολόγια μήνα",
                "total_jobs": 40,
                "pending_jobs": 0,
                "failed_jobs": 1,
                "failed_job_ids": "[]",
                "options": "a:0:{}",
                "cancelled_at": None,
                "created_at": 1_749_000_000,
                "finished_at": 1_749_000_300,
            }
        ],
    )
    yield (
        "failed_jobs",
        [
            {
                "id": number,
                "uuid": _uuid(random),
                "connection": "database",
                "queue": "mail",
                "payload": escaped_json({"uuid": _uuid(random), **job}),
                "exception": "RuntimeException: ο διακομιστής δεν απάντησε\n#0 app/Jobs/SendInvoice.php(41)\n\tstack",
                "failed_at": moment(300 + number),
            }
            for number in (1, 2)
        ],
    )
    settings = {
        "shop.name": ("Αγορά του Κάμπου", "string", "general"),
        "shop.address": ("Οδός Αγοράς 12, 105 51 Αθήνα", "string", "general"),
        "vat.standard": ("24", "integer", "tax"),
        "vat.reduced": ("13", "integer", "tax"),
        "mail.footer": ("", "string", "mail"),
        "mail.bcc": (None, "string", "mail"),
        "home.banner": (greek_json({"τίτλος": "Νέα σοδειά", "κουμπί": {"url": "/προϊόντα"}}), "json", "home"),
        "orders.minimum": ("15.00", "decimal", "orders"),
    }
    yield (
        "settings",
        [
            {"id": number, "key": key, "value": value, "type": kind, "group": group, "description": None}
            for number, (key, (value, kind, group)) in enumerate(settings.items(), start=1)
        ],
    )
    yield (
        "notifications",
        [
            {
                "id": number,
                "user_id": 1 + number % USERS,
                "type": "order.shipped",
                "title": "Η παραγγελία σας έφυγε",
                "message": f"Το δέμα {number} είναι στον δρόμο.\nΕυχαριστούμε!",
                "data": escaped_json({"order": number, "link": f"/orders/{number}", "τόπος": "Πάτρα"}),
                "is_read": number % 2,
                "read_at": moment(200 + number) if number % 2 else None,
            }
            for number in range(1, 21)
        ],
    )


def _php_array(shelf: Sequence[Product], size: int) -> str:
    """A PHP-serialised array of product names, at least `size` bytes long."""
    entries: list[str] = []
    length = 0
    while length < size:
        name = shelf[len(entries) % len(shelf)].name
        entries.append(f'i:{len(entries)};s:{len(name.encode())}:"{name}";')
        length += len(entries[-1].encode())
    return f"a:{len(entries)}:{{{''.join(entries)}}}"


def _accounts(random: Random) -> Iterator[tuple[str, Sequence[Row]]]:
    bcrypt = "./" + string.ascii_letters + string.digits
    yield (
        "users",
        [
            {
                "id": number,
                "name": name,
                "email": f"{slug(name).replace('-', '.')}@example.com",
                "email_verified_at": moment(number) if number != 7 else None,
                "password": f"$2y$10${_token(random, 53, bcrypt)}",
                "phone": f"+30210555{number:04d}",
                "role": role,
                "remember_token": _token(random, 60) if number % 2 else None,
                "tenant_id": 1 if number < 6 else 2,
                "is_active": 1,
                "avatar": None if number == 8 else f"avatars/{number}-{slug(name)}.png",
                "stripe_customer_id": f"cus_{_token(random, 14)}",
                "google_id": str(10**20 + random.getrandbits(60)) if number == 7 else None,
                "locale": "en" if number == 9 else "el",
            }
            for number, (name, role) in enumerate(_PEOPLE, start=1)
        ],
    )
    yield (
        "password_reset_tokens",
        [
            {
                "email": "eleni.pelati@example.com",
                "token": f"$2y$10${_token(random, 53, bcrypt)}",
                "created_at": moment(420),
            }
        ],
    )
    yield (
        "personal_access_tokens",
        [
            {
                "id": number,
                "tokenable_type": "App\\Models\\User",
                "tokenable_id": number,
                "name": "κινητό",
                "token": _hex(random, 64),
                "abilities": '["*"]',
                "last_used_at": moment(400, number * 977) if number < 4 else None,
                "expires_at": None,
            }
            for number in range(1, 6)
        ],
    )
    names = ("view orders", "edit orders", "edit products", "manage tenants", "issue invoices", "see reports")
    yield (
        "permissions",
        [{"id": number, "name": name, "guard_name": "web"} for number, name in enumerate(names, start=1)],
    )
    roles = ("admin", "producer", "consumer", "business")
    yield "roles", [{"id": number, "name": name, "guard_name": "web"} for number, name in enumerate(roles, start=1)]
    yield (
        "role_has_permissions",
        [{"permission_id": permission, "role_id": role} for role in (1, 2) for permission in range(role, 6, role)],
    )
    yield "model_has_permissions", [{"permission_id": 6, "model_type": "App\\Models\\User", "model_id": 1}]
    yield (
        "model_has_roles",
        [
            {"role_id": roles.index(role) + 1, "model_type": "App\\Models\\User", "model_id": number}
            for number, (_, role) in enumerate(_PEOPLE, start=1)
        ],
    )
    cities = (("Αθήνα", "10551", "Αττική"), ("Θεσσαλονίκη", "54622", "Μακεδονία"), ("Πάτρα", "26221", "Αχαΐα"))
    yield (
        "addresses",
        [
            {
                "id": 2 * user - 1 + second,
                "user_id": user,
                "label": "Εργασία" if second else "Σπίτι",
                "recipient": _PEOPLE[user - 1][0],
                "street": "Ερμού" if second else "Ελευθερίου Βενιζέλου",
                "street_number": f"{user * 7}Α" if second else str(user * 7),
                "city": cities[user % 3][0],
                "postal_code": cities[user % 3][1],
                "region": cities[user % 3][2],
                "phone": f"+30694555{user:04d}",
                "doorbell": "" if second else None,
                "is_default": 1 - second,
            }
            for user in range(1, USERS + 1)
            for second in (0, 1)
        ],
    )


def _tenants() -> Iterator[tuple[str, Sequence[Row]]]:
    names = ("Αγορά του Κάμπου", "Νησιώτικα Καλούδια")
    yield (
        "tenants",
        [
            {
                "id": number,
                "name": name,
                "slug": slug(name),
                "domain": f"{slug(name)}.example.com" if number == 1 else None,
                "subdomain": f"shop{number}",
                "plan": "premium" if number == 1 else "basic",
                "status": "active",
                "owner_id": 1 if number == 1 else 6,
                "settings": greek_json({"νόμισμα": "EUR", "γλώσσες": ["el", "en"], "όριο": 12.5, "ανοικτό": True}),
                "subscription_expires_at": moment(700 + number),
                "trial_ends_at": None,
                "deleted_at": None,
            }
            for number, name in enumerate(names, start=1)
        ],
    )
    yield (
        "tenant_themes",
        [
            {
                "id": number,
                "tenant_id": number,
                "logo_path": f"themes/{'σήμα αγοράς' if number == 1 else 'kaloudia'}.svg",
                "custom_css": ".hero { content: 'Καλώς ήρθατε \\2764'; }\n" * 12,
                "palette": '{"light": "#f4efe2", "dark": "#22301a"}',
            }
            for number in (1, 2)
        ],
    )


def _producers(random: Random) -> Iterator[tuple[str, Sequence[Row]]]:
    yield (
        "producers",
        [
            {
                "id": number,
                "user_id": number + 1,
                "business_name": name,
                "slug": slug(name),
                "tax_id": f"09{number}45678{number}",
                "tax_office": f"ΔΟΥ {city}",
                "description": f"{name}: τρεις γενιές με μεράκι, κοντά στη γη. Επισκέψεις κατόπιν ραντεβού.",
                "address": f"Επαρχιακή οδός {number * 3}",
                "city": city,
                "postal_code": postal_code,
                "region": region,
                "logo": f"producers/{slug(name)}-logo.svg",
                "cover_image": f"producers/{'εξώφυλλο μελισσιού' if number == 2 else slug(name) + '-cover'}.png",
                "website": f"https://{slug(name)}.example.com",
                "social_media": escaped_json({"instagram": f"@{slug(name)}", "σελίδα": f"https://example.com/{name}"}),
                "verified": 1 if number != 5 else 0,
                "rating": (4.75, 5, 4.2, 3.9, None)[number - 1],
                "tenant_id": 1 if number < 5 else 2,
                "latitude": latitude,
                "longitude": longitude,
                "uses_custom_shipping_rates": 1 if number == 3 else 0,
                "opening_hours": greek_json({"Δευτέρα": ["09:00", "15:00"], "Κυριακή": []}) if number != 4 else None,
            }
            for number, (name, city, region, postal_code, latitude, longitude) in enumerate(PRODUCERS, start=1)
        ],
    )
    ids = range(1, len(PRODUCERS) + 1)
    yield (
        "producer_profiles",
        [
            {
                "id": number,
                "producer_id": number,
                "registration_number": f"ΓΕΜΗ-{number}2345000",
                "specialties": greek_json(["βιολογικά", "παραδοσιακά"][: 1 + number % 2]),
                "story": "Ξεκινήσαμε με ένα χωράφι και μια υπόσχεση.\n\nΣήμερα στέλνουμε σε όλη την Ελλάδα.",
                "founded_in": 1950 + 9 * number,
                "minimum_order_amount": (0, 15, 20.5, 9.99, 30)[number - 1],
                "processing_days": number,
                "verification_status": "verified" if number != 5 else "pending",
                "verified_at": moment(30 + number) if number != 5 else None,
            }
            for number in ids
        ],
    )
    yield (
        "producer_documents",
        [
            {
                "id": number,
                "producer_id": number,
                "title": "Πιστοποιητικό βιολογικής καλλιέργειας",
                "file_path": f"documents/{number}/πιστοποιητικό {2020 + number}.png",
                "kind": "certificate",
                "issued_on": day_of(-400 + number),
                "expires_on": day_of(700 + number) if number % 2 else None,
                "status": "accepted",
            }
            for number in ids
        ],
    )
    yield (
        "producer_media",
        [
            {
                "id": number,
                "producer_id": 1 + number % 5,
                "type": "image",
                "file_path": f"producers/media/{number:03d}.png",
                "caption": "Στον τρύγο" if number % 2 else None,
                "order": number,
            }
            for number in range(1, 13)
        ],
    )
    yield (
        "producer_environmental_stats",
        [
            {
                "id": number,
                "producer_id": number,
                "distance_km": random.random() * 400,
                "co2_saved_kg": random.random() * 90,
                "water_saved_l": 1e3 / (number + 2),
                "trees_planted": 12 * number,
            }
            for number in ids
        ],
    )


def _products(random: Random, shelf: Sequence[Product]) -> Iterator[tuple[str, Sequence[Row]]]:
    yield (
        "categories",
        [
            {
                "id": number,
                "parent_id": parent,
                "name": name,
                "slug": slug(name),
                "description": None if parent else f"{name} από μικρούς παραγωγούς.",
                "image": f"categories/{slug(name)}.svg",
                "sort_order": number * 10,
                "is_active": 1,
                "tenant_id": None,
            }
            for number, (parent, name) in CATEGORIES.items()
        ],
    )
    yield "products", [_product_row(product) for product in shelf]
    shelves = ("Δώρα", "Καλάθια", "Νηστίσιμα", "Χωρίς γλουτένη", "Προσφορές")
    yield (
        "product_categories",
        [
            {
                "id": number,
                "parent_id": 1 if number == 2 else None,
                "name": name,
                "slug": slug(name),
                "image": f"categories/shelf-{number}.png",
                "type": "shelf",
                "order": number,
                "is_active": 1,
            }
            for number, name in enumerate(shelves, start=1)
        ],
    )
    yield (
        "product_category_relations",
        [{"id": product.id, "product_id": product.id, "product_category_id": 1 + product.id % 5} for product in shelf],
    )
    yield (
        "product_images",
        [
            {
                "id": product.id * 2 - 1 + second,
                "product_id": product.id,
                "path": _picture(product, f"-{second + 1}"),
                "alt_text": product.name if second else None,
                "sort_order": second,
            }
            for product in shelf
            for second in (0, 1)
        ],
    )
    attributes = {"Προέλευση": "select", "Οξύτητα": "number", "Βιολογικό": "boolean", "Σημείωση": "text"}
    yield (
        "product_attributes",
        [
            {
                "id": number,
                "name": name,
                "slug": slug(name),
                "type": kind,
                "options": greek_json(["Κρήτη", "Λέσβος", "Μεσσηνία"]) if kind == "select" else None,
                "is_filterable": number % 2,
                "order": number,
            }
            for number, (name, kind) in enumerate(attributes.items(), start=1)
        ],
    )
    yield (
        "product_attribute_values",
        [
            {"id": product.id, "product_id": product.id, "product_attribute_id": 2, "value": f"0,{product.id % 8 + 1}"}
            for product in shelf
            if product.category_id == 2
        ],
    )
    yield (
        "product_cost_breakdowns",
        [
            {
                "id": product.id,
                "product_id": product.id,
                "producer_cost": money(product.cents * 6 // 10),
                "packaging_cost": money(product.cents // 20),
                "platform_fee_percentage": 12.5 if product.id % 3 else 10,
                "cost_per_100g": round(product.cents / product.grams, 4),
            }
            for product in shelf
        ],
    )
    yield (
        "stock_movements",
        [
            {
                "id": number,
                "product_id": 1 + number % 65,
                "quantity": random.randint(-20, 60),
                "direction": random.choice(("in", "out", "correction")),
                "reason": "Απογραφή" if number % 5 == 0 else None,
                "moved_at": moment(number, number * 131),
            }
            for number in range(1, 201)
        ],
    )


def _picture(product: Product, suffix: str = "") -> str:
    """Most pictures have plain names; a few keep the Greek names and spaces people upload."""
    if product.id % 20 == 8:
        return f"products/{product.name}{suffix}.png"
    return f"products/{slug(product.name)}{suffix}.{'jpg' if product.id % 3 == 0 else 'png'}"


def _product_row(product: Product) -> Row:
    number = product.id
    attributes = {
        "συσκευασία": "γυάλινο βάζο",
        "βάρος": {"τιμή": product.grams, "μονάδα": "g"},
        "ετικέτες": ["α/β", "γ"],
    }
    return {
        "id": number,
        "producer_id": product.producer_id,
        "name": product.name,
        "slug": slug(product.name),
        "description": f"{product.name}. Μικρή παραγωγή, συσκευασμένη στον τόπο της.\nΦυλάσσεται σε μέρος δροσερό.",
        "short_description": f"{product.name}, {product.grams} g" if number % 7 else None,
        "price": money(product.cents),
        "discount_price": money(product.cents * 9 // 10) if number % 6 == 0 else None,
        "sku": f"PRD-{number:05d}",
        "stock": number * 13 % 140,
        "weight_grams": product.grams,
        "main_image": _picture(product),
        "is_active": 0 if number % 22 == 0 else 1,
        "is_featured": 1 if number % 8 == 1 else 0,
        "attributes": (greek_json(attributes), escaped_json(attributes), "{}", None)[number % 4],
        "category_id": product.category_id,
        "tenant_id": 2 if product.producer_id == 5 else 1,
        "vat_rate": product.vat_rate,
        "b2b_available": number % 2,
        "wholesale_price": money(product.cents * 8 // 10) if number % 2 else None,
        "is_organic": 1 if number % 5 == 0 else 0,
        "season_start": "2024-10-15" if product.category_id == 2 else None,
        "season_end": "2025-02-28" if product.category_id == 2 else None,
        "quickbooks_item_id": str(7000 + number) if number % 3 else None,
    }


def _opinions(random: Random, shelf: Sequence[Product]) -> Iterator[tuple[str, Sequence[Row]]]:
    comments = ("Άριστο! 🫒", "Πολύ καλό, αλλά άργησε λίγο.", "Θα το ξαναπάρω· το συνιστώ.", None)
    pairs = [(user, product.id) for product in shelf for user in (7, 8, 9) if (user * product.id) % 4 == 0]
    yield (
        "reviews",
        [
            {
                "id": number,
                "user_id": user,
                "product_id": product,
                "rating": random.randint(3, 5),
                "title": "Γεύση παιδικών χρόνων" if number % 3 else None,
                "comment": comments[number % 4],
                "is_approved": 1,
                "is_verified_purchase": number % 2,
                "tenant_id": 1,
            }
            for number, (user, product) in enumerate(pairs, start=1)
        ],
    )
    yield (
        "favorites",
        [
            {"id": number, "user_id": user, "product_id": product}
            for number, (user, product) in enumerate(pairs[::2], start=1)
        ],
    )
    yield (
        "wishlists",
        [
            {"id": number, "user_id": user, "product_id": product, "notify_on_price": number % 2}
            for number, (user, product) in enumerate(pairs[::3], start=1)
        ],
    )
    yield (
        "producer_reviews",
        [
            {
                "id": number,
                "user_id": 7,
                "producer_id": number,
                "rating": 5 - number % 2,
                "title": "Αξιόπιστοι",
                "comment": "Γρήγορη απάντηση και σωστή συσκευασία.",
                "is_approved": 1,
            }
            for number in range(1, 6)
        ],
    )
    yield (
        "producer_questions",
        [
            {
                "id": 1,
                "producer_id": 2,
                "user_id": 7,
                "question": "Δέχεστε επισκέψεις στα μελίσσια;",
                "answer": "Ναι, κάθε Σάββατο.",
                "is_public": 1,
                "answered_at": moment(90),
            }
        ],
    )
    yield (
        "product_questions",
        [
            {
                "id": number,
                "product_id": number,
                "user_id": 7,
                "question": "Πότε λήγει;",
                "answer": answer,
                "is_public": 1,
            }
            for number, answer in enumerate(("Σε 18 μήνες.", None, "Γράφει πάνω στο βάζο: «τέλος 2026»."), start=1)
        ],
    )
    yield (
        "carts",
        [
            {
                "id": number,
                "user_id": 7 + number % 3 if number < 5 else None,
                "session_id": _hex(random, 40) if number >= 5 else None,
                "expires_at": moment(520 + number),
            }
            for number in range(1, 8)
        ],
    )
    yield (
        "cart_items",
        [
            {
                "id": number,
                "cart_id": 1 + number % 7,
                "product_id": product.id,
                "quantity": 1 + number % 3,
                "price": money(product.cents),
                "attributes": None if number % 3 else greek_json({"δώρο": True}),
            }
            for number, product in enumerate(shelf[::5], start=1)
        ],
    )


def _shipping(random: Random) -> Iterator[tuple[str, Sequence[Row]]]:
    zones = ("Αττική", "Ηπειρωτική Ελλάδα", "Νησιά", "Δυσπρόσιτες περιοχές")
    yield (
        "shipping_zones",
        [
            {
                "id": number,
                "name": name,
                "description": None,
                "geojson": '{"type": "Point", "coordinates": [23.7275, 37.98381]}' if number == 1 else None,
            }
            for number, name in enumerate(zones, start=1)
        ],
    )
    tiers = ((0, 1999), (2000, 4999), (5000, 9999))
    yield (
        "weight_tiers",
        [
            {"id": number, "code": f"T{number}", "min_weight_grams": low, "max_weight_grams": high, "description": None}
            for number, (low, high) in enumerate(tiers, start=1)
        ],
    )
    yield (
        "delivery_methods",
        [
            {"id": 1, "code": "courier", "name": "Κούριερ", "max_weight_grams": 30000, "supports_cod": 1},
            {"id": 2, "code": "pickup", "name": "Παραλαβή από κατάστημα", "max_weight_grams": None, "supports_cod": 0},
        ],
    )
    triples = [(zone, tier, method) for zone in range(1, 5) for tier in range(1, 4) for method in (1, 2)]
    yield (
        "shipping_rates",
        [
            {
                "id": number,
                "shipping_zone_id": zone,
                "weight_tier_id": tier,
                "delivery_method_id": method,
                "price": 0 if method == 2 else money(250 + 85 * zone + 110 * tier),
            }
            for number, (zone, tier, method) in enumerate(triples, start=1)
        ],
    )
    yield (
        "extra_weight_charges",
        [
            {"id": zone, "shipping_zone_id": zone, "delivery_method_id": 1, "price_per_kg": money(80 + 15 * zone)}
            for zone in range(1, 5)
        ],
    )
    yield (
        "additional_charges",
        [
            {"id": 1, "code": "cod", "name": "Αντικαταβολή", "description": None, "price": 2.2, "is_percentage": 0},
            {
                "id": 2,
                "code": "fragile",
                "name": "Εύθραυστο",
                "description": "Ποσοστό",
                "price": 1.5,
                "is_percentage": 1,
            },
        ],
    )
    prefixes = {"10": 1, "11": 1, "15": 1, "19": 1, "26": 2, "41": 2, "44": 4, "54": 2, "81": 3, "84": 3, "85": 3}
    yield (
        "postal_code_zones",
        [
            {"id": number, "postal_code_prefix": prefix, "shipping_zone_id": zone}
            for number, (prefix, zone) in enumerate(prefixes.items(), start=1)
        ],
    )
    yield (
        "producer_shipping_methods",
        [{"id": number, "producer_id": number, "delivery_method_id": 1, "is_enabled": 1} for number in range(1, 6)],
    )
    yield (
        "producer_shipping_rates",
        [
            {
                "id": number,
                "producer_id": 3,
                "shipping_zone_id": zone,
                "weight_tier_id": tier,
                "delivery_method_id": 1,
                "price": money(random.randint(300, 1200)),
            }
            for number, (zone, tier) in enumerate(((zone, tier) for zone in (1, 2) for tier in (1, 2, 3)), start=1)
        ],
    )
    yield (
        "producer_free_shipping",
        [
            {"id": number, "producer_id": number, "shipping_zone_id": 1, "threshold": 40 + number * 2.5}
            for number in (1, 2, 4)
        ],
    )


def _business(random: Random, shelf: Sequence[Product]) -> Iterator[tuple[str, Sequence[Row]]]:
    names = {8: ("Ταβέρνα Το Λιμάνι", "restaurant"), 9: ("Ξενώνας Αύρα", "hotel")}
    yield (
        "businesses",
        [
            {
                "id": number,
                "user_id": user,
                "business_name": name,
                "tax_id": f"80{user}112233",
                "tax_office": "ΔΟΥ Πειραιά",
                "description": None,
                "city": "Πειραιάς",
                "logo": f"businesses/{slug(name)}.svg",
                "verified": 1,
                "verification_date": moment(45 + number),
            }
            for number, (user, (name, _)) in enumerate(names.items(), start=1)
        ],
    )
    yield (
        "business_users",
        [
            {
                "id": number,
                "tenant_id": 1,
                "user_id": user,
                "business_name": name,
                "business_type": kind,
                "tax_number": f"80{user}112233",
                "billing_address": greek_json({"οδός": "Ακτή Μιαούλη 3", "πόλη": "Πειραιάς", "ΤΚ": "18535"}),
                "contact_person": _PEOPLE[user - 1][0],
                "status": "active",
                "credit_limit": 5000 if number == 1 else 12500.5,
                "discount_tier": "silver",
                "approved_at": moment(50),
                "deleted_at": None,
            }
            for number, (user, (name, kind)) in enumerate(names.items(), start=1)
        ],
    )
    yield (
        "contracts",
        [
            {
                "id": number,
                "tenant_id": 1,
                "business_user_id": 1 + number % 2,
                "contract_number": f"ΣΥΜ-2024-{number:03d}",
                "title": "Προμήθεια ελαιολάδου",
                "type": "supply",
                "status": ("draft", "active", "expired")[number % 3],
                "start_date": day_of(60 * number),
                "end_date": day_of(60 * number + 365) if number != 2 else None,
                "minimum_order_value": 250 if number % 2 else 199.9,
                "discount_percentage": 7.5,
                "terms": "Άρθρο 1. Ο προμηθευτής παραδίδει εντός πέντε ημερών.\n" * 40,
                "created_by": 1,
                "signed_at": moment(60 * number),
                "deleted_at": None,
            }
            for number in range(1, 4)
        ],
    )
    quotes: list[Row] = []
    items: list[Row] = []
    for number in range(1, 7):
        chosen = shelf[number * 5 : number * 5 + 3]
        nets = [12 * product.cents for product in chosen]
        tax = sum(vat_cents(net, product.vat_rate) for net, product in zip(nets, chosen, strict=True))
        order = next((order for order, quote in QUOTE_OF_ORDER.items() if quote == number), None)
        quotes.append(
            {
                "id": number,
                "tenant_id": 1,
                "business_user_id": 1 + number % 2,
                "quote_number": f"Q-2024-{number:04d}",
                "title": "Προσφορά χονδρικής",
                "status": "converted" if order else ("draft", "sent", "rejected")[number % 3],
                "subtotal": money(sum(nets)),
                "tax_amount": money(tax),
                "total_amount": money(sum(nets) + tax),
                "valid_until": day_of(80 + 30 * number),
                "notes": "Ισχύει για παραλαβή σε παλέτα." if number % 2 else "",
                "created_by": 1,
                "converted_to_order_id": order,
                "deleted_at": moment(250) if number == 6 else None,
            }
        )
        items += [
            {
                "id": len(items) + place,
                "quote_id": number,
                "product_id": product.id,
                "quantity": 12,
                "unit_price": money(product.cents),
                "total_price": money(net),
                "notes": None,
            }
            for place, (product, net) in enumerate(zip(chosen, nets, strict=True), start=1)
        ]
    yield "quotes", quotes
    yield "quote_items", items
    yield (
        "coupons",
        [
            {
                "id": number,
                "code": code,
                "kind": "percent" if number == 1 else "amount",
                "value": 10 if number == 1 else 4.5,
                "valid_from": day_of(0),
                "valid_until": None,
                "max_uses": None,
            }
            for number, code in enumerate(("ΑΝΟΙΞΗ10", "KALOSIRTHES"), start=1)
        ],
    )
    yield (
        "vat_rates",
        [
            {"id": 1, "code": "standard", "name": "Κανονικός συντελεστής", "rate": 24, "valid_from": "2016-06-01"},
            {"id": 2, "code": "reduced", "name": "Μειωμένος συντελεστής", "rate": 13, "valid_from": "2016-06-01"},
        ],
    )
    yield (
        "quickbooks_tokens",
        [
            {
                "id": 1,
                "user_id": 1,
                "access_token": f"fake.{_token(random, 900)}",
                "refresh_token": f"fake-{_token(random, 50)}",
                "company_id": "4620816365000000000",
                "expires_at": moment(500),
                "company_info": escaped_json({"CompanyName": "Αγορά του Κάμπου", "Url": "https://example.com/q"}),
                "last_sync": moment(499),
            }
        ],
    )


def _adoptions() -> Iterator[tuple[str, Sequence[Row]]]:
    items = (("Ελιά της γιαγιάς", "tree", 1), ("Κυψέλη 27", "hive", 2), ("Η κατσίκα Ασπρούλα", "animal", 3))
    yield (
        "adoptable_items",
        [
            {
                "id": number,
                "producer_id": producer,
                "name": name,
                "slug": slug(name),
                "description": f"{name} σας περιμένει. Θα λαμβάνετε νέα και δώρα κάθε εποχή.",
                "type": kind,
                "location": PRODUCERS[producer - 1][1],
                "status": "adopted" if number < 3 else "available",
                "main_image": f"adoptions/{slug(name)}.png",
                "gallery_images": escaped_json([f"adoptions/{slug(name)}-{place}.png" for place in (1, 2)]),
                "attributes": greek_json({"ηλικία": 40 + number, "ύψος": 3.25, "όνομα": name}),
                "featured": number % 2,
            }
            for number, (name, kind, producer) in enumerate(items, start=1)
        ],
    )
    yield (
        "adoption_plans",
        [
            {
                "id": number,
                "adoptable_item_id": 1 + (number - 1) // 2,
                "name": "Ετήσιο" if number % 2 else "Εξάμηνο",
                "description": None,
                "price": 89.9 if number % 2 else 50,
                "duration_months": 12 if number % 2 else 6,
                "benefits": greek_json(["Πιστοποιητικό", "2 λίτρα λάδι", "Επίσκεψη"][: 1 + number % 3]),
            }
            for number in range(1, 7)
        ],
    )
    yield (
        "adoptions",
        [
            {
                "id": number,
                "user_id": 6 + number,
                "adoptable_item_id": number,
                "adoption_plan_id": number * 2 - 1,
                "status": "active",
                "start_date": day_of(100 + number),
                "end_date": day_of(465 + number),
                "price_paid": 89.9,
                "payment_status": "paid",
                "certificate_number": f"ΥΙΟΘ-{number:05d}",
                "notes": None,
            }
            for number in (1, 2)
        ],
    )
    yield (
        "adoption_updates",
        [
            {
                "id": number,
                "adoption_id": 1 + number % 2,
                "title": "Νέα από το κτήμα",
                "content": "Άνθισε! 🌸\nΗ φετινή χρονιά δείχνει καλή.",
                "images": escaped_json([f"adoptions/update-{number}.png"]) if number % 2 else "[]",
                "status": "published" if number < 4 else "draft",
                "published_at": moment(150 + 40 * number) if number < 4 else None,
            }
            for number in range(1, 5)
        ],
    )
    yield (
        "subscription_plans",
        [
            {
                "id": 1,
                "name": "Βασικό",
                "target_type": "producer",
                "price": 0,
                "commission_rate": 0.12,
                "features": "[]",
            },
            {
                "id": 2,
                "name": "Επαγγελματικό",
                "target_type": "business",
                "price": 29.9,
                "commission_rate": 0.0875,
                "features": greek_json(["αναφορές", "προτεραιότητα"]),
            },
        ],
    )
    yield (
        "subscriptions",
        [
            {
                "id": number,
                "plan_id": 1 if number < 6 else 2,
                "subscribable_type": "App\\Models\\Producer" if number < 6 else "App\\Models\\BusinessUser",
                "subscribable_id": number if number < 6 else 1,
                "status": "active",
                "start_date": day_of(number),
                "end_date": None,
            }
            for number in range(1, 7)
        ],
    )


def _insight(random: Random, shelf: Sequence[Product]) -> Iterator[tuple[str, Sequence[Row]]]:
    yield (
        "integration_settings",
        [
            {
                "id": 1,
                "service": "quickbooks",
                "user_id": 1,
                "tokens": _token(random, 200),
                "settings": '{"sync": {"invoices": true, "items": false}, "every": 15}',
                "connected_at": moment(40),
                "is_active": 1,
            }
        ],
    )
    yield (
        "integration_logs",
        [
            {
                "id": number,
                "service_name": "quickbooks",
                "operation": "invoice.create",
                "external_id": str(9000 + number) if number % 4 else None,
                "request_data": escaped_json({"doc": number, "πελάτης": "Ταβέρνα Το Λιμάνι"}),
                "response_data": greek_json({"ok": bool(number % 4)}) if number % 4 else "<html>504</html>",
                "status": "success" if number % 4 else "error",
                "error_message": None if number % 4 else "Λήξη χρόνου",
                "response_time_ms": random.randint(80, 4000),
            }
            for number in range(1, 31)
        ],
    )
    yield (
        "recommendation_logs",
        [
            {
                "id": number,
                "user_id": 7 + number % 3,
                "product_ids": json.dumps(random.sample(range(1, 66), 4)),
                "algorithm": "συνεργατικό" if number % 2 else "trending",
                "context": '{"page": "home"}',
                "served_at": moment(300 + number),
                "clicked_at": moment(300 + number, 90) if number % 3 == 0 else None,
                "clicked_product_id": 1 + number if number % 3 == 0 else None,
            }
            for number in range(1, 31)
        ],
    )
    yield (
        "user_behavior_events",
        [
            {
                "id": number,
                "user_id": 7 + number % 3 if number % 2 else None,
                "session_id": f"s{number % 17:04d}",
                "event_type": "search" if number % 5 == 0 else "view",
                "product_id": None if number % 5 == 0 else 1 + number % 65,
                "search_query": "ελιές & μέλι" if number % 5 == 0 else None,
                "page_url": f"https://shop.example.com/προϊόντα?σελίδα={number}",
                "ip_address": "2001:db8::7",
                "metadata": escaped_json({"ms": number * 3.5, "πηγή": "αναζήτηση"}) if number % 4 else None,
                "created_at": moment(number, number * 47),
            }
            for number in range(1, 401)
        ],
    )
    yield (
        "user_preference_updates",
        [
            {
                "id": number,
                "user_id": 7,
                "product_id": number,
                "action": "like",
                "weight": random.random(),
                "created_at": moment(200),
            }
            for number in range(1, 16)
        ],
    )
    yield (
        "user_product_interactions",
        [
            {
                "id": product.id,
                "user_id": 7 + product.id % 3,
                "product_id": product.id,
                "rating": None if product.id % 2 else random.randint(2, 10) / 2,
                "interaction_count": random.randint(1, 40),
                "last_interaction": moment(350, product.id * 61),
            }
            for product in shelf
        ],
    )
    yield (
        "contact_messages",
        [
            {
                "id": number,
                "name": "Ελένη Πελάτη",
                "email": "eleni.pelati@example.com",
                "subject": subject,
                "message": "Καλησπέρα σας,\r\nθα ήθελα μια πληροφορία.\t– Ευχαριστώ \\ Ε. «Π.» 'x' \"y\"",
                "accept_terms": 1,
                "status": "new",
            }
            for number, subject in enumerate(("Αποστολή", "", None), start=1)
        ],
    )
    yield (
        "newsletter_subscribers",
        [
            {
                "id": number,
                "email": f"reader{number}@example.org",
                "name": f"Αναγνώστρια {number}" if number % 2 else None,
                "token": _uuid(random),
                "list_mask": 2**53 + 1 if number == 1 else 3,
                "confirmed_at": moment(number * 20) if number % 4 else None,
            }
            for number in range(1, 25)
        ],
    )
