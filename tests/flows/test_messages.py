"""From a purchase to a mail and a text on somebody's phone, and back: reports, STOP, one click."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from sqlalchemy import select
from tests.flows.test_crm import Scene as Shopping
from tests.mailboxes import Mailbox

from stampcard.applying.consenting import record_consent
from stampcard.applying.requests import Answer, answer
from stampcard.applying.unit import Unit
from stampcard.domain.consents import Consent
from stampcard.settings import SecuritySettings, Settings
from stampcard.storage.loading import load_identities
from stampcard.storage.tables import consent, message, suppression
from stampcard.testing.demonstration import CONNECTION, Demonstration
from stampcard.testing.simulator import SignedRequest
from stampcard.testing.waiting import eventually
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulator import ShopifySimulator
from stampcard_twilio.simulator import TwilioSimulator

Demonstrating = Callable[..., AbstractAsyncContextManager[Demonstration]]
Post = Callable[[str, SignedRequest], Awaitable[aiohttp.ClientResponse]]
PHONE = "+4915112345678"
PROGRAM = """
program: club
name: Bean Club
currency: USD
timezone: America/Toronto
wallets: {points: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 USD}
sending:
  quiet: {sms: none}
  address: Bean Club, 1 Bean Street
messages:
  earned:
    on: points_earned
    use: points_earned
    channels: [email, sms, inbox]
    deliver: all
