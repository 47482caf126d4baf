"""People say whose a contact is or that it is nobody's, and take a first look at a CRM back; on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.core.crms import Desk, crm
from tests.databases import on_sqlite

from stampcard.applying.erasing import erase_members
from stampcard.applying.linking import link, part, take_back
from stampcard.applying.merging import merge, unmerge
from stampcard.applying.setting import Setting
from stampcard.domain.commands import OWN
from stampcard.domain.events import ContactGone, ContactWritten, CustomersMerged
from stampcard.errors import Conflict, Merged, NotFound
from stampcard.storage.contacts import Contact
from stampcard.storage.database import Database
from stampcard.storage.tables import fetch, identity, member, outbox, push
from stampcard.testing.applying import rows

Opening = Callable[..., Desk]
C1 = ("crm", "C1")


@pytest.fixture
def desk(database: Database, setting: Setting) -> Opening:
    """A shop and a CRM with these settings."""

    def make(**settings: Any) -> Desk:
        return Desk(database, setting, crm(**settings))

    return make


def linked(desk: Desk, reference: str, id_: str) -> Contact:
    desk.does(lambda unit: link(unit, ("crm", reference), id_).reference)
    return desk.known(reference)


def parted(desk: Desk, reference: str = "C1") -> Contact:
    desk.does(lambda unit: part(unit, ("crm", reference)).reference)
    return desk.known(reference)


def wanted(desk: Desk) -> list[str]:
    """Contacts that are to be read."""
    return [row.reference for row in rows(desk.database, select(fetch).where(fetch.c.kind == "contact"))]


def owed(desk: Desk) -> set[str]:
    return {row.member for row in rows(desk.database, select(push).where(push.c.wanted > push.c.sent))}


def test_a_doubtful_contact_becomes_the_member_whom_people_name_and_is_read(desk: Opening) -> None:
    now = desk()
    now.customer("1", verified=False, email="ann@shop.example")
    ben = now.customer("2", verified=False, email="ann@shop.example")
    assert now.contact("C1", "ann@shop.example").why == "several"
    known = linked(now, "C1", ben)
    assert (known.state, known.why, known.member, known.content) == ("linked", "", ben, "")
    assert (now.candidates("C1"), wanted(now)) == ([], ["C1"])
    assert ben in owed(now)
    assert linked(now, "C1", ben) == known, "said twice it is the same"
    now.contact("C1", "ann@shop.example", firstname="Ben")
    assert now.person(ben).attributes["first_name"] == "Ben"


@on_sqlite
def test_what_is_nobodys_or_parted_can_be_linked_by_hand_and_what_is_left_out_cannot(desk: Opening) -> None:
    now = desk(only=[{"field": "stage", "is": "customer"}])
    ann = now.customer("1", email="ann@shop.example")
    now.contact("C1", "ann@shop.example", stage="lead")
    with pytest.raises(Conflict, match="takes no part"):
        linked(now, "C1", ann)
    assert now.contact("C1", "ann@shop.example", stage="customer").member == ann
    parted(now)
    assert linked(now, "C1", ann).member == ann
    now.contact("C2", "else@shop.example", stage="customer")
    parted(now)
    assert linked(now, "C2", ann).member == ann


@on_sqlite
def test_what_stands_in_the_way_of_a_link_is_said(desk: Opening) -> None:
    now = desk()
    ann, ben = now.customer("1", email="ann@shop.example"), now.customer("2", email="ben@shop.example")
    now.contact("C1", "ann@shop.example")
    now.contact("C2", "else@shop.example")
    with pytest.raises(Conflict, match=f"the contact C1 is {ann}: part them first"):
        linked(now, "C1", ben)
    with pytest.raises(Conflict, match=f"{ann} is the contact C1 at crm: part them first"):
        linked(now, "C2", ann)
    with pytest.raises(NotFound, match="C9"):
        linked(now, "C9", ann)
    with pytest.raises(NotFound, match="m_nobody"):
        linked(now, "C2", "m_nobody")
    now.hears("shop", CustomersMerged(kept="1", gone="2", occurred_at=now.clock.now()))
    with pytest.raises(Merged):
        linked(now, "C2", ben)
    now.does(lambda unit: erase_members(unit, [ann]))
    with pytest.raises(NotFound, match=ann):
        linked(now, "C2", ann)


@on_sqlite
def test_a_member_whose_contact_is_gone_can_have_another(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    now.contact("C1", "ann@shop.example")
    now.contact("C2", "else@shop.example")
    now.hears("crm", ContactGone(reference="C1", occurred_at=now.clock.now()))
    assert linked(now, "C2", ann).member == ann


@on_sqlite
def test_a_parted_contact_is_nobody_whatever_is_told_of_it_and_no_other_is_made(desk: Opening) -> None:
    now = desk(make_members=True)
    ann = now.customer("1", email="ann@shop.example", first_name="Ann")
    now.contact("C1", "ann@shop.example", firstname="Ann")
    known = parted(now)
    assert (known.state, known.why, known.member, known.fields) == ("skipped", "by_hand", None, {})
    assert [row.connection for row in rows(now.database, select(identity))] == ["shop"]
    assert now.candidates("C1") == [ann], "so that no other contact is made for them"
    told = now.contact("C1", "ann@shop.example", member=ann, firstname="Nobody")
    assert (told.state, told.why, told.member) == ("skipped", "by_hand", None)
    assert now.candidates("C1") == [ann]
    assert now.person(ann).attributes["first_name"] == "Ann"
    assert len(rows(now.database, select(member.c.id))) == 1
    assert parted(now).why == "by_hand"
    with pytest.raises(NotFound):
        parted(now, "C9")


@on_sqlite
def test_parting_a_doubtful_contact_frees_whom_it_might_have_been(desk: Opening) -> None:
    now = desk()
    now.customer("1", verified=False, email="ann@shop.example")
    now.contact("C1", "ann@shop.example")
    parted(now)
    assert now.candidates("C1") == []


@on_sqlite
def test_contacts_that_became_one_go_on_in_it(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example", first_name="Ann")
    ben = now.customer("2", email="ben@shop.example", first_name="Ben")
    now.contact("C1", "ann@shop.example", firstname="Ann")
    now.contact("C2", "ben@shop.example", firstname="Ben")
    now.clock.advance(timedelta(seconds=1))
    now.hears("crm", CustomersMerged(kept="C1", gone="C2", occurred_at=now.clock.now()))
    assert (now.find("C2"), now.known("C1").member, now.known("C1").fields) == (None, ann, {})
    assert now.person(ben).merged_into == ann
    assert ann in owed(now)
    assert now.contact("C1", "ann@shop.example", emails=["ben@shop.example"], firstname="Ann").member == ann


@on_sqlite
def test_whoever_is_known_of_two_contacts_that_became_one_is_the_one(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    now.contact("C2", "ann@shop.example")
    now.customer("3", verified=False, email="cleo@shop.example")
    now.contact("C3", "cleo@shop.example")
    assert now.candidates("C3") != []
    now.hears("crm", CustomersMerged(kept="C3", gone="C2", occurred_at=now.clock.now()))
    assert (now.find("C2"), now.known("C3").state, now.known("C3").member) == (None, "linked", ann)
    assert now.candidates("C3") == [], "it is nobody else any more"
    now.hears("crm", CustomersMerged(kept="C8", gone="C9", occurred_at=now.clock.now()))
    assert now.find("C8") is None


@on_sqlite
def test_a_merge_that_is_undone_gives_the_contact_back(desk: Opening) -> None:
    now = desk()
    ann, ben = now.customer("1", email="ann@shop.example"), now.customer("2", email="ben@shop.example")
    now.contact("C2", "ben@shop.example", firstname="Ben")
    merged = now.does(lambda unit: merge(unit, ben, ann, by="me").id)
    assert now.known("C2").member == ann
    now.does(lambda unit: unmerge(unit, merged, by="me").orders)
    assert (now.known("C2").state, now.known("C2").member) == ("linked", ben)
    assert now.contact("C2", "ben@shop.example", firstname="Benno").member == ben
    assert now.person(ben).attributes["first_name"] == "Benno"


def taken_back(desk: Desk, since: datetime, until: datetime, limit: int = 100) -> tuple[int, int, int]:
    found = desk.database.write_now(lambda c: take_back(c, desk.setting, desk.clock.now(), "crm", since, until, limit))
    return found.there, found.here, found.left


def test_a_first_look_is_taken_back_and_whatever_was_there_before_stays(desk: Opening) -> None:
    now = desk(make_members=True)
    ann, ben = now.customer("1", email="ann@shop.example"), now.customer("2", email="ben@shop.example")
    since = now.clock.now()
    now.contact("C1", "ann@shop.example")
    now.hears(OWN, ContactWritten(connection="crm", reference="C2", member=ben, occurred_at=now.clock.now()))
    idle, busy = now.contact("C3", "cleo@shop.example").member, now.contact("C4", "dora@shop.example").member
    assert idle
    assert busy
    now.database.write_now(lambda c: c.execute(update(identity).where(identity.c.member == busy).values(seen_at=1)))
    until = now.clock.now()
    later = now.clock.now() + timedelta(seconds=1)
    now.contact("C5", "eva@shop.example", at=later)
    now.clock.advance(timedelta(hours=1))
    assert taken_back(now, since, until - timedelta(minutes=5)) == (0, 0, 0)
    assert taken_back(now, since, until, 1)[2] == 1
    while taken_back(now, since, until, 1)[2]:
        pass
    states = {of: (now.known(of).state, now.known(of).why, now.known(of).made) for of in ("C1", "C2", "C3", "C4")}
    assert states == {
        "C1": ("linked", "", ""),
        "C2": ("gone", "undone", ""),
        "C3": ("skipped", "undone", ""),
        "C4": ("linked", "", ""),
    }
    assert {row.id for row in rows(now.database, select(member.c.id))} >= {ann, ben, busy}
    assert idle not in {row.id for row in rows(now.database, select(member.c.id))}
    sent = rows(now.database, select(outbox.c.kind, outbox.c.reference))
    assert [tuple(row) for row in sent] == [("contact_remove", "C2")]
    assert now.contact("C3", "cleo@shop.example", firstname="Cleo").why == "undone", "none is made again by itself"
