"""Webhooks of the simulated portal: what they tell, how they are signed, and how they travel."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from stampcard.testing.clock import FakeClock
from stampcard.testing.simulator import SignedRequest
from stampcard_hubspot.simulated_hooks import Journey
from stampcard_hubspot.simulated_plan import CALM, PortalPlan
from stampcard_hubspot.simulator import HubSpotSimulator

ROOT = "/crm/v3/objects/contacts"


class Inbox:
    """Somebody who gets webhooks, and answers what the test wants."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for _, body in self.got for event in json.loads(body)]


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    box, server = Inbox(), web.Application()
    server.router.add_post("/webhooks/crm", box.take)
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    box.url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/crm"
    yield box
    await runner.cleanup()


def is_genuine(headers: Any, body: bytes, secret: str, url: str) -> bool:
    """By our own reading of how HubSpot signs."""
    stamp = headers.get("X-HubSpot-Request-Timestamp", "")
    digest = hmac.new(secret.encode(), f"POST{url}".encode() + body + stamp.encode(), hashlib.sha256).digest()
    return hmac.compare_digest(base64.b64encode(digest).decode(), headers.get("X-HubSpot-Signature-v3", ""))


async def test_every_change_is_told_with_who_made_it(simulated: HubSpotSimulator, api: Any, inbox: Inbox) -> None:
    simulated.target_url = inbox.url
    made = (await api.post(ROOT, json={"properties": {"email": "a@example.com"}})).json()["id"]
    simulated.edit(made, firstname="Ada", city="Rome")
    simulated.edit(made, city="Rome")
    await api.delete(f"{ROOT}/{made}")
    simulated.restore(made)
    simulated.forget(made)
    assert await simulated.deliver() == len(inbox.events)
    told = [(event["subscriptionType"], event.get("propertyName"), event["changeSource"]) for event in inbox.events]
    assert told == [
        ("contact.creation", None, "INTEGRATION"),
        ("contact.propertyChange", "lifecyclestage", "INTEGRATION"),
        ("contact.propertyChange", "email", "INTEGRATION"),
        ("contact.propertyChange", "firstname", "CRM_UI"),
        ("contact.propertyChange", "city", "CRM_UI"),
        ("contact.deletion", None, "INTEGRATION"),
        ("contact.restore", None, "CRM_UI"),
        ("contact.privacyDeletion", None, "CRM_UI"),
        ("contact.deletion", None, "CRM_UI"),
    ]
    first, named = inbox.events[0], inbox.events[3]
    assert first["sourceId"] == str(simulated.app_id)
    assert (named["sourceId"], named["propertyValue"]) == ("userId:50100001", "Ada")
    assert {event["objectId"] for event in inbox.events} == {int(made)}
    assert {(event["portalId"], event["appId"]) for event in inbox.events} == {(simulated.portal_id, simulated.app_id)}
    assert {event["attemptNumber"] for event in inbox.events} == {0}
    assert first["occurredAt"] == 1_773_144_000_000
    assert (simulated.sent(), simulated.sent("contact.deletion")) == (9, 2)


async def test_a_merge_names_all_three_records(simulated: HubSpotSimulator, inbox: Inbox) -> None:
    kept, gone = simulated.add(email="a@example.com"), simulated.add(email="b@example.com", city="Rome")
    simulated.target_url = inbox.url
    new = simulated.merge(kept, gone)
    await simulated.deliver()
    (merge,) = (event for event in inbox.events if event["subscriptionType"] == "contact.merge")
    assert (merge["primaryObjectId"], merge["mergedObjectIds"], merge["newObjectId"]) == (
        int(kept),
        [int(gone)],
        int(new),
    )
    assert merge["numberOfPropertiesMoved"] == 3


async def test_both_signatures_fit_the_bytes(simulated: HubSpotSimulator, inbox: Inbox) -> None:
    simulated.target_url = inbox.url
    simulated.add(email="ä@example.com", firstname="Ä ☕")
    await simulated.deliver()
    ((headers, body),) = inbox.got
    assert is_genuine(headers, body, simulated.client_secret, inbox.url)
    old = hashlib.sha256(simulated.client_secret.encode() + body).hexdigest()
    assert (headers["X-HubSpot-Signature"], headers["X-HubSpot-Signature-Version"]) == (old, "v1")


async def test_the_address_is_decoded_before_it_is_signed_and_may_lead_elsewhere(
    simulated: HubSpotSimulator, inbox: Inbox
) -> None:
    simulated.tell_to("https://ours.example/webhooks/crm%3Aone%2f%C3%A4?a=%40", route=inbox.url)
    simulated.add(firstname="Ada")
    await simulated.deliver()
    ((headers, body),) = inbox.got
    assert is_genuine(headers, body, simulated.client_secret, "https://ours.example/webhooks/crm:one/%C3%A4?a=@")


async def test_what_is_not_taken_is_sent_again_with_another_number(simulated: HubSpotSimulator, inbox: Inbox) -> None:
    simulated.target_url = inbox.url
    inbox.statuses = [503, 404]
    simulated.add(firstname="Ada")
    assert await simulated.deliver() == 3
    assert [json.loads(body)[0]["attemptNumber"] for _, body in inbox.got] == [0, 1, 2]
    assert (simulated.tally.sent, simulated.tally.redelivered, simulated.tally.acknowledged) == (3, 6, 3)


