"""Members are shown at a CRM in memory: only what is new leaves, who has no contact is looked for, then made once."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from tests.core.crms import Book, Desk, connected, crm
from tests.databases import on_sqlite

from stampcard.applying.consenting import record_consent
from stampcard.applying.linking import part
from stampcard.applying.merging import merge
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.calling.leases import Lease
from stampcard.calling.lines import Line
from stampcard.domain.consents import Consent
from stampcard.host.contacts import ContactSink
from stampcard.inbox.fetching import Fetcher
from stampcard.outbox.contacting import Contacting
from stampcard.plugin import Delivered, Outcome, PluginError, Rejected, RetryLater, Unknown
from stampcard.storage.contacts import forget_connection
from stampcard.storage.database import Database
from stampcard.storage.pushing import owe
from stampcard.storage.tables import contact, identity, push, segment_member
from stampcard.testing.applying import rows


class Showing(Desk):
    """A merchant whose members are shown in a book; time passes only here."""

    def __init__(self, database: Database, setting: Setting, *, batch_size: int = 100, **settings: Any) -> None:
        super().__init__(database, setting, crm(**settings))
        self.book = Book(self.clock, batch_size=batch_size)
        connection = connected(self.book, **settings)
        self.connections = {"crm": connection}
        line = Line("crm", ContactSink(self.book))
        self.contacting = Contacting(database, self.clock, line, connection, lambda: self.setting, lambda: None)
        self.fetcher = Fetcher(database, self.clock, "me", connection, lambda: self.setting, lambda: None)

    async def sends(self) -> list[Outcome]:
        """One batch, if one is due; then whatever follows of it here."""
        self.clock.advance(timedelta(seconds=10))
        token = await Lease(self.database, self.clock, "main", "lease", "me").hold()
        assert token is not None
        batch = await self.contacting.due()
        outcomes = await self.contacting.send(batch, "lease", token) if batch else []
        self.contacting.release(batch)
        while await self.fetcher.fetch_once():
            pass
        self.hears_itself()
        return outcomes

    async def settles(self) -> None:
        """Until nothing is due any more; it must come to rest."""
        for _ in range(12):
            await self.sends()
            if not self.due():
                return
        pytest.fail(f"it does not come to rest: {self.book.calls}")

    def due(self) -> dict[str, Any]:
        """Member → what waits, as far as it was not given up."""
        found = rows(self.database, select(push).where(push.c.wanted > push.c.sent, push.c.kind == "contact"))
        return {row.member: row.error for row in found if not row.dead}

    def dead(self) -> dict[str, str]:
        found = rows(self.database, select(push).where(push.c.dead == 1))
        return {row.member: row.error for row in found}

    def told_of(self, reference: str) -> None:
        """The CRM's own news of a contact, as the poller takes them in."""
        from stampcard.storage.inboxing import take_in

        setting, news = self.setting, [self.book.delivery(reference)]
        self.database.write_now(lambda c: take_in(c, "main", news, setting.sealer, setting.numbering))
        self.hears_itself()

    def into(self, segment: str, member: str) -> None:
        known = {column.name for column in segment_member.c}
        row = {"merchant": "main", "member": member, "program": "main", "segment": segment, "since": 0}
        self.database.write_now(
            lambda c: c.execute(insert(segment_member), [{k: v for k, v in row.items() if k in known}])
        )


def merged(unit: Unit, source: str, target: str) -> str:
    return merge(unit, source, target, by="me").id


Opening = Callable[..., Showing]


@pytest.fixture
def desk(database: Database, setting: Setting) -> Opening:
    def make(**settings: Any) -> Showing:
        return Showing(database, setting, **settings)

    return make


