"""What every benchmark works on: a real program of 20 rules, real order bodies, a database with members."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stampcard.applying.setting import Setting
from stampcard.domain.deliveries import Delivery
from stampcard.engine.versions import assembled, compiled
from stampcard.host.connecting import Connection
from stampcard.host.discovering import discover
from stampcard.host.hooks import Hooks
from stampcard.plugin import Capabilities
from stampcard.program.reading import read_program
from stampcard.sealing import new_key_text, read_keys
from stampcard.storage import migrating
from stampcard.storage.database import Database
from stampcard.storage.numbering import Numbering
from stampcard_shopify.plugin import ShopifySettings
from stampcard_shopify.simulator import ShopifySimulator
from stampcard_shopify.webhooks import ShopifyWebhooks

CONDITIONS = (
    "order.total >= 200.0",
    "order.total >= 150.0 && order.channel == 'web'",
    "order.currency == 'EUR'",
    "'vip' in order.tags",
    "order.subtotal > 300.0",
    "order.discount > 20.0",
    "order.tax >= 25.0",
    "order.shipping == 0.0 && order.total > 120.0",
    "order.channel == 'pos'",
    "order.total > 1000.0",
    "now.getDayOfWeek('Europe/Berlin') == 1",
    "now.getHours('Europe/Berlin') < 6",
    "order.total >= 400.0 || order.subtotal >= 390.0",
    "'wholesale' in order.tags",
    "order.number.startsWith('#10')",
    "order.total > 500.0 && order.total < 900.0",
    "order.subtotal - order.discount > 200.0",
    "order.currency in ['GBP', 'CHF']",
    "size(order.tags) > 3",
)


#: Tiers and segments that the program could have beside.
RANKS = """
tiers: {by: points, within: calendar year, levels: {green: 0, silver: 500, gold: 2000}}
segments:
  spenders: {when: history.spend.months_12 >= 1000}
  regulars: {when: history.orders.days_30 >= 3}
"""


def program_text() -> str:
    """A program of 20 rules that a shop could have: one pays for every order, 19 under conditions."""
    rules = ["  - {id: base, on: purchase, award: 1 per 1 USD}"]
    rules += [
        f'  - {{id: rule-{number}, on: purchase, when: "{condition}", award: {number % 3 + 1} per 10 USD}}'
        for number, condition in enumerate(CONDITIONS)
    ]
    head = "program: bench\ncurrency: USD\ntimezone: Europe/Berlin\nwallets: {points: {expire: 12 months}}\nrules:\n"
    return head + "\n".join(rules) + "\n"


def orders(count: int, seed: int = 7) -> list[tuple[str, bytes]]:
    """(topic, body) of so many paid orders as the simulated shop sends them, about 10 KB each, each order once."""
    simulator = ShopifySimulator(seed)
    found: list[tuple[str, bytes]] = []
    for request in simulator.history(count * 2):
        topic = request.headers["X-Shopify-Topic"]
        if topic == "orders/paid":
            found.append((topic, request.body))
        if len(found) == count:
            break
    return found


def of_strangers(bodies: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """The same orders, each of a customer of its own: two batches of a large shop rarely share one."""
    found = []
    for number, (topic, body) in enumerate(bodies):
        customer = (json.loads(body)["customer"] or {}).get("id", 0)
        found.append((topic, body.replace(b"%d" % customer, b"%d" % (10**18 + number)) if customer else body))
    return found


@contextmanager
def database(url: str | None = None) -> Iterator[Database]:
    """A migrated database: a fresh SQLite file, or the given PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="stampcard-bench-") as folder:
        opened = Database(url or f"sqlite:///{Path(folder) / 'bench.db'}")
        migrating.upgrade(opened)
        try:
            yield opened
        finally:
            opened.close()


def setting(key: str | None = None, more: str = "") -> Setting:
    """An engine with the 20 rules and what else the program says, sealing with the text of that key file or a new one."""
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    return Setting(
        merchant="main",
        sealer=read_keys(key or new_key_text()),
        numbering=Numbering(),
        hooks=Hooks(discover()),
        programs=assembled([compiled(read_program(program_text() + more, "bench"), 1, long_ago)], 0),
        targets={"shop": ("balance",)},
        plugins={"shop": "shopify"},
        active=frozenset({"shop"}),
        fulfilling={},
        fetching=frozenset({"shop"}),
        coalesce=timedelta(0),
        longest=timedelta(0),
    )


def deliveries(bodies: Sequence[tuple[str, bytes]], now: datetime) -> list[Delivery]:
    """The bodies as the inbox gets them."""
    return [
        Delivery(connection="shop", key=f"k{number}", topic=topic, body=body, received_at=now)
        for number, (topic, body) in enumerate(bodies)
    ]


def connections() -> dict[str, Connection]:
    """A Shopify connection that only decodes."""
    settings = ShopifySettings(shop="bench.myshopify.com", webhook_secrets="made-up", access_token="made-up")
    return {
        "shop": Connection(name="shop", plugin="shopify", capabilities=Capabilities(webhook=ShopifyWebhooks(settings)))
    }
