"""From a member's points to the card in their phone, and back: a whole installation beside the simulated Google."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import select
from tests.webhooks.conftest import Served, Shop, apply_program, settings_in

from stampcard.app import Application
from stampcard.domain.events import CustomerErased
from stampcard.engine.codes import read_code
from stampcard.settings.model import HttpSettings, SecuritySettings
from stampcard.storage.database import Database
from stampcard.storage.tables import message, outbox, pass_, push
from stampcard.testing.clock import FakeClock
from stampcard_google_wallet import plugin
from stampcard_google_wallet.simulator import GoogleWalletSimulator
from stampcard_webhooks.server import serving

PROGRAM = """
program: main
name: Beans
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
  - {id: saved, on: card_saved, award: 25}
card:
  name: {en: Bean Card, nl: Bonenkaart}
  logo: https://shop.example/logo.png
  rotates: true
"""
MESSAGES = """
messages:
  earned: {on: points_earned, use: points_earned, purpose: transactional, channels: [wallet]}
"""
PUBLIC = "https://points.example"


@pytest.fixture
async def served(
    tmp_path: Path, new_sqlite: Callable[[], str], google: GoogleWalletSimulator, clock: FakeClock
) -> AsyncIterator[Served]:
    """An installation with a shop and Google Wallet, whose loops rest; Google's callbacks reach it."""
    url, shop = new_sqlite(), Shop()
    connections: dict[str, dict[str, Any]] = {
        "shop": {"plugin": "shopping"},
        "phone": {"plugin": "google_wallet", **google.settings()},
    }
    settings = settings_in(tmp_path, url, connections).model_copy(
        update={
            "http": HttpSettings(port=0, public_url=PUBLIC),
            "security": SecuritySettings(outbound_allow=("127.0.0.1",)),
        }
    )
    database = Database(url)
    database.write_now(partial(apply_program, merchant="main", at=clock.now() - timedelta(days=100)))
    database.close()
    async with AsyncExitStack() as stack:
        application = Application(settings, clock=clock, plugins={"shopping": shop, "google_wallet": plugin})
        await application.open(loops=False)
        stack.push_async_callback(application.close)
        address = await stack.enter_async_context(serving(application))
        google.hooks.route = f"{address}/webhooks/phone"
        session = await stack.enter_async_context(aiohttp.ClientSession())
        found = Served(application, address, clock, shop, session)
        await found.prepare(PROGRAM)
        yield found


async def settled(served: Served) -> None:
    """Let everything that is due be applied and sent."""
    while await served.application.worker.work_once():
        pass
    served.clock.advance(60)
    dispatcher = served.application.dispatchers["phone"]
    for _ in range(3):
        await dispatcher.turn()
        while dispatcher._flights:
            await asyncio.gather(*dispatcher._flights)


async def made(served: Served, member: str) -> tuple[str, str]:
    """A card for a phone, and the address that saves it."""
    asking = asyncio.create_task(served.call("POST", f"/members/{member}/passes", {"connection": "phone"}))
    while not asking.done():
        await asyncio.sleep(0.02)
        await settled(served)
    answer = asking.result()
    assert answer.status == 201
    return answer.body["serial"], answer.body["url"]


async def given(served: Served, member: str, points: int) -> None:
    body = {"wallet": "points", "points": points, "reason": "a gift"}
    assert (await served.call("POST", f"/members/{member}/adjustments", body)).status == 201
    await settled(served)


async def test_points_reach_the_card_that_was_saved_and_what_becomes_of_it_is_heard(
    served: Served, google: GoogleWalletSimulator
) -> None:
    member = await served.rich(100, first_name="Zoë")
    serial, address = await made(served, member)
    assert google.card(serial)["loyaltyPoints"]["balance"] == {"int": 100}
    assert google.card(serial)["accountName"] == "Zoë"
    code = read_code(google.code(serial, served.clock.now()))
    assert (code.kind, code.number) == ("rotating", google.card(serial)["accountId"])

    assert await google.save(address) == 200
    await settled(served)
    (row,) = await served.read(select(pass_.c.saved_at, pass_.c.removed_at))
    assert row.saved_at is not None
    assert google.card(serial)["loyaltyPoints"]["balance"] == {"int": 125}, "saving it was paid"
    assert google.notices(serial) == ["update"]

    for points in (1, 2, 3):
        await given(served, member, points)
    assert google.card(serial)["loyaltyPoints"]["balance"] == {"int": 131}
    assert len(google.notices(serial)) == 3
    assert google.tally.throttled == 0

    assert await google.remove(serial) == 200
    await settled(served)
    calls = len(google.calls)
    await given(served, member, 5)
    assert len(google.calls) == calls, "nobody looks at a card that was taken off"


async def test_a_message_is_written_on_a_card_that_somebody_has_in_a_phone(
    served: Served, google: GoogleWalletSimulator
) -> None:
    await served.prepare(PROGRAM + MESSAGES)
    kept, other = [await served.rich(100, reference, email=f"{reference}@example.com") for reference in ("1", "2")]
    serial, address = await made(served, kept)

    async def told(member: str, serial: str) -> tuple[int, str]:
        """Messages on the card because of more points, and why the newest was not written if it was not."""
        before = len(google.card(serial).get("messages", []))
        await given(served, member, 5)
        await settled(served)
        newest = select(message.c.reason).where(message.c.member == member).order_by(message.c.id.desc())
        reasons = await served.read(newest)
        return len(google.card(serial).get("messages", [])) - before, reasons[0].reason

    assert await told(kept, serial) == (1, ""), "no save was ever told of: whoever asked for a card counts"
    assert await google.save(address) == 200
    await settled(served)
    assert await told(kept, serial) == (1, "")
    unseen, _ = await made(served, other)
    assert await told(other, unseen) == (0, "no_address"), "it is on a page, and in no phone"
    assert await google.remove(serial) == 200
    await settled(served)
    assert await told(kept, serial) == (0, "no_address")
    served.clock.advance(60)
    assert await google.save(address) == 200
    await settled(served)
    assert await told(other, unseen) == (0, "no_address"), "whoever saves theirs anew says nothing of others"


async def test_a_card_of_somebody_who_is_erased_is_emptied(served: Served, google: GoogleWalletSimulator) -> None:
    member = await served.rich(100, first_name="Zoë")
    serial, _ = await made(served, member)
    await served.apply(CustomerErased(reference="1", occurred_at=served.clock.now()))
    await settled(served)
    assert google.card(serial)["state"] == "INACTIVE"
    assert "Zoë" not in repr(google.card(serial))
    assert not await served.read(select(outbox).where(outbox.c.kind == "pass_end", outbox.c.status != "done"))
    assert not await served.read(select(push).where(push.c.kind == "pass", push.c.dead == 1))