@on_sqlite
async def test_who_has_no_contact_is_looked_for_and_then_made_with_all_that_is_known(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example", first_name="Ann")
    now.buys("A", 30, customer="1")
    await now.settles()
    assert now.book.people == {
        "N1": {
            "email": "ann@shop.example", "firstname": "Ann", "loyalty_id": ann, "loyalty_points": "30",
        }
    }  # fmt: skip
    assert [call[0] for call in now.book.called("find", "write")] == ["find", "write"]
    known = now.known("N1")
    assert (known.state, known.member, known.made, known.owed) == ("linked", ann, "there", [])
    now.told_of("N1")
    await now.settles()
    assert now.book.called("find", "write") == [], "what we wrote ourselves is no news"
    assert now.said() == []


@on_sqlite
async def test_where_there_is_nothing_to_say_nobody_is_called(desk: Opening) -> None:
    now = desk()
    now.customer("1", email="ann@shop.example")
    await now.settles()
    now.book.called()
    now.customer("1", email="ann@shop.example", colour="red")  # which the CRM does not show
    assert now.due() == {}
    now.database.write_now(lambda c: owe(c, "main", "crm", "contact", [now.member("1")], now.clock.now()))
    assert now.due() != {}
    await now.settles()
    assert now.book.called() == []


@on_sqlite
async def test_only_what_changed_leaves(desk: Opening) -> None:
    now = desk(fields={"first_name": {"field": "firstname", "owner": "ours"}})
    now.customer("1", email="ann@shop.example", first_name="Ann")
    await now.settles()
    now.book.written = []
    now.buys("A", 10, customer="1")
    await now.settles()
    now.customer("1", email="ann@shop.example", first_name="Anna")
    await now.settles()
    now.customer("1", email="anna@shop.example", first_name="Anna")
    await now.settles()
    assert [dict(one.fields) for one in now.book.written] == [
        {"loyalty_points": "10"},
        {"firstname": "Anna"},
        {"email": "anna@shop.example"},
    ]
    assert {one.reference for one in now.book.written} == {"N1"}


@on_sqlite
async def test_who_is_found_there_is_read_and_linked_before_anything_is_written(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example", first_name="Ann", phone="+4930123456")
    now.book.add("C1", "ann@shop.example", firstname="Augusta")
    await now.sends()
    assert [call[0] for call in now.book.called()] == ["find"]
    assert (now.known("C1").state, now.known("C1").member, now.known("C1").made) == ("linked", ann, "")
    await now.settles()
    assert now.person(ann).attributes["first_name"] == "Augusta"
    assert now.book.people["C1"]["loyalty_id"] == ann
    assert now.book.people["C1"]["phone"] == "+4930123456"
    assert list(now.book.people) == ["C1"]


@on_sqlite
async def test_what_they_may_have_changed_too_is_read_first(desk: Opening) -> None:
    now = desk(fields={"first_name": {"field": "firstname", "owner": "newest"}})
    ann = now.customer("1", email="ann@shop.example", first_name="Ann")
    await now.settles()
    now.book.written = []
    now.customer("1", email="ann@shop.example", first_name="Anna")
    now.clock.advance(timedelta(seconds=1))
    now.book.edit("N1", firstname="Theirs")  # nobody has told us
    await now.settles()
    assert now.person(ann).attributes["first_name"] == "Theirs"
    assert now.book.people["N1"]["firstname"] == "Theirs"
    now.customer("1", email="ann@shop.example", first_name="Ours")
    await now.settles()
    assert now.book.people["N1"]["firstname"] == "Ours"
    assert [dict(one.fields) for one in now.book.written] == [{"firstname": "Ours"}]


@on_sqlite
async def test_a_no_is_said_at_once_and_a_yes_only_after_a_look(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")

    async def says(state: Any) -> None:
        now.clock.advance(timedelta(seconds=1))
        at = now.clock.now()
        said = Consent(channel="email", purpose="marketing", state=state, at=at, recorded_at=at)
        now.does(lambda unit: record_consent(unit, ann, said))
        now.book.called()
        await now.settles()

    await now.settles()
    await says("given")
    assert now.book.people["N1"]["newsletter"] == "true"
    await says("withdrawn")
    assert [call[0] for call in now.book.called("fetch", "write")] == ["write"]
    assert now.book.people["N1"]["newsletter"] == "false"
    await says("given")
    assert [call[0] for call in now.book.called("fetch", "write")] == ["fetch"]
    assert (now.book.people["N1"]["newsletter"], now.consents(ann)) == ("false", {"email.marketing": "withdrawn"})
    assert now.said() == [("consent.email.marketing", "true", "false", "most_restrictive", "theirs")]
    now.clock.advance(timedelta(seconds=1))
    now.book.edit("N1", newsletter="true")
    now.told_of("N1")
    assert now.consents(ann) == {"email.marketing": "withdrawn"}
    await now.settles()
    assert now.book.people["N1"]["newsletter"] == "false"


async def test_a_contact_is_made_once_also_when_the_answer_was_lost(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    now.book.outcomes = [Unknown(reason="no answer within 25 s")]
    await now.sends()
    assert now.due() == {ann: "no answer within 25 s"}
    assert now.find("N1") is None
    await now.settles()
    assert (list(now.book.people), now.known("N1").member) == (["N1"], ann)


@on_sqlite
async def test_a_contact_in_the_way_is_read_and_linked_where_it_is_theirs(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    now.book.add("C1", "ann@shop.example")
    find = now.book.find
    now.book.find = lambda people: asyncio.sleep(0, [[] for _ in people])  # type: ignore[method-assign] # its search is behind
    await now.sends()
    assert now.known("C1").member == ann
    now.book.find = find  # type: ignore[method-assign] # as before
    await now.settles()
    assert now.book.people["C1"]["loyalty_id"] == ann


@on_sqlite
async def test_a_contact_in_the_way_that_is_anothers_is_given_up_with_the_reason(desk: Opening) -> None:
    now = desk()
    ann, ben = now.customer("1", email="ann@shop.example"), now.customer("2")
    now.book.add("C1", "ann@shop.example", loyalty_id=ben)
    now.told_of("C1")
    assert now.known("C1").member == ben
    await now.settles()
    reason = "the contact C1 has the same address and is another's, or nobody's yet"
    assert now.dead() == {ann: reason}
    assert list(now.book.people) == ["C1"]


@on_sqlite
async def test_a_contact_that_is_found_and_stays_nobodys_does_not_keep_anybody_busy_for_ever(desk: Opening) -> None:
    now = desk(match="phone")
    ann = now.customer("1", email="ann@shop.example")
    now.book.add("C1", "ann@shop.example")
    now.told_of("C1")
    assert now.known("C1").why == "nobody"
    await now.settles()
    assert ann in now.dead()
    assert "C1 has the same address" in now.dead()[ann]


@on_sqlite
async def test_a_search_that_finds_whom_we_do_not_match_makes_a_contact_in_the_end(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", phone="+4930123456")
    now.book.add("C1", "else@shop.example", phone="030 123456")
    find = now.book.find

    async def vaguely(people: Any) -> Any:
        await find(people)
        return [[now.book.delivery("C1")] for _ in people]

    now.book.find = vaguely  # type: ignore[method-assign] # as vendors search who know numbers in many forms
    for _ in range(12):
        await now.sends()
        now.clock.advance(timedelta(hours=12))
    assert (now.due(), now.dead()) == ({}, {})
    assert now.known("N2").member == ann


@on_sqlite
async def test_nobody_found_becomes_doubtful_and_gets_no_other_contact(desk: Opening) -> None:
    now = desk()
    now.book.add("C1", "ann@shop.example")
    now.told_of("C1")
    assert now.known("C1").why == "nobody"
    ann = now.customer("1", verified=False, email="ann@shop.example")
    await now.settles()
    assert (now.known("C1").state, now.candidates("C1")) == ("doubtful", [ann])
    assert now.book.called("write") == []
    assert now.dead() == {}


@on_sqlite
async def test_whoever_was_forgotten_and_found_as_before_is_taken_in_again(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    now.book.add("C1", "ann@shop.example")
    await now.sends()
    assert now.known("C1").member == ann
    now.database.write_now(lambda c: forget_connection(c, "main", "crm"))
    now.database.write_now(lambda c: c.execute(delete(identity).where(identity.c.connection == "crm")))
    now.buys("A", 10, customer="1")
    await now.settles()
    assert now.known("C1").member == ann
    assert now.book.people["C1"]["loyalty_points"] == "10"


@on_sqlite
async def test_a_contact_that_is_gone_there_is_noted_and_no_other_is_made(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    await now.settles()
    now.book.archived.add("N1")
    now.buys("A", 10, customer="1")
    await now.settles()
    assert (now.known("N1").state, now.known("N1").member, now.dead()) == ("gone", ann, {})
    now.book.called()
    now.buys("B", 10, customer="1")
    await now.settles()
    assert now.book.called() == []


@on_sqlite
async def test_a_change_during_the_call_leaves_the_row_due(desk: Opening) -> None:
    now = desk()
    now.customer("1", email="ann@shop.example")
    await now.settles()
    now.buys("A", 10, customer="1")
    now.book.meanwhile = lambda: now.buys("B", 5, customer="1")
    await now.sends()
    assert now.book.people["N1"]["loyalty_points"] == "10"
    assert len(now.due()) == 1
    await now.settles()
    assert now.book.people["N1"]["loyalty_points"] == "15"


async def test_more_than_a_batch_leaves_in_batches(desk: Opening) -> None:
    now = desk(batch_size=3)
    people = [now.customer(str(number), email=f"m{number}@shop.example") for number in range(7)]
    await now.settles()
    assert [call[1] for call in now.book.called("write")] == [3, 3, 1]
    assert sorted(one["loyalty_id"] for one in now.book.people.values()) == sorted(people)
    for number in range(7):
        now.buys(f"O{number}", 10, customer=str(number))
    await now.settles()
    assert [call[1] for call in now.book.called("write")] == [3, 3, 1]


@on_sqlite
async def test_whoever_has_two_contacts_is_shown_at_both_and_no_batch_is_larger_for_it(desk: Opening) -> None:
    now = desk(batch_size=3)
    people = [now.customer(str(number), email=f"m{number}@shop.example") for number in range(4)]
    await now.settles()
    for source, target in ((people[1], people[0]), (people[3], people[2])):
        now.does(partial(merged, source=source, target=target))
    await now.settles()
    now.book.called()
    for number in (0, 2):
        now.buys(f"O{number}", 10, customer=str(number))
    await now.settles()
    assert [one["loyalty_points"] for one in now.book.people.values()] == ["10"] * 4
    assert max(call[1] for call in now.book.called("write")) <= 3


@on_sqlite
async def test_lists_are_joined_and_left(desk: Opening) -> None:
    now = desk(lists={"friends": "Our friends"})
    ann, ben = now.customer("1", email="ann@shop.example"), now.customer("2", email="ben@shop.example")
    now.into("friends", ann)
    await now.settles()
    of = {one["loyalty_id"]: reference for reference, one in now.book.people.items()}
    assert now.book.lists == {"Our friends": {of[ann]}}
    now.into("friends", ben)
    now.database.write_now(lambda c: c.execute(segment_member.delete().where(segment_member.c.member == ann)))
    for number in ("1", "2"):
        now.buys(number, 1, customer=number)
    now.book.written = []
    await now.settles()
    assert now.book.lists == {"Our friends": {of[ben]}}
    assert {one.member: dict(one.lists) for one in now.book.written} == {
        ann: {"Our friends": False},
        ben: {"Our friends": True},
    }
    now.buys("3", 1, customer="1")
    now.book.written = []
    await now.settles()
    assert [dict(one.lists) for one in now.book.written] == [{}]


@on_sqlite
async def test_doubtful_and_parted_people_get_no_contact(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", verified=False, email="ann@shop.example")
    now.book.add("C1", "ann@shop.example")
    now.told_of("C1")
    assert now.candidates("C1") == [ann]
    ben = now.customer("2", email="ben@shop.example")
    await now.settles()
    assert now.known("N2").member == ben
    now.does(lambda unit: part(unit, ("crm", "N2")).reference)
    now.book.called()
    for number in ("1", "2"):
        now.buys(number, 10, customer=number)
    await now.settles()
    assert now.book.called() == []
    assert (now.known("N2").why, now.known("N2").member) == ("by_hand", None)
    assert now.book.people["N2"]["loyalty_points"] == "0"


@on_sqlite
@pytest.mark.parametrize(("makes", "made"), [("all", 2), ("none", 0), ("segment:friends", 1)])
async def test_contacts_are_made_for_whom_the_settings_say(desk: Opening, makes: str, made: int) -> None:
    now = desk(make_contacts=makes)
    ann, _ = now.customer("1", email="ann@shop.example"), now.customer("2", email="ben@shop.example")
    now.into("friends", ann)
    await now.settles()
    assert len(now.book.people) == made
    assert [one["loyalty_id"] for one in now.book.people.values()][: made % 2] == [ann][: made % 2]


@on_sqlite
async def test_what_a_vendor_refuses_is_given_up_and_what_it_is_busy_with_is_tried_again(desk: Opening) -> None:
    now = desk()
    ann, ben, cleo = (now.customer(number, email=f"m{number}@shop.example") for number in "123")
    now.book.outcomes = [Rejected(reason="no such field"), RetryLater(reason="busy", after=1.0), RetryLater(reason="?")]
    await now.sends()
    found = rows(
        now.database,
        select(push.c.member, push.c.attempts, push.c.error, push.c.dead).where(push.c.connection == "crm"),
    )
    told = {row.error: (row.attempts, row.dead) for row in found}
    assert told == {"no such field": (1, 1), "busy": (0, 0), "?": (1, 0)}
    await now.settles()
    assert {one["loyalty_id"] for one in now.book.people.values()} >= {ann, ben, cleo} - set(now.dead())
    assert list(now.dead().values()) == ["no such field"]


@on_sqlite
async def test_a_value_that_a_vendor_refuses_is_listed_once_and_holds_nothing_else_up(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example", first_name="Ann")
    await now.settles()
    (reference,) = now.book.people
    for number in (2, 3):
        now.buys(f"A{number}", 30, customer="1")
        refused = {"loyalty_points": "there is no such field"}
        now.book.outcomes = [Delivered(result={"reference": reference, "fields": {}, "refused": refused})]
        await now.settles()
    assert [(one.field, one.theirs, one.rule, one.member) for one in now.disputes()] == [
        ("points", "there is no such field", "refused", ann),
        ("points", "there is no such field", "refused", ann),
    ]
    assert {one.ours for one in now.disputes()} == {"30", "60"}
    assert now.dead() == {}
    now.database.write_now(lambda c: owe(c, "main", "crm", "contact", [ann], now.clock.now()))
    now.book.outcomes = [Delivered(result={"reference": reference, "fields": {}, "refused": refused})]
    await now.settles()
    assert len(now.disputes()) == 2, "the same value is told of once"


@on_sqlite
async def test_while_the_look_at_everybody_stands_still_nothing_is_written(desk: Opening) -> None:
    now = desk()
    now.customer("1", email="ann@shop.example")
    crms = now.setting.crms
    now.setting = dataclasses.replace(now.setting, crms={"crm": dataclasses.replace(crms["crm"], halted=True)})
    await now.sends()
    assert now.book.called() == []
    now.setting = dataclasses.replace(now.setting, crms=crms)
    await now.settles()
    assert len(now.book.people) == 1


@on_sqlite
async def test_a_field_of_which_the_vendor_does_not_tell_keeps_nobody_busy(desk: Opening) -> None:
    now = desk()
    now.book.forgets = {"phone", "newsletter"}
    now.customer("1", email="ann@shop.example", phone="+4930123456")
    now.book.add("C1", "ann@shop.example")
    await now.settles()
    now.book.called()
    for _ in range(3):
        await now.sends()
    assert now.book.called() == []


@on_sqlite
async def test_a_search_that_fails_is_tried_again_and_makes_nobody_twice(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    now.book.trouble = [PluginError("book", "the book is closed")]
    await now.sends()
    assert now.book.called("write") == []
    assert now.due() == {ann: "looking for contacts failed: plugin 'book': the book is closed"}
    await now.settles()
    assert list(now.book.people) == ["N1"]


@on_sqlite
async def test_what_the_vendor_shows_otherwise_than_we_wrote_it_is_at_rest(desk: Opening) -> None:
    now = desk(fields={"first_name": {"field": "firstname", "owner": "ours"}})
    now.customer("1", email="ann@shop.example", first_name="Ann")
    await now.settles()
    now.book.outcomes = [Delivered(result={"reference": "N1", "fields": {"firstname": "ANNA "}})]
    now.customer("1", email="ann@shop.example", first_name="Anna")
    await now.settles()
    now.book.edit("N1", firstname="ANNA")
    now.book.called()
    now.told_of("N1")
    await now.settles()
    assert (now.book.called(), now.said()) == ([], [])


@on_sqlite
async def test_whoever_was_overtaken_writes_nothing_down(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    now.clock.advance(timedelta(seconds=10))
    await Lease(now.database, now.clock, "main", "lease", "me").hold()
    batch = await now.contacting.due()
    assert await now.contacting.due() == [], "who is being sent is not sent twice"
    await now.contacting.send(batch, "lease", 17)
    assert now.due() == {ann: None}
    now.contacting.release(batch)
    await now.settles()
    assert (list(now.book.people), now.known("N1").member) == (["N1"], ann)


@on_sqlite
async def test_a_crm_that_is_none_any_more_is_told_nothing(desk: Opening) -> None:
    now = desk()
    now.customer("1", email="ann@shop.example")
    now.setting = dataclasses.replace(now.setting, crms={})
    now.clock.advance(timedelta(seconds=10))
    assert await now.contacting.due() == []
    assert rows(now.database, select(contact)) == []
    now.database.write_now(lambda c: c.execute(update(push).values(dead=1)))