"""


class Scene(Shopping):
    """A shop, a mail server and Twilio before one installation."""

    def __init__(
        self,
        demonstration: Demonstration,
        shop: ShopifySimulator,
        post: Post,
        mailbox: Mailbox,
        twilio: TwilioSimulator,
    ) -> None:
        super().__init__(demonstration, shop, post)
        self.mailbox, self.twilio = mailbox, twilio

    async def agrees(self, who: int, *channels: str) -> None:
        """A customer agrees to marketing by these channels."""
        application = self.application
        known = await application.database.read(lambda c: load_identities(c, "main", [(CONNECTION, str(who))]))
        member = str(known[CONNECTION, str(who)].member)
        now = application.clock.now()

        def work(unit: Unit) -> Answer:
            for channel in channels:
                said = Consent(
                    channel=channel, purpose="marketing", state="given", at=now, recorded_at=now, source="checkout"
                )
                record_consent(unit, member, said)
            return Answer(status=200, body={})

        await application.database.write(lambda c: answer(c, application.setting, None, now, work))

    async def messages(self) -> list[tuple[str, str, str]]:
        rows = await self.application.database.read(lambda c: c.execute(select(message).order_by(message.c.id)).all())
        return [(row.channel, row.state, row.reason) for row in rows]

    async def consents(self) -> list[tuple[str, str]]:
        rows = await self.application.database.read(lambda c: c.execute(select(consent).order_by(consent.c.id)).all())
        return [(row.channel, row.state) for row in rows]

    def link(self, text: str, purpose: str) -> str:
        """A link of a mail, as it is reached here."""
        found = re.search(rf"https://loyalty\.example(/{purpose}/[a-z0-9-]+)", text)
        assert found is not None, text
        return self.demonstration.address + found[1]


@pytest.fixture
def scene(demonstrate: Demonstrating, post: Post) -> Callable[..., AbstractAsyncContextManager[Scene]]:
    @asynccontextmanager
    async def make(program: str = PROGRAM, *, database: str = "") -> AsyncIterator[Scene]:
        shop = ShopifySimulator(7, ShopPlan(api_failures=0.0))
        twilio = TwilioSimulator(7)
        await twilio.start()
        async with Mailbox() as mailbox:

            def adapt(settings: Settings) -> Settings:
                hosts = (*(urlsplit(one.api_url).netloc for one in (shop, twilio)), mailbox.where)
                connections: dict[str, dict[str, Any]] = {
                    "mail": {"plugin": "smtp", "sender": "loyalty@shop.example", **mailbox.settings},
                    "text": {
                        "plugin": "twilio",
                        **twilio.settings(),
                        "answers_stop": False,
                        "segments_per_second": 100,
                    },
                    "app": {"plugin": "inbox"},
                }
                return settings.model_copy(
                    update={
                        "security": SecuritySettings(outbound_allow=hosts),
                        "http": settings.http.model_copy(update={"public_url": "https://loyalty.example"}),
                        "connections": {**settings.connections, **connections},
                    }
                )

            try:
                async with demonstrate(shop, program, adapt=adapt, database=database) as demonstration:
                    base = demonstration.application.public_url
                    twilio.tell_to(f"{base}/webhooks/text", route=f"{demonstration.address}/webhooks/text")
                    yield Scene(demonstration, shop, post, mailbox, twilio)
            finally:
                await twilio.stop()

    return make


async def test_a_purchase_becomes_a_mail_and_a_text_and_stop_ends_them(
    scene: Callable[..., AbstractAsyncContextManager[Scene]],
) -> None:
    async with scene() as now, aiohttp.ClientSession() as browser:
        await now.joins(1, "ada@example.com", first_name="Ada", phone=PHONE)
        await now.buys(1, 11, 120)
        # Nobody agreed to anything yet: only what is read where she looks for it is there.
        await eventually("she has been told nothing", lambda: _are(now))
        assert (now.mailbox.mails, now.twilio.messages) == ([], [])

        await now.agrees(1, "email", "sms")
        await now.buys(1, 12, 30)
        await eventually("a mail is there", lambda: _arrive(now.mailbox.mails, 1))
        await eventually("a text is there", lambda: _arrive(now.twilio.messages, 1))
        mail = now.mailbox.mails[0].parsed
        assert mail["Subject"] == "You earned 30 points"
        assert "You have 150 points now" in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"

        await now.twilio.deliver(shuffled=True, doubled=True)
        await eventually("the text is delivered", lambda: _has(now, ("sms", "delivered", "")))
        await eventually("the note is there", lambda: _has(now, ("inbox", "delivered", "")))

        # STOP comes back, is answered once, and nothing more is sent.
        await now.twilio.say(PHONE, "Stop!")
        await eventually("she is told that it ends", lambda: _arrive(now.twilio.messages, 2))
        assert "no more messages" in now.twilio.messages[1].body
        address = now.link(str(mail["List-Unsubscribe"]), "u")
        async with browser.get(address) as page:
            assert page.status == 200
        assert ("email", "withdrawn") not in await now.consents()
        async with browser.post(address, data={"List-Unsubscribe": "One-Click"}) as done:
            assert done.status == 200
        assert ("email", "withdrawn") in await now.consents()

        await now.buys(1, 13, 10)
        await eventually("what she does not want is dropped", lambda: _drops(now, 4))
        assert (len(now.mailbox.mails), len(now.twilio.messages)) == (1, 2)
        rows = await now.application.database.read(lambda c: c.execute(select(suppression)).all())
        assert [(row.channel, row.reason) for row in rows] == [("sms", "unsubscribed")]

        # START brings back what STOP ended, and nothing else.
        await now.twilio.say(PHONE, "START")
        await eventually("she is told so", lambda: _arrive(now.twilio.messages, 3))
        await now.buys(1, 14, 10)
        await eventually("texts come again", lambda: _arrive(now.twilio.messages, 4))
        assert len(now.mailbox.mails) == 1
        assert now.twilio.hooks.warnings == []


async def _arrive(found: Sequence[object], count: int) -> bool:
    return len(found) == count


async def _are(now: Scene) -> bool:
    found = [(channel, state) for channel, state, _ in await now.messages()]
    return sorted(found) == [("email", "dropped"), ("inbox", "delivered"), ("sms", "dropped")]


async def _has(now: Scene, wanted: tuple[str, str, str]) -> bool:
    return wanted in await now.messages()


async def _drops(now: Scene, count: int) -> bool:
    return sum(state == "dropped" for _, state, _ in await now.messages()) == count
