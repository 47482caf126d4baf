"""Whose a contact is of which a CRM tells: found by our id or by an address, left to people, or nobody's; on both databases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select
from tests.core.crms import Desk, crm
from tests.databases import on_sqlite

from stampcard.applying import meeting
from stampcard.applying.erasing import erase_members
from stampcard.applying.meeting import Meeting, suppose
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.commands import OWN
from stampcard.domain.events import ContactGone, ContactSeen, ContactWritten, CustomersMerged
from stampcard.host.contacts import Crm
from stampcard.storage.database import Database
from stampcard.storage.tables import contact, identity, member, outbox
from stampcard.testing.applying import apply, prepare, rows, store

Opening = Callable[..., Desk]


@pytest.fixture
def desk(database: Database, setting: Setting) -> Opening:
    """A shop and a CRM with these settings; or several CRMs, given as they are."""

    def make(*crms: Crm, **settings: Any) -> Desk:
        return Desk(database, setting, *(crms or (crm(**settings),)))

    return make


@on_sqlite
def test_a_contact_is_found_by_our_own_id_whatever_its_address(desk: Opening) -> None:
    now = desk()
    ann, ben = now.customer("1", email="ann@shop.example"), now.customer("2", email="ben@shop.example")
    known = now.contact("C1", "ben@shop.example", member=ann)
    assert (known.state, known.member, known.why, known.made) == ("linked", ann, "", "")
    assert now.contact("C2", member=ben).member == ben
    assert now.contact("C3", member="m_nobody").why == "nobody"


@on_sqlite
@pytest.mark.parametrize(
    "addresses",
    [
        {"email": "Ann+news@SHOP.example"},
        {"email": "ann@work.example", "emails": ["ann@shop.example"]},
        {"email": "ann@work.example", "phones": ["+49 30 123456"]},
        {"phones": ["0049 (30) 12-34-56"]},
    ],
)
def test_a_contact_is_found_by_any_address_that_a_shop_verified(desk: Opening, addresses: dict[str, Any]) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example", phone="+4930123456")
    known = now.contact("C1", **addresses)
    assert (known.state, known.member) == ("linked", ann)
    assert now.candidates("C1") == []


@on_sqlite
def test_addresses_that_the_settings_do_not_match_by_find_nobody(desk: Opening) -> None:
    now = desk(match="phone")
    ann = now.customer("1", email="ann@shop.example", phone="+4930123456")
    assert now.contact("C1", "ann@shop.example").why == "nobody"
    assert now.contact("C2", phones=["+4930123456"]).member == ann


def test_of_several_members_with_the_address_people_say_who_it_is(desk: Opening) -> None:
    now = desk()
    ann, ben = now.customer("1", phone="+4930123456"), now.customer("2", phone="+4930123456")
    known = now.contact("C1", phones=["+4930123456"])
    assert (known.state, known.why, known.member) == ("doubtful", "several", None)
    assert now.candidates("C1") == sorted([ann, ben])


@on_sqlite
def test_two_addresses_of_two_members_are_left_to_people(desk: Opening) -> None:
    now = desk()
    ann, ben = now.customer("1", email="ann@shop.example"), now.customer("2", email="ben@shop.example")
    known = now.contact("C1", "ann@shop.example", emails=["ben@shop.example"])
    assert (known.state, known.why) == ("doubtful", "several")
    assert now.candidates("C1") == sorted([ann, ben])


@on_sqlite
def test_the_surer_address_counts_before_the_other(desk: Opening) -> None:
    now = desk(match=["phone", "email"])
    now.customer("1", email="ann@shop.example")
    ben = now.customer("2", phone="+4930123456")
    assert now.contact("C1", "ann@shop.example", phones=["+4930123456"]).member == ben


@pytest.mark.parametrize("trusted", [False, True])
def test_an_address_that_nobody_verified_is_enough_only_where_the_settings_say_so(desk: Opening, trusted: bool) -> None:
    now = desk(trust_addresses=trusted)
    ann = now.customer("1", verified=False, email="Ann@shop.example")
    ben = now.customer("2", verified=False, phone="+4930123456")
    shown: list[tuple[str, str, dict[str, Any]]] = [
        ("C1", ann, {"email": "ann@SHOP.example"}),
        ("C2", ben, {"phones": ["+49 30 123456"]}),
    ]
    for reference, id_, addresses in shown:
        known = now.contact(reference, **addresses)
        expected = ("linked", "", id_, []) if trusted else ("doubtful", "unverified", None, [id_])
        assert (known.state, known.why, known.member, now.candidates(reference)) == expected


@on_sqlite
def test_several_who_claim_an_address_are_doubtful_even_if_addresses_are_trusted(desk: Opening) -> None:
    now = desk(trust_addresses=True)
    both = [now.customer(number, verified=False, email="ann@shop.example") for number in ("1", "2")]
    assert now.contact("C1", "ann@shop.example").why == "several"
    assert now.candidates("C1") == sorted(both)


@on_sqlite
def test_a_second_contact_of_one_member_is_left_to_people(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    assert now.contact("C1", "ann@shop.example").state == "linked"
    known = now.contact("C2", "ann@shop.example")
    assert (known.state, known.why, now.candidates("C2")) == ("doubtful", "another_contact", [ann])
    now.hears("crm", ContactGone(reference="C1", occurred_at=now.clock.now()))
    assert now.contact("C2", "ann@shop.example", firstname="Ann").member == ann


@on_sqlite
def test_of_two_contacts_of_one_member_in_one_batch_the_first_is_linked(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    at, batch = now.clock.now(), []
    for reference in ("C2", "C1"):
        (id_,) = store(now.database, now.setting, b"{}", connection="crm")
        seen = ContactSeen(reference=reference, occurred_at=at, emails=("ann@shop.example",))
        batch.append(prepare(id_, seen, source="crm"))
    assert {one.status for one in apply(now.database, now.setting, batch, at)} == {"done"}
    assert (now.known("C1").member, now.known("C2").why, now.candidates("C2")) == (ann, "another_contact", [ann])


@on_sqlite
def test_each_crm_has_a_contact_of_its_own(desk: Opening) -> None:
    now = desk(crm("sales"), crm("support"))
    ann = now.customer("1", email="ann@shop.example")
    for name in ("sales", "support"):
        assert now.contact("C1", "ann@shop.example", source=name).member == ann


@on_sqlite
def test_whom_only_leaves_out_takes_no_part_until_they_do(desk: Opening) -> None:
    now = desk(only=[{"field": "stage", "is": ["customer", "fan"]}, {"field": "country", "is": "DE"}])
    ann = now.customer("1", email="ann@shop.example")
    for stage, country in (("lead", "DE"), ("fan", "AT"), ("", "")):
        known = now.contact("C1", "ann@shop.example", stage=stage, country=country)
        assert (known.state, known.why, known.member) == ("skipped", "excluded", None)
        assert now.candidates("C1") == [ann], "nobody makes a second contact for them"
    assert now.contact("C1", "ann@shop.example", stage="fan", country="DE").member == ann
    assert now.candidates("C1") == []
    known = now.contact("C1", "ann@shop.example", stage="lead", country="DE")
    assert (known.state, known.why, now.candidates("C1")) == ("skipped", "excluded", [ann])
    assert now.contact("C1", "ann@shop.example", stage="fan", country="DE").member == ann


@on_sqlite
def test_a_contact_of_somebody_who_was_erased_stays_away(desk: Opening) -> None:
    now = desk(make_members=True)
    ann = now.customer("1", email="ann@shop.example")
    now.contact("C1", "ann@shop.example")
    now.does(lambda unit: erase_members(unit, [ann]))
    assert now.find("C1") is None
    known = now.contact("C1", "ann@shop.example", firstname="Ann")
    assert (known.state, known.why, known.member) == ("skipped", "erased", None)
    assert len(rows(now.database, select(member.c.id))) == 1


def test_who_is_nobody_becomes_a_member_where_the_settings_want_that(desk: Opening) -> None:
    now = desk(make_members=True)
    known = now.contact("C1", "ann@shop.example", firstname="Ann", phones=["+4930123456"])
    assert (known.state, known.made) == ("linked", "here")
    assert known.member is not None
    ann = now.person(known.member)
    assert ann.programs == {"main"}
    assert ann.attributes == {"email": "ann@shop.example", "first_name": "Ann", "phone": "+4930123456"}
    assert now.contact("C1", "ann@shop.example", firstname="Anna").member == known.member
    assert len(rows(now.database, select(member.c.id))) == 1


@on_sqlite
def test_who_is_nobody_stays_nobody_else(desk: Opening) -> None:
    now = desk()
    assert (now.contact("C1", "ann@shop.example").why, now.contact("C2").why) == ("nobody", "nobody")
    assert rows(now.database, select(member.c.id)) == []
    assert rows(now.database, select(identity)) == []


@on_sqlite
def test_who_may_be_somebody_is_not_made_a_member(desk: Opening) -> None:
    now = desk(make_members=True, only=[{"field": "stage", "is": "customer"}])
    now.customer("1", verified=False, email="ann@shop.example")
    assert now.contact("C1", "ann@shop.example", stage="customer").why == "unverified"
    assert now.contact("C2", "ben@shop.example", stage="lead").why == "excluded"
    assert len(rows(now.database, select(member.c.id))) == 1


@on_sqlite
def test_nobody_becomes_doubtful_and_then_somebody_as_shops_tell_more(desk: Opening) -> None:
    now = desk()
    assert now.contact("C1", "ann@shop.example").why == "nobody"
    ann = now.customer("1", verified=False, email="ann@shop.example")
    known = now.contact("C1", "ann@shop.example")
    assert (known.state, known.why, now.candidates("C1")) == ("doubtful", "unverified", [ann])
    now.customer("1", email="ann@shop.example")
    assert now.contact("C1", "ann@shop.example").member == ann


@on_sqlite
def test_what_a_connection_tells_that_is_no_crm_any_more_concerns_nobody(desk: Opening) -> None:
    now = desk()
    now.customer("1", email="ann@shop.example")
    now.setting = replace(now.setting, crms={})
    now.hears("crm", ContactSeen(reference="C1", occurred_at=now.clock.now(), emails=("ann@shop.example",)))
    assert now.find("C1") is None


@on_sqlite
def test_what_we_made_is_linked_whichever_of_the_news_comes_first(desk: Opening) -> None:
    now = desk()
    ann, ben = now.customer("1", email="ann@shop.example"), now.customer("2", email="ben@shop.example")
    at = now.clock.now()
    digests = {"firstname": ("d", "d")}
    now.hears(OWN, ContactWritten(connection="crm", reference="C1", member=ann, occurred_at=at, fields=digests))
    assert (now.known("C1").made, now.known("C1").member, list(now.known("C1").fields)) == ("there", ann, ["firstname"])
    assert now.contact("C1", "ann@shop.example", member=ann).made == "there"
    now.contact("C2", "ben@shop.example", member=ben)
    now.hears(OWN, ContactWritten(connection="crm", reference="C2", member=ben, occurred_at=at))
    assert (now.known("C2").made, now.known("C2").member) == ("there", ben)


@on_sqlite
def test_what_we_made_for_somebody_who_is_merged_meanwhile_is_whoever_they_are_now(desk: Opening) -> None:
    now = desk()
    ann, anna = now.customer("1", email="ann@shop.example"), now.customer("2", email="anna@shop.example")
    now.hears("shop", CustomersMerged(kept="1", gone="2", occurred_at=now.clock.now()))
    now.hears(OWN, ContactWritten(connection="crm", reference="C1", member=anna, occurred_at=now.clock.now()))
    assert (now.known("C1").state, now.known("C1").member) == ("linked", ann)


@on_sqlite
@pytest.mark.parametrize(("asks", "kind"), [(True, "contact_erase"), (False, "contact_remove")])
def test_what_we_made_for_somebody_who_is_erased_meanwhile_is_nobodys_and_goes(
    desk: Opening, asks: bool, kind: str
) -> None:
    now = desk(erase_contacts=asks)
    ann = now.customer("1", email="ann@shop.example")
    now.does(lambda unit: erase_members(unit, [ann]))
    now.hears(OWN, ContactWritten(connection="crm", reference="C1", member=ann, occurred_at=now.clock.now()))
    assert (now.known("C1").state, now.known("C1").why, now.known("C1").member) == ("skipped", "erased", None)
    assert rows(now.database, select(identity)) == []
    assert [(row.kind, row.reference) for row in rows(now.database, select(outbox))] == [(kind, "C1")]


def test_of_two_contacts_that_are_linked_to_one_member_at_once_the_later_waits_for_people(
    desk: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    now.contact("C1", "ann@shop.example")
    # What another unit of work wrote is not seen by the look, and is once the member is locked.
    monkeypatch.setattr(meeting, "_free", lambda *seen: Meeting(member=seen[2], is_new=True))
    late = now.contact("C2", "ann@shop.example")
    assert (late.state, late.why, now.candidates("C2")) == ("doubtful", "another_contact", [ann])
    assert [row.reference for row in rows(now.database, select(identity)) if row.connection == "crm"] == ["C1"]
    assert now.known("C1").member == ann


def test_a_rehearsal_says_the_same_and_writes_nothing(desk: Opening) -> None:
    now = desk(only=[{"field": "stage", "is": "customer"}])
    ann = now.customer("1", email="ann@shop.example")
    ben = now.customer("2", verified=False, email="ben@shop.example")
    now.contact("C1", "ann@shop.example", stage="customer")
    seen = [
        ("crm", ContactSeen(reference=of, occurred_at=now.clock.now(), emails=(email,), fields={"stage": stage}))
        for of, email, stage in (
            ("C1", "ann@shop.example", "customer"),
            ("C2", "ann@shop.example", "customer"),
            ("C3", "ben@shop.example", "customer"),
            ("C4", "ben@shop.example", "lead"),
            ("C5", "cleo@shop.example", "customer"),
        )
    ]
    found = now.database.read_now(lambda c: suppose(Unit(c, now.setting, now.clock.now()), seen))
    assert {of: one for (_, of), one in found.items()} == {
        "C1": Meeting(member=ann),
        "C2": Meeting(why="another_contact", candidates=(ann,)),
        "C3": Meeting(why="unverified", candidates=(ben,)),
        "C4": Meeting(why="excluded", candidates=(ben,)),
        "C5": Meeting(why="nobody"),
    }
    assert len(rows(now.database, select(contact))) == 1
