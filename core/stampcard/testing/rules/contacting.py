from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import httpx
import pytest

from stampcard.domain.value import replace
from stampcard.plugin import (
    ContactGone,
    ContactPage,
    ContactPush,
    Contacts,
    ContactSeen,
    Delivered,
    Delivery,
    Outcome,
    Person,
    PluginError,
    Rejected,
    RetryLater,
    Unknown,
)
from stampcard.testing.clock import NOON
from stampcard.testing.rules.case import CONNECTION, Case, Vendor, Visit
from stampcard.testing.rules.delivering import GARBAGE, HTML, LONGEST, LOST, UNSENT
from stampcard.testing.rules.knowing import answering, raising
from stampcard.testing.rules.recalling import MANY

#: Statuses of a vendor that is in trouble, or has too much to do.
_BUSY = (429, 500, 502, 503, 504)
STRANGER = Person(member="m_stranger", emails=("nobody@nowhere.example",), phones=("+15550100",))


class ContactingRules(Case):
    """What the plugin tells of a CRM's contacts, and how it changes them."""

    def test_the_map_shows_the_members_id_in_a_field_of_its_own(self) -> None:
        """The map has the member's id in one field, which is unique there; none of theirs shows two of ours, and all are read."""
        contacts, settings = self.crm()
        pairs = settings.pairs(contacts.defaults)
        ids = [pair for pair in pairs if pair.ours == "member_id"]
        assert [pair.unique for pair in ids] == [True], f"contacts are found by the member's id: {ids}"
        theirs = [pair.theirs for pair in pairs]
        twice = sorted({name for name in theirs if theirs.count(name) > 1})
        assert twice == [], "a field of theirs shows two of ours"
        assert set(theirs) <= set(settings.to_read(contacts.defaults)), "a field of the map is not read"

    def test_each_contact_that_is_shown_is_told_at_its_place(self) -> None:
        """When the vendor is well, each item of a batch of any allowed size is Delivered, with its contact and what that shows."""
        contacts, settings = self.crm()
        (member,) = (pair.theirs for pair in settings.pairs(contacts.defaults) if pair.ours == "member_id")
        for count in sorted({1, contacts.batch_size}):
            for step in (1, 2, count + 1):  # all of them are known, every other one, none
                items = [self.contact(number, number % step == step - 1) for number in range(count)]
                outcomes = self._change("write", items, self.vendor)
                for item, outcome in zip(items, outcomes, strict=True):
                    _check_shown(item, outcome, member)
                references = {getattr(outcome, "result", {})["reference"] for outcome in outcomes}
                assert len(references) == count, "two members are told to have one contact"

    def test_a_contact_that_is_refused_is_alone_in_that(self) -> None:
        """A contact that the vendor refuses is Rejected at its own place, with words for people, and the others are Delivered."""
        count = min(3, self.crm()[0].batch_size)
        if not self.unfit_reference:
            pytest.skip("the vendor refuses no reference")
        for place in range(count):
            items = [self.contact(number) for number in range(count)]
            items[place] = replace(items[place], reference=self.unfit_reference)
            outcomes = self._change("write", items, self.vendor)
            expected = [Rejected if position == place else Delivered for position in range(count)]
            assert [type(outcome) for outcome in outcomes] == expected, f"write: {outcomes}"
            assert getattr(outcomes[place], "reason", ""), "say why it is refused"

    def test_whoever_is_gone_already_is_put_away_and_forgotten(self) -> None:
        """To put away or to forget a contact that is gone already is Delivered, alone and among others."""
        (contacts, _), gone, there = self.crm(), self.gone_reference, self.contact(0).reference
        if not gone:
            pytest.skip("the vendor plays no contact that is gone: gone_reference")
        for name in ("remove", "erase"):
            for references in ([gone], [there, gone][: contacts.batch_size]):
                outcomes = self._change(name, references, self.vendor)
                assert [type(outcome) for outcome in outcomes] == [Delivered] * len(references), f"{name}: {outcomes}"

    def test_a_vendor_in_trouble_shows_nobody(self) -> None:
        """While the vendor is in trouble, whatever is written, put away or forgotten is RetryLater or Unknown, for each."""
        changes = list(self._changes())
        for vendor in self._crm_troubles(garbage=self.success_is_in_the_body):
            for name, things in changes:
                for outcome in self._change(name, things, vendor):
                    assert isinstance(outcome, (RetryLater, Unknown)), f"{name}: {outcome!r:.300}"
                    assert len(outcome.reason) <= LONGEST, f"{name}: a reason of more than {LONGEST} letters"
                    self._check_hidden(name, outcome.reason)

    def test_a_vendor_in_trouble_tells_of_no_contact(self) -> None:
        """While the vendor is in trouble, whatever asks it raises a PluginError: no contact is made up, and none left out."""
        self.crm()
        for vendor in self._crm_troubles():
            for name, told in self.run(self._asked_of(vendor)).items():
                assert isinstance(told, PluginError), f"{name} answers {told!r:.300} from a vendor in trouble"
                self._check_hidden(name, str(told))

    def test_contacts_are_read_to_an_end_under_keys_that_stay(self) -> None:
        """Each place brings the same contacts under the same keys however often it is read, and leads to another or the end."""
        self.crm()
        keys = self.run(self._read_contacts_twice("read"))
        assert keys, "the vendor has no contact, so that nothing is tried"
        assert len(set(keys)) == len(keys), f"two contacts have one key: {sorted(keys)}"
        self.run(self._read_contacts_twice("changed"))

    def test_each_person_is_looked_for_at_their_place(self) -> None:
        """There are as many answers as people, in their order; for whoever has no contact it is an empty one."""
        self.crm()
        people = [*self.people, STRANGER]
        alone = [self._find([person])[0] for person in people]
        assert all(alone[:-1]), "somebody who has a contact is not found"
        assert alone[-1] == [], "a stranger is found"
        for asked, expected in ((people, alone), (people[::-1], alone[::-1]), ([], [])):
            assert self._find(asked) == expected, "together they are found otherwise than alone"

    def test_what_is_prepared_is_made_once(self) -> None:
        """What is missing is made, and told in words; nothing is made when it is prepared again."""
        contacts, settings = self.crm()
        if not self.remembers:
            pytest.skip("the vendor does not remember what was made: remembers")
        first, again = self.run(self._prepared()), self.run(self._prepared())
        needed = any(pair.made for pair in settings.pairs(contacts.defaults))
        assert first or not needed, "nothing is told to be made, although the vendor has none of the fields yet"
        assert all(isinstance(word, str) and word for word in first), f"what was made is told in words: {first}"
        assert again == [], "something is made anew"

    def _change(self, name: str, things: Sequence[Any], vendor: Vendor) -> list[Outcome]:
        """Write, put away or forget, and check that each has an outcome."""

        async def change() -> Sequence[Outcome]:
            async with self.visiting(vendor) as visit:
                try:
                    return await getattr(_contacts(visit), name)(things)  # type: ignore[no-any-return]
                except Exception as error:  # noqa: BLE001 - that is the finding
                    pytest.fail(f"{name} raised {type(error).__name__}: {error}")

        outcomes = list(self.run(change()))
        assert all(isinstance(outcome, Outcome) for outcome in outcomes), f"{name}: {outcomes}"
        assert len(outcomes) == len(things), f"{name}: one outcome for each"
        return outcomes

    def _changes(self) -> Iterator[tuple[str, Sequence[Any]]]:
        most = self.crm()[0].batch_size
        for known in (True, False):
            yield "write", [self.contact(number, known) for number in range(2)][:most]
        for name in ("remove", "erase"):
            yield name, [self.contact(number).reference for number in range(2)][:most]

    def _crm_troubles(self, *, garbage: bool = True) -> Iterator[Vendor]:
        """Every way to fail; the last ones repeat what they must not know."""
        yield from map(answering, GARBAGE if garbage else ())
        yield from map(raising, (*LOST, *UNSENT))
        yield from (_failing(status, HTML) for status in _BUSY)
        secret = " ".join((*self.secrets, *self.credentials))
        yield from (_failing(status, secret) for status in (200, *_BUSY) if garbage or status != httpx.codes.OK)

    async def _asked_of(self, vendor: Vendor) -> Mapping[str, Any]:
        """What is told by whatever asks the vendor, or the error that it raises."""
        told: dict[str, Any] = {}
        async with self.visiting(vendor) as visit:
            for name, ask in self._asks(visit).items():
                before = len(visit.requests)
                try:
                    answer = await ask()
                except Exception as error:  # noqa: BLE001 - which one it is decides
                    told[name] = error
                else:
                    # Not every vendor has lists, or says how many contacts there are: what asks nothing meets no trouble.
                    told |= {name: answer} if len(visit.requests) > before else {}
        return told

    def _asks(self, visit: Visit) -> Mapping[str, Callable[[], Awaitable[Any]]]:
        contacts = _contacts(visit)
        return {
            "prepare": partial(_prepare, visit),
            "find": partial(contacts.find, [*self.people, STRANGER]),
            "changed": partial(contacts.changed, NOON),
            "read": contacts.read,
            "count": contacts.count,
            "in_list": partial(contacts.in_list, "1"),
        }

    async def _read_contacts_twice(self, name: str) -> list[str]:
        """The keys of all contacts, of which each page was read twice."""
        async with self.visiting() as visit:
            contacts, keys = _contacts(visit), list[str]()
            read: Callable[[str], Awaitable[ContactPage]]
            read = contacts.read if name == "read" else partial(contacts.changed, NOON)
            place, places = "", set[str]()
            for _ in range(MANY):
                first, second = await read(place), await read(place)
                assert _content(first) == _content(second), f"{name}: {place!r} brings others when it is read again"
                keys += [self._check_read(visit, delivery) for delivery in first.deliveries]
                places.add(place)
                if not first.place:
                    return keys
                assert first.place not in places, f"{name}: {place!r} leads back to {first.place!r}"
                await visit.clock.sleep(contacts.pace())
                place = first.place
        pytest.fail(f"{name} has no end: {MANY} pages were read")

    def _find(self, people: Sequence[Person]) -> list[list[str]]:
        """The keys of the contacts of each, which are checked."""

        async def find() -> list[list[str]]:
            async with self.visiting() as visit:
                found = await _contacts(visit).find(people)
                return [[self._check_read(visit, delivery) for delivery in each] for each in found]

        keys = self.run(find())
        assert len(keys) == len(people), "there is one answer for each person"
        return keys

    async def _prepared(self) -> list[str]:
        async with self.visiting() as visit:
            return list(await _prepare(visit))

    def _check_read(self, visit: Visit, delivery: Delivery) -> str:
        """The key of a contact that was read, which is fit to be decoded."""
        assert delivery.key, "what is read has a key"
        assert delivery.connection == CONNECTION, "a contact that was read is of another connection"
        assert delivery.read_at > 0, "a contact does not say when it was read: read_at"
        assert delivery.topic in self.fetched, f"{delivery.topic!r} is not among the topics that are fetched"
        assert visit.capabilities.webhook is not None
        events = list(visit.capabilities.webhook.events(delivery))
        assert len(events) == 1, f"one contact is one event: {events}"
        assert isinstance(events[0], ContactSeen | ContactGone), f"a contact is seen, or gone: {events}"
        return delivery.key

    def _check_hidden(self, name: str, text: str) -> None:
        for secret in (*self.secrets, *self.credentials):
            assert secret not in text, f"{name} shows a secret"


