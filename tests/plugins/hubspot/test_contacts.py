"""Contacts at a simulated portal, over a network: written, found, read, put away and forgotten."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest

from stampcard.plugin import (
    Capabilities,
    ContactGone,
    ContactPage,
    ContactPush,
    Contacts,
    ContactSeen,
    Delivered,
    Delivery,
    Outcome,
    Person,
    Refetch,
    Rejected,
    RetryLater,
    UnverifiedRequest,
    VerifiedRequest,
)
from stampcard_hubspot.calling import CallFailed
from stampcard_hubspot.plugin import connect
from stampcard_hubspot.simulator import HubSpotSimulator


def push(member: str = "m-1", reference: str = "", lists: dict[str, bool] | None = None, **fields: str) -> ContactPush:
    return ContactPush(member=member, reference=reference, version=1, fields=fields, lists=lists or {})


def reference_of(outcome: Outcome) -> str:
    assert isinstance(outcome, Delivered), outcome
    return str(outcome.result["reference"])


@pytest.fixture
def contacts(able: Capabilities) -> Contacts:
    assert able.contacts is not None
    return able.contacts


@pytest.fixture
def seen(able: Capabilities) -> Any:
    """Decode what was read."""

    def decode(*deliveries: Delivery) -> list[Any]:
        assert able.webhook is not None
        return [event for one in deliveries for event in able.webhook.events(one)]

    return decode


#: When the simulated account says that something changed.
NOW = "2026-03-10T12:00:00+00:00"


async def test_a_contact_is_made_and_then_changed(contacts: Contacts, portal: HubSpotSimulator) -> None:
    (made,) = await contacts.write(
        [push(email="Ada@Example.com", loyalty_points="12.50", loyalty_joined_on="2026-01-31")]
    )
    id_ = reference_of(made)
    assert made == Delivered(
        result={
            "reference": id_,
            "fields": {"email": "ada@example.com", "loyalty_points": "12.5", "loyalty_joined_on": "2026-01-31"},
            "changed_at": NOW,
        }
    )
    assert portal.contact(id_).get("loyalty_member_id") == "m-1"
    (changed,) = await contacts.write([push(reference=id_, loyalty_points="", loyalty_tier="gold")])
    shown = {"loyalty_points": "", "loyalty_tier": "gold"}
    assert changed == Delivered(result={"reference": id_, "fields": shown, "changed_at": NOW})
    assert portal.contact(id_).get("loyalty_points") == ""


async def test_a_contact_that_an_earlier_try_made_is_found_by_the_members_id(
    contacts: Contacts, portal: HubSpotSimulator
) -> None:
    portal.fail("batch/upsert", 500, done=True)
    (lost,) = await contacts.write([push(email="ada@example.com")])
    assert isinstance(lost, RetryLater)
    (again,) = await contacts.write([push(email="ada@example.com")])
    assert len(portal.contacts()) == 1
    assert reference_of(again) == str(portal.contacts()[0].id)


async def test_somebody_with_the_same_address_is_told_and_not_written(
    contacts: Contacts, portal: HubSpotSimulator
) -> None:
    other = portal.add(email="ada@example.com")
    outcomes = await contacts.write(
        [push("m-1", email="ada@example.com", loyalty_points="5"), push("m-2", email="b@example.com")]
    )
    assert outcomes[0] == Delivered(result={"reference": other, "found": True})
    assert "fields" in getattr(outcomes[1], "result", {})
    assert portal.contact(other).get("loyalty_points") == ""


async def test_an_address_that_another_contact_has_is_refused_in_words(
    contacts: Contacts, portal: HubSpotSimulator
) -> None:
    one, other = portal.add(email="a@example.com"), portal.add(email="b@example.com")
    (outcome,) = await contacts.write([push(reference=one, email="b@example.com")])
    assert isinstance(outcome, Delivered)
    reason = f"the contact {other} has the same e-mail address: merge the two in HubSpot"
    assert outcome.result["refused"] == {"email": reason}


async def test_of_a_batch_each_has_its_own_outcome(contacts: Contacts, portal: HubSpotSimulator) -> None:
    good, gone = portal.add(email="a@example.com"), portal.add(email="b@example.com")
    portal.delete(gone)
    items = [
        push("m-1", good, loyalty_points="1"),
        push("m-2", gone, loyalty_points="2"),
        push("m-3", portal.add(email="c@example.com"), loyalty_points="ada's own words"),
        push("m-4", email="d@example.com"),
        push("m-5", portal.add(email="e@example.com"), loyalty_points="5"),
    ]
    outcomes = await contacts.write(items)
    assert [type(outcome) for outcome in outcomes] == [Delivered, Rejected, Delivered, Delivered, Delivered]
    assert outcomes[1] == Rejected(reason="the contact is not there any more", gone=True)
    refused = {"loyalty_points": "HubSpot refuses the value of loyalty_points (VALIDATION_ERROR)"}
    assert getattr(outcomes[2], "result", {})["refused"] == refused


async def test_a_contact_that_was_merged_is_written_under_its_new_number(
    contacts: Contacts, portal: HubSpotSimulator
) -> None:
    one, other = portal.add(email="a@example.com"), portal.add(email="b@example.com")
    winner = portal.merge(one, other)
    (outcome,) = await contacts.write([push(reference=other, loyalty_points="7")])
    assert reference_of(outcome) == winner
    assert portal.contact(winner).get("loyalty_points") == "7"


async def test_a_contact_that_stands_twice_is_written_twice(contacts: Contacts, portal: HubSpotSimulator) -> None:
    one = portal.add(email="a@example.com")
    outcomes = await contacts.write([push("m-1", one, loyalty_points="1"), push("m-2", one, loyalty_points="2")])
    assert [reference_of(outcome) for outcome in outcomes] == [one, one]
    assert portal.contact(one).get("loyalty_points") == "2"


async def test_a_hundred_are_one_call(contacts: Contacts, portal: HubSpotSimulator) -> None:
    before = len(portal.calls)
    outcomes = await contacts.write([push(f"m-{number}", email=f"p{number}@example.com") for number in range(100)])
    assert {type(outcome) for outcome in outcomes} == {Delivered}
    assert [call.inputs for call in portal.calls[before:]] == [100]


async def test_lists_are_kept_with_a_call_for_each(contacts: Contacts, portal: HubSpotSimulator) -> None:
    one, other = portal.add(email="a@example.com"), portal.add(email="b@example.com")
    vips = {"Loyalty: VIPs": True}
    outcomes = await contacts.write(
        [push("m-1", one, lists=vips), push("m-2", other, lists=vips), push("m-3", lists=vips)]
    )
    made = reference_of(outcomes[2])
    (list_,) = portal.lists.all.values()
    assert (list_.name, list_.kind) == ("Loyalty: VIPs", "MANUAL")
    assert set(map(str, list_.members)) == {one, other, made}
    changes = [call for call in portal.calls if "add-and-remove" in call.path]
    assert [call.inputs for call in changes] == [3]
    page = await contacts.in_list(str(list_.id))
    assert (set(page.references), page.place) == ({one, other, made}, "")
    await contacts.write([push("m-1", one, lists={"Loyalty: VIPs": False})])
    assert set(map(str, list_.members)) == {other, made}


async def test_a_list_that_fills_itself_is_refused_in_words(contacts: Contacts, portal: HubSpotSimulator) -> None:
    portal.lists.make({"name": "All", "objectTypeId": "0-1", "processingType": "DYNAMIC"})
    (outcome,) = await contacts.write([push(reference=portal.add(email="a@example.com"), lists={"All": True})])
    assert outcome == Rejected(reason="HubSpot itself fills the list All: name a static one in lists")


async def test_a_list_that_was_lost_is_made_anew_by_the_next_try(contacts: Contacts, portal: HubSpotSimulator) -> None:
    one = portal.add(email="a@example.com")
    item = push(reference=one, lists={"VIPs": True})
    await contacts.write([item])
    portal.lists.all.clear()
    await contacts.write([item])
    (again,) = await contacts.write([item])
    assert isinstance(again, Delivered)
    assert list(portal.lists.named("VIPs").members) == [int(one)]  # type: ignore[union-attr]


async def test_people_are_found_by_any_of_their_addresses(
    contacts: Contacts, portal: HubSpotSimulator, seen: Any
) -> None:
    first = portal.add(email="ada@example.com", hs_additional_emails="work@example.com")
    second = portal.add(email="b@example.com", phone="+4930123")
    third = portal.add(mobilephone="+4930124")
    people = [
        Person(member="m-1", emails=("ADA@example.com", "work@example.com")),
        Person(member="m-2", emails=("work@example.com",)),
        Person(member="m-3", emails=("nobody@example.com",), phones=("+4930123",)),
        Person(member="m-4", phones=("+4930124", "+4930123")),
        Person(member="m-5", emails=("nobody@example.com",)),
        Person(member="m-6"),
    ]
    found = await contacts.find(people)
    told = [[one.reference for one in seen(*deliveries)] for deliveries in found]
    assert told == [[first], [first], [second], [third, second], [], []]
    assert await contacts.find([]) == []


async def test_each_page_of_changes_is_a_search_anew(
    contacts: Contacts, portal: HubSpotSimulator, seen: Any, monkeypatch: pytest.MonkeyPatch, hurried: Any
) -> None:
    """What is changed meanwhile moves nobody out of it, and none is lost to the cap of a search."""
    monkeypatch.setattr("stampcard_hubspot.reading.Reader.searched.__defaults__", (2,))
    portal.add(email="old@example.com")
    hurried.advance(60)
    since = hurried.now()
    ids = [portal.add(email=f"p{number}@example.com") for number in range(5)]
    found: list[str] = []
    page = ContactPage(place="")
    for turn in range(9):
        page = await contacts.changed(since, page.place)
        found += [one.reference for one in seen(*page.deliveries)]
        if turn == 0:
            hurried.advance(1)
            portal.edit(ids[4], firstname="Ada")
        if not page.place:
            break
    assert found == ids
    assert (await contacts.changed(since + timedelta(hours=1))).deliveries == ()


async def test_all_contacts_are_read_and_counted(contacts: Contacts, portal: HubSpotSimulator, seen: Any) -> None:
    ids = [portal.add(email=f"p{number}@example.com") for number in range(130)]
    found: list[str] = []
    place = ""
    while True:
        page = await contacts.read(place)
        found += [one.reference for one in seen(*page.deliveries)]
        place = page.place
        if not place:
            break
    assert found == ids
    assert await contacts.count() == 130


async def test_what_is_the_same_has_the_same_key(contacts: Contacts, portal: HubSpotSimulator, hurried: Any) -> None:
    id_ = portal.add(email="ada@example.com")
    (first,) = (await contacts.read()).deliveries
    hurried.advance(5)
    (again,) = (await contacts.read()).deliveries
    assert first.key == again.key
    assert first.key.startswith(f"contact:{id_}:2026-03-10T12:00:00.000Z:")
    assert (first.topic, first.connection, again.read_at - first.read_at) == ("contact", "crm", 5_000_000)
    portal.edit(id_, firstname="Ada")
    (changed,) = (await contacts.read()).deliveries
    assert changed.key != first.key


async def test_reading_in_the_background_leaves_most_of_the_quota(
    contacts: Contacts, portal: HubSpotSimulator, hurried: Any
) -> None:
    portal.add(email="ada@example.com")
    before = hurried.now()
    for _ in range(100):
        await contacts.read()
    # 190 calls in ten seconds are allowed, of which a fifth is used.
    assert hurried.now() - before >= timedelta(seconds=20)


async def test_somebody_is_put_away_and_comes_back(contacts: Contacts, portal: HubSpotSimulator) -> None:
    one = portal.add(email="a@example.com")
    assert await contacts.remove([one, one, "99"]) == [Delivered()] * 3
    assert portal.contact(one).archived
    portal.restore(one)
    portal.fail("archive", 503)
    assert await contacts.remove([one]) == [RetryLater(reason="HubSpot answered 503")]


async def test_somebody_is_forgotten_by_number_and_nobody_is_blocked(
    contacts: Contacts, portal: HubSpotSimulator
) -> None:
    one = portal.add(email="a@example.com")
    assert await contacts.erase([one, one, "99"]) == [Delivered()] * 3
    assert portal.contacts() == []
    portal.add(email="a@example.com")
    portal.fail("gdpr-delete", 429, retry_after=9)
    assert await contacts.erase(["5"]) == [RetryLater(reason="HubSpot answered 429 (RATE_LIMITS)", after=9)]


async def test_a_contact_is_fetched_as_it_is_now(able: Capabilities, portal: HubSpotSimulator, seen: Any) -> None:
    assert able.fetch is not None
    here, gone, away = (portal.add(email=f"{name}@example.com") for name in "abc")
    portal.delete(gone)
    portal.forget(away)
    refs = [Refetch(kind="contact", reference=one) for one in (here, gone, away, here, "x", "99")]
    events = seen(*await able.fetch([*refs, Refetch(kind="order", reference=here)]))
    assert [(type(event), event.reference) for event in events] == [
        (ContactSeen, here),
        (ContactGone, gone),
        (ContactGone, away),
        (ContactGone, "99"),
    ]


async def test_who_was_merged_is_fetched_as_who_they_are_now(
    able: Capabilities, portal: HubSpotSimulator, seen: Any
) -> None:
    assert able.fetch is not None
    one, other = portal.add(email="a@example.com"), portal.add(email="b@example.com")
    winner = portal.merge(one, other)
    (event,) = seen(*await able.fetch([Refetch(kind="contact", reference=id_) for id_ in (other, one)]))
    assert (type(event), event.reference) == (ContactSeen, winner)
    assert set(event.emails) == {"a@example.com", "b@example.com"}


async def test_a_portal_that_is_down_is_no_gone_contact(able: Capabilities, portal: HubSpotSimulator) -> None:
    assert able.fetch is not None
    for status in (404, 500, 503):
        portal.fail("batch/read", status)
        with pytest.raises(CallFailed):
            await able.fetch([Refetch(kind="contact", reference="5")])


async def test_what_hubspot_cannot_give_now_is_no_gone_contact(connection: Any) -> None:
    def play(_: httpx.Request) -> httpx.Response:
        errors = [{"category": "INTERNAL_ERROR", "context": {"ids": ["5"]}}]
        return httpx.Response(207, json={"results": [], "numErrors": 1, "errors": errors})

    able = await connect(connection(play=play))
    assert able.fetch is not None
    with pytest.raises(CallFailed, match="does not give every contact"):
        await able.fetch([Refetch(kind="contact", reference="5")])


async def test_a_list_that_somebody_else_makes_meanwhile_is_taken(contacts: Contacts, portal: HubSpotSimulator) -> None:
    one, list_id = portal.add(email="a@example.com"), portal.people.make_list("VIPs")
    portal.fail("/name/", 404)
    (outcome,) = await contacts.write([push(reference=one, lists={"VIPs": True})])
    assert isinstance(outcome, Delivered)
    assert portal.people.list_members(list_id) == [one]


async def test_a_language_is_written_as_hubspot_writes_it(contacts: Contacts, portal: HubSpotSimulator) -> None:
    one = portal.add(email="a@example.com")
    (outcome,) = await contacts.write([push(reference=one, hs_language="en_GB")])
    assert outcome == Delivered(result={"reference": one, "fields": {"hs_language": "en-gb"}, "changed_at": NOW})


async def test_what_we_show_is_taken_away(able: Capabilities, portal: HubSpotSimulator) -> None:
    assert able.contacts is not None
    assert able.clean is not None
    (made,) = await able.contacts.write([push(email="a@example.com", loyalty_points="5", loyalty_tier="gold")])
    one, gone = reference_of(made), portal.add(email="b@example.com")
    portal.delete(gone)
    portal.schema.properties.pop("loyalty_orders")
    assert await able.clean.clean([one, gone]) == [Delivered(), Delivered()]
    contact = portal.contact(one)
    assert not any(contact.get(name) for name in portal.schema.properties if name.startswith("loyalty_"))
    assert contact.get("email") == "a@example.com"
    assert "stay" in able.clean.what
    portal.fail("properties", 503)
    assert await able.clean.clean([one]) == [RetryLater(reason="HubSpot answered 503")]


async def test_a_webhook_leads_to_what_is_there(able: Capabilities, portal: HubSpotSimulator, seen: Any) -> None:
    """Signed by the simulator, verified, decoded and fetched."""
    assert able.webhook is not None
    assert able.fetch is not None
    for topic in portal.topics():
        sample = portal.sample(topic)
        headers = {name.lower(): value for name, value in sample.headers.items()}
        url = portal.target_url or "https://simulated.example/webhooks/hubspot"
        request = UnverifiedRequest(url=url, headers=headers, body=sample.body, received_at=portal.clock.now())
        verified = able.webhook.verify(request)
        assert isinstance(verified, VerifiedRequest)
        assert verified.topic == topic
        delivery = Delivery(connection="crm", key="k", topic=topic, body=sample.body, received_at=portal.clock.now())
        assert seen(delivery) or topic == "contact.propertyChange"
