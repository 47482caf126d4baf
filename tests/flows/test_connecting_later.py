"""A connection that could not connect hears of what it missed once it can, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from stampcard.app import Application
from stampcard.domain.deliveries import Delivery
from stampcard.plugin import (
    BalancePush,
    Capabilities,
    ConnectionContext,
    CustomerSeen,
    Delivered,
    Event,
    OrderSeen,
    Outcome,
    PluginManifest,
    PluginSettings,
    Reply,
    Sink,
    UnverifiedRequest,
    VerifiedRequest,
    WebhookSource,
    hookimpl,
)
from stampcard.sealing import new_key_text
from stampcard.settings import DeliverSettings, Settings
from stampcard.storage import saving
from stampcard.storage.tables import inbox, member, push
from stampcard.testing.building import order
from stampcard.testing.waiting import eventually

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
"""


class Orders(WebhookSource):
    """A body is the reference of an order of 100 by customer 1; an empty one tells of the customer alone."""

    def verify(self, request: UnverifiedRequest) -> VerifiedRequest | Reply:
        raise NotImplementedError

    def delivery_key(self, request: VerifiedRequest) -> str:
        raise NotImplementedError

    def events(self, delivery: Delivery) -> Iterable[Event]:
        if not delivery.body:
            return [CustomerSeen(reference="1", occurred_at=delivery.received_at)]
        return [OrderSeen(reference=delivery.body.decode(), snapshot=order(100, at=delivery.received_at))]


class Shown(Sink[BalancePush]):
    kind, batch_size, idempotent = "balance", 10, True

    def __init__(self, shown: dict[str, int]) -> None:
        self._shown = shown

    async def deliver(self, items: Sequence[BalancePush]) -> Sequence[Outcome]:
        self._shown.update({item.reference: item.balances["points"].active for item in items})
        return [Delivered()] * len(items)


class Vendor:
    """A plugin whose connection "crm" cannot connect while it is down."""

    def __init__(self) -> None:
        self.down = True
        self.shown: dict[str, dict[str, int]] = {"shop": {}, "crm": {}}

    @hookimpl
    def plugin_manifest(self) -> PluginManifest:
        return PluginManifest(name="vendor", summary="for tests", settings=PluginSettings)

    @hookimpl
    async def connect(self, context: ConnectionContext[PluginSettings]) -> Capabilities:
        if context.name == "crm" and self.down:
            message = "nobody is there"
            raise ConnectionError(message)
        return Capabilities(webhook=Orders(), sinks=(Shown(self.shown[context.name]),))


@pytest.fixture
def start(tmp_path: Path, database_url: str) -> Callable[[Vendor], Application]:
    """An application with a shop and a CRM of that vendor, each time over the same database."""
    (tmp_path / "program.yaml").write_text(PROGRAM)
    (tmp_path / "key").touch(mode=0o600)
    (tmp_path / "key").write_text(new_key_text())
    settings = Settings(
        database=database_url,
        programs=(str(tmp_path / "program.yaml"),),
        key_file=tmp_path / "key",
        deliver=DeliverSettings(coalesce=0),
        connections={"shop": {"plugin": "vendor"}, "crm": {"plugin": "vendor"}},
    )
    return lambda vendor: Application(settings, plugins={"vendor": vendor})


def know_at_the_crm(connection: Connection) -> None:
    """Let the one member have an identity at the CRM."""
    (known,) = connection.execute(select(member.c.id)).scalars()
    row = {"merchant": "main", "connection": "crm", "reference": "c-1", "member": known}
    saving.insert(connection, "identity", [row])


async def test_what_changed_while_a_connection_was_down_is_pushed_when_it_stands(
    start: Callable[[Vendor], Application],
) -> None:
    vendor = Vendor()
    async with start(vendor) as application:
        assert "nobody is there" in application.connections["crm"].problem
        await tell(application, b"")
        await application.database.write(know_at_the_crm)
        await tell(application, b"A")
        await eventually("the shop knows", lambda: shows(vendor, "shop", {"1": 100}))
        waiting = await application.database.read(
            lambda connection: connection.execute(select(push).where(push.c.connection == "crm")).all()
        )
    assert [(row.kind, row.wanted > row.sent, row.attempts, row.dead) for row in waiting] == [("balance", True, 0, 0)]
    assert vendor.shown["crm"] == {}

    vendor.down = False
    async with start(vendor):
        await eventually("the CRM knows", lambda: shows(vendor, "crm", {"c-1": 100}))


async def tell(application: Application, body: bytes) -> None:
    """Let the shop tell something, and wait until it is applied."""
    at = application.clock.now()
    delivery = Delivery(connection="shop", key=f"key-{body!r}", topic="t", body=body, received_at=at)
    await application.receive(delivery)

    async def is_applied() -> bool:
        statuses = select(inbox.c.status)
        found = await application.database.read(lambda connection: connection.execute(statuses).scalars().all())
        return set(found) == {"done"}

    await eventually("it is applied", is_applied)


async def shows(vendor: Vendor, name: str, figures: dict[str, int]) -> bool:
    return vendor.shown[name] == figures
