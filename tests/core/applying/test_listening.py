"""What a CRM says of holds and lists comes to members, and no further than it may; on both databases."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import pytest
from tests.core.crms import Desk, crm
from tests.databases import on_sqlite

from stampcard.applying.holding import hold, let_go
from stampcard.applying.linking import link
from stampcard.applying.setting import Setting
from stampcard.domain.commands import OWN
from stampcard.domain.events import ContactsListed, CustomersMerged, HoldAsked
from stampcard.storage import contacts
from stampcard.storage.database import Database

Opening = Callable[..., Desk]
HELD = {"fields": {"hold": "hold"}}


@pytest.fixture
def desk(database: Database, setting: Setting) -> Opening:
    """A shop and a CRM with these settings."""

    def make(**settings: Any) -> Desk:
        return Desk(database, setting, crm(**settings))

    return make


def held(desk: Desk, id_: str) -> str:
    found = desk.person(id_).held
    return found.reason if found is not None else ""


def listed(desk: Desk, list_id: str, come: Collection[str] = (), gone: Collection[str] = ()) -> None:
    """What the poller finds out of a list, and tells."""
    desk.database.write_now(lambda c: contacts.move_in_list(c, "main", "crm", list_id, come, gone))
    desk.hears(
        OWN,
        ContactsListed(
            connection="crm", list=list_id, occurred_at=desk.clock.now(), come=tuple(come), gone=tuple(gone)
        ),
    )


def test_a_field_puts_a_member_on_hold_and_lets_them_go(desk: Opening) -> None:
    now = desk(**HELD)
    ann = now.customer("1", email="ann@shop.example")
    now.contact("C1", "ann@shop.example", hold="suspected fraud")
    assert held(now, ann) == "crm: suspected fraud"
    now.contact("C1", "ann@shop.example", hold="suspected fraud", firstname="Ann")
    assert held(now, ann) == "crm: suspected fraud"
    now.contact("C1", "ann@shop.example", hold="no")
    assert held(now, ann) == ""
    assert now.said() == []


@on_sqlite
def test_whoever_is_on_hold_earns_nothing_and_is_paid_once_they_go_on(desk: Opening) -> None:
    now = desk(**HELD)
    now.customer("1", email="ann@shop.example")
    now.contact("C1", "ann@shop.example", hold="yes")
    now.buys("A", 30, customer="1")
    assert now.points("1") == 0
    now.contact("C1", "ann@shop.example", hold="false")
    assert now.points("1") == 30


@on_sqlite
def test_a_hold_of_a_person_is_not_touched(desk: Opening) -> None:
    now = desk(**HELD)
    ann = now.customer("1", email="ann@shop.example")
    now.does(lambda unit: hold(unit, ann, "by the lawyers"))
    for text in ("fraud", "", "no"):
        now.contact("C1", "ann@shop.example", hold=text)
        assert held(now, ann) == "by the lawyers"
    asked = HoldAsked(connection="crm", member=ann, reason="", occurred_at=now.clock.now())
    now.hears(OWN, asked)
    assert held(now, ann) == "by the lawyers"


@on_sqlite
def test_a_hold_that_a_person_ended_comes_back_only_with_the_next_change_there(desk: Opening) -> None:
    now = desk(**HELD)
    ann = now.customer("1", email="ann@shop.example")
    now.contact("C1", "ann@shop.example", hold="fraud")
    now.does(lambda unit: let_go(unit, ann))
    now.contact("C1", "ann@shop.example", hold="fraud")
    assert held(now, ann) == "", "what is known so is not looked at again"
    now.contact("C1", "ann@shop.example", hold="fraud", firstname="Ann")
    assert held(now, ann) == "crm: fraud"


@on_sqlite
def test_what_is_asked_of_somebody_merged_or_not_there_concerns_whoever_they_are(desk: Opening) -> None:
    now = desk()
    ann, ben = now.customer("1", email="ann@shop.example"), now.customer("2", email="ben@shop.example")
    now.hears("shop", CustomersMerged(kept="1", gone="2", occurred_at=now.clock.now()))
    now.hears(OWN, HoldAsked(connection="crm", member=ben, reason="crm: fraud", occurred_at=now.clock.now()))
    assert held(now, ann) == "crm: fraud"
    now.hears(OWN, HoldAsked(connection="crm", member=ben, reason="", occurred_at=now.clock.now()))
    assert held(now, ann) == ""
    now.hears(OWN, HoldAsked(connection="crm", member="m_nobody", reason="x", occurred_at=now.clock.now()))


@on_sqlite
def test_a_list_there_puts_members_on_hold(desk: Opening) -> None:
    now = desk(hold_lists=["L7"])
    ann = now.customer("1", email="ann@shop.example")
    now.contact("C1", "ann@shop.example")
    now.database.write_now(lambda c: contacts.move_in_list(c, "main", "crm", "L7", ["C1"], []))
    now.database.write_now(lambda c: contacts.look_again(c, "main", "crm", ["C1"]))
    now.contact("C1", "ann@shop.example")
    assert held(now, ann) == "crm: is in the list L7"
    now.database.write_now(lambda c: contacts.move_in_list(c, "main", "crm", "L7", [], ["C1"]))
    now.database.write_now(lambda c: contacts.look_again(c, "main", "crm", ["C1"]))
    now.contact("C1", "ann@shop.example")
    assert held(now, ann) == ""


def test_whoever_comes_into_a_list_comes_into_its_segment_and_leaves_with_it(desk: Opening) -> None:
    now = desk(segments={"friends": "L1", "vegans": "L2", "fans": "L4"})
    ann, ben = now.customer("1", email="ann@shop.example"), now.customer("2", email="ben@shop.example")
    now.contact("C1", "ann@shop.example")
    now.contact("C2", "ben@shop.example")
    listed(now, "L1", come=["C1", "C2", "C9"])
    assert (now.segments(ann), now.segments(ben)) == ({"friends"}, {"friends"})
    listed(now, "L1", gone=["C1"])
    assert (now.segments(ann), now.segments(ben)) == (set(), {"friends"})
    listed(now, "L4", come=["C1"])
    assert now.segments(ann) == {"fans"}
    listed(now, "L4", gone=["C1"])
    listed(now, "L2", come=["C1"])
    listed(now, "L3", come=["C1"])
    assert now.segments(ann) == set(), "a segment with a condition is its own"


@on_sqlite
def test_whoever_was_in_the_list_before_their_contact_was_known_comes_into_the_segment_then(desk: Opening) -> None:
    now = desk(segments={"friends": "L1"})
    listed(now, "L1", come=["C1", "C2"])
    ann = now.customer("1", email="ann@shop.example")
    now.contact("C1", "ann@shop.example")
    assert now.segments(ann) == {"friends"}
    ben = now.customer("2", verified=False, email="ben@shop.example")
    now.contact("C2", "ben@shop.example")
    assert now.segments(ben) == set()
    now.does(lambda unit: link(unit, ("crm", "C2"), ben).reference)
    now.contact("C2", "ben@shop.example")
    assert now.segments(ben) == {"friends"}


@on_sqlite
def test_a_list_of_a_crm_that_is_not_there_any_more_changes_nothing(desk: Opening) -> None:
    now = desk(segments={"friends": "L1"})
    ann = now.customer("1", email="ann@shop.example")
    now.contact("C1", "ann@shop.example")
    now.hears(OWN, ContactsListed(connection="gone", list="L1", occurred_at=now.clock.now(), come=("C1",)))
    assert now.segments(ann) == set()