async def test_what_nobody_takes_is_given_up(inbox: Inbox, clock: FakeClock) -> None:
    plan = PortalPlan(api_failures=0.0, journey=Journey(attempts=3, first_pause=0.0))
    portal = HubSpotSimulator(7, plan, clock)
    with pytest.raises(RuntimeError, match="target_url"):
        await portal.deliver()
    portal.add(firstname="before the app has an address")
    portal.target_url = inbox.url.replace("/webhooks/crm", "/nowhere")
    portal.add(firstname="Ada")
    assert await portal.deliver() == 0
    assert portal.tally.given_up == portal.tally.sent == 3
    assert await portal.deliver() == 0


async def test_some_events_come_twice_out_of_order_or_under_anothers_number(inbox: Inbox, clock: FakeClock) -> None:
    plan = PortalPlan(api_failures=0.0, shared_ids=0.2, journey=Journey(duplicates=0.2, window=10))
    portal = HubSpotSimulator(7, plan, clock)
    portal.target_url = inbox.url
    for number in range(100):
        portal.add(email=f"{number}@example.com")
        clock.advance(1)
    await portal.deliver()
    assert max(len(json.loads(body)) for _, body in inbox.got) == 100
    moments = [event["occurredAt"] for event in inbox.events]
    assert moments != sorted(moments)
    assert portal.tally.duplicates == len(inbox.events) - 300 > 0
    kinds = Counter((event["eventId"], event["subscriptionType"], event.get("propertyName")) for event in inbox.events)
    assert len({id_ for id_, _, _ in kinds}) < len(kinds)


async def test_changes_are_told_as_they_happen(simulated: HubSpotSimulator, inbox: Inbox) -> None:
    simulated.tell_to(inbox.url)
    id_ = simulated.add(email="a@example.com")
    await simulated.deliver()
    simulated.edit(id_, city="Rome")
    await simulated.deliver()
    assert inbox.events[-1]["propertyValue"] == "Rome"


async def test_only_watched_properties_are_told(inbox: Inbox, clock: FakeClock) -> None:
    portal = HubSpotSimulator(7, PortalPlan(watched=frozenset({"email"}), journey=Journey()), clock)
    portal.target_url = inbox.url
    portal.edit(portal.add(email="a@example.com", city="Rome"), city="Oslo")
    await portal.deliver()
    assert [event.get("propertyName") for event in inbox.events] == [None, "email"]


async def test_thousands_of_events_are_told_in_a_moment(simulated: HubSpotSimulator, inbox: Inbox) -> None:
    simulated.target_url = inbox.url
    for number in range(1000):
        simulated.add(email=f"{number}@example.com")
    began = time.perf_counter()
    assert await simulated.deliver() == 3000
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("topic", HubSpotSimulator(1).topics())
def test_a_sample_is_signed_for_the_connection_and_its_address(simulated: HubSpotSimulator, topic: str) -> None:
    simulated.target_url = "https://ours.example/webhooks/crm"
    settings = {"portal_id": 5, "app_id": 6, "webhook_secrets": ["theirs", "older"]}
    request = simulated.sample(topic, settings=settings)
    assert is_genuine(request.headers, request.body, "theirs", simulated.target_url)
    (event,) = json.loads(request.body)
    assert (event["subscriptionType"], event["portalId"], event["appId"]) == (topic, 5, 6)
    assert not simulated.hooks.queue
    assert ("propertyName" in event, "primaryObjectId" in event) == (
        topic == "contact.propertyChange",
        topic == "contact.merge",
    )


def test_no_two_samples_are_about_one_contact_and_unknown_ones_are_refused(simulated: HubSpotSimulator) -> None:
    ids = {json.loads(simulated.sample("contact.creation").body)[0]["objectId"] for _ in range(5)}
    assert {simulated.contact(str(id_)).id for id_ in ids} == ids
    assert len(ids) == 5
    assert simulated.drastic() == {"contact.privacyDeletion", "contact.merge"}
    with pytest.raises(ValueError, match=r"no sample of 'order\.paid'"):
        simulated.sample("order.paid")
    with pytest.raises(ValueError, match="no webhook_secrets"):
        simulated.sample("contact.creation", settings={})


def test_a_webhook_is_signed_anew_for_a_later_attempt(simulated: HubSpotSimulator, clock: FakeClock) -> None:
    request = simulated.sample("contact.creation")
    clock.advance(600)
    again = simulated.renewed(request)
    stamp = "X-HubSpot-Request-Timestamp"
    assert int(again.headers[stamp]) - int(request.headers[stamp]) == 600_000
    assert again.body == request.body
    assert is_genuine(again.headers, again.body, simulated.client_secret, "https://simulated.example/webhooks/hubspot")
    strange = SignedRequest(headers={}, body=b"[]")
    assert simulated.renewed(strange) == strange


def test_no_forgery_is_genuine_and_fresh(simulated: HubSpotSimulator) -> None:
    simulated.target_url = "https://ours.example/webhooks/crm"
    chance = random.Random(1)
    request = simulated.sample("contact.creation")
    now = int(request.headers["X-HubSpot-Request-Timestamp"])
    seen: set[tuple[bool, bool, bool, bool]] = set()
    for _ in range(100):
        forged = simulated.forge(request, chance)
        headers = forged.headers
        fits = is_genuine(headers, forged.body, simulated.client_secret, simulated.target_url)
        late = now - int(headers.get("X-HubSpot-Request-Timestamp", now)) > 300_000
        assert late or not fits
        seen.add((fits, late, "X-HubSpot-Signature-v3" in headers, "X-HubSpot-Signature" in headers))
    assert seen == {
        (True, True, True, True),
        (False, False, True, True),
        (False, False, False, True),
        (False, False, False, False),
    }
    assert CALM.shared_ids == 0