def _contacts(visit: Visit) -> Contacts:
    assert visit.capabilities.contacts is not None
    return visit.capabilities.contacts


async def _prepare(visit: Visit) -> Sequence[str]:
    contacts, settings = _contacts(visit), visit.settings
    return await contacts.prepare(settings.pairs(contacts.defaults))  # type: ignore[union-attr]


def _check_shown(item: ContactPush, outcome: Outcome, member: str) -> None:
    """The outcome names the item's contact, and shows no other's fields; `member` has our id there."""
    assert isinstance(outcome, Delivered), f"write: {outcome}"
    reference, fields = outcome.result.get("reference"), outcome.result.get("fields")
    assert isinstance(reference, str), f"the contact's reference is a text: {outcome}"
    assert reference, f"the contact has a reference: {outcome}"
    assert item.reference in {"", reference}, f"{item.reference} was written, and {reference} is told"
    assert isinstance(fields, Mapping), f"say what the fields show now: {outcome}"
    assert all(isinstance(text, str) for both in fields.items() for text in both), f"fields are texts: {fields}"
    shown, sent = fields.get(member), item.fields.get(member)
    assert None in {shown, sent} or shown == sent, f"{sent} was written, and {shown} is shown"


def _content(page: ContactPage) -> tuple[Any, ...]:
    return page.place, [(one.key, one.topic, one.body) for one in page.deliveries]


def _failing(status: int, text: str) -> Vendor:
    return lambda _: httpx.Response(status, text=text)
