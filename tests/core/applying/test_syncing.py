"""What a CRM tells of a contact changes its member field by field, whoever owns it, and nothing of it loops; on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from tests.core.crms import Desk, crm
from tests.databases import on_sqlite

from stampcard.applying.consenting import record_consent
from stampcard.applying.erasing import erase_members
from stampcard.applying.setting import Setting
from stampcard.clock import from_micros, to_micros
from stampcard.domain.consents import Consent
from stampcard.domain.events import ContactGone, CustomerSeen, CustomersMerged
from stampcard.engine.syncing import OWED
from stampcard.host.contacts import Crm
from stampcard.storage.database import Database
from stampcard.storage.tables import (
    contact,
    contact_candidate,
    contact_conflict,
    event,
    fetch,
    identity,
    member,
    outbox,
    push,
)
from stampcard.testing.applying import rows

Opening = Callable[..., Desk]
CONSENT = "consent.email.marketing"


@pytest.fixture
def desk(database: Database, setting: Setting) -> Opening:
    """A shop and a CRM with these settings; or several CRMs, given as they are."""

    def make(*crms: Crm, **settings: Any) -> Desk:
        return Desk(database, setting, *(crms or (crm(**settings),)))

    return make


def owed(desk: Desk, reference: str = "C1") -> set[str]:
    """The fields of a contact in which ours is to be written."""
    return {name for name, base in desk.known(reference).fields.items() if base.ours == OWED}


def due(desk: Desk) -> list[tuple[str, str]]:
    """What waits to be shown: connection and member."""
    found = rows(desk.database, select(push).where(push.c.wanted > push.c.sent, push.c.kind == "contact"))
    return sorted((row.connection, row.member) for row in found)


def all_sent(desk: Desk) -> None:
    desk.database.write_now(lambda c: c.execute(update(push).values(sent=push.c.wanted)))


@on_sqlite
def test_when_both_meet_blanks_are_filled_and_the_owner_counts_where_they_differ(desk: Opening) -> None:
    now = desk(fields={"cups": "cups", "height": "height", "vegan": "vegan", "since": "since", "last_name": "lastname"})
    ann = now.customer("1", email="ann@shop.example", first_name="Ann", last_name="Ames")
    now.contact(
        "C1", "ann@shop.example", firstname="Anna", cups="3", height="1.75", vegan="yes", since="2026-01-31T00:00:00Z"
    )
    attributes = dict(now.person(ann).attributes)
    assert attributes == {
        "email": "ann@shop.example", "first_name": "Anna", "last_name": "Ames",
        "cups": 3, "height": 1.75, "vegan": True, "since": "2026-01-31",
    }  # fmt: skip
    assert now.said() == [("first_name", "Ann", "Anna", "theirs", "theirs")]
    assert owed(now) == {"lastname", "loyalty_id", "loyalty_points"}
    assert ("crm", ann) in due(now)


@on_sqlite
def test_what_they_change_is_taken_and_kept_with_the_moment_of_their_clock(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example", first_name="Ann")
    now.contact("C1", "ann@shop.example", firstname="Ann")
    told_at = now.clock.now() - timedelta(hours=1)
    now.database.write_now(lambda c: c.execute(update(contact).values(changed_at=0)))
    now.contact("C1", "ann@shop.example", firstname="Anna", at=told_at)
    assert now.person(ann).attributes["first_name"] == "Anna"
    (row,) = rows(now.database, select(member.c.attributes_at))
    assert f'"first_name":{int(told_at.timestamp()) * 1_000_000}' in row.attributes_at
    now.contact("C1", "ann@shop.example", firstname="")
    assert "first_name" not in now.person(ann).attributes
    assert now.said() == []


@on_sqlite
def test_what_is_older_or_known_so_changes_nothing(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    first = now.clock.now()
    now.clock.advance(timedelta(minutes=1))
    known = now.contact("C1", "ann@shop.example", firstname="Ann")
    all_sent(now)
    version = now.person(ann).version
    assert now.contact("C1", "ann@shop.example", firstname="Old", at=first) == known
    assert now.contact("C1", "ann@shop.example", firstname="Ann") == known
    assert now.contact("C1", "ann@shop.example", firstname="Ann", at=now.clock.now()) == known
    assert (now.person(ann).version, now.person(ann).attributes["first_name"]) == (version, "Ann")
    assert due(now) == []
    assert rows(now.database, select(fetch)) == []


@on_sqlite
def test_what_was_read_before_we_wrote_and_is_heard_after_that_is_read_anew_once(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    now.contact("C1", "ann@shop.example", firstname="Ann")
    now.clock.advance(timedelta(seconds=1))
    edited_at = now.clock.now()
    now.clock.advance(timedelta(seconds=1))
    written_at = to_micros(now.clock.now())
    now.database.write_now(lambda c: c.execute(update(contact).values(changed_at=written_at, content="")))
    now.contact("C1", "ann@shop.example", firstname="Anna", at=edited_at)
    assert now.person(ann).attributes["first_name"] == "Ann"
    assert [(row.kind, row.reference) for row in rows(now.database, select(fetch))] == [("contact", "C1")]
    now.database.write_now(lambda c: c.execute(delete(fetch)))
    now.contact("C1", "ann@shop.example", firstname="Anna", at=edited_at)
    assert rows(now.database, select(fetch)) == [], "whoever shows what is old for a while is not asked forever"
    now.contact("C1", "ann@shop.example", firstname="Anna", at=from_micros(written_at))
    assert now.person(ann).attributes["first_name"] == "Anna"


@on_sqlite
def test_what_was_taken_from_one_crm_is_shown_to_the_others_and_not_sent_back(desk: Opening) -> None:
    ours = {"fields": {"first_name": {"field": "firstname", "owner": "ours"}}}
    now = desk(crm("sales"), crm("support", **ours))
    ann = now.customer("1", email="ann@shop.example", first_name="Ann")
    for name in ("sales", "support"):
        now.contact("C1", "ann@shop.example", firstname="Ann", source=name)
    all_sent(now)
    now.contact("C1", "ann@shop.example", firstname="Anna", source="sales")
    assert now.known("C1", "sales").fields["firstname"].ours == now.known("C1", "sales").fields["firstname"].theirs
    assert ("support", ann) in due(now)
    assert now.known("C1", "support").fields["firstname"].ours != OWED


@on_sqlite
def test_what_is_ours_is_put_right_and_the_conflict_can_be_read(desk: Opening) -> None:
    now = desk(fields={"first_name": {"field": "firstname", "owner": "ours"}})
    ann = now.customer("1", email="ann@shop.example", first_name="Ann")
    now.contact("C1", "ann@shop.example", firstname="Ann", loyalty_id=ann, loyalty_points="0")
    now.contact("C1", "ann@shop.example", firstname="Bob", loyalty_id=ann, loyalty_points="0")
    assert now.person(ann).attributes["first_name"] == "Ann"
    assert "firstname" in owed(now)
    assert now.said() == [("first_name", "Ann", "Bob", "ours", "ours")]


@on_sqlite
def test_conflicts_lie_sealed_with_what_both_sides_said(desk: Opening) -> None:
    now = desk()
    now.customer("1", email="ann@shop.example", first_name="Ann Secret")
    now.contact("C1", "ann@shop.example", firstname="Anna Secret")
    assert now.said() == [("first_name", "Ann Secret", "Anna Secret", "theirs", "theirs")]
    (row,) = rows(now.database, select(contact_conflict))
    assert b"Secret" not in row.sides_sealed
    (one,) = rows(now.database, select(contact))
    assert "Secret" not in one.fields
    assert "ann@shop.example" not in f"{one.fields} {one.content}"


@on_sqlite
def test_of_two_edits_the_newest_counts_where_the_settings_say_so(desk: Opening) -> None:
    now = desk(fields={"first_name": {"field": "firstname", "owner": "newest"}})
    ann = now.customer("1", email="ann@shop.example", first_name="Ann")
    now.contact("C1", "ann@shop.example", firstname="Ann")
    theirs_at = now.clock.now() + timedelta(seconds=1)
    now.clock.advance(timedelta(seconds=5))
    now.customer("1", email="ann@shop.example", first_name="Ours")
    now.contact("C1", "ann@shop.example", firstname="Theirs", at=theirs_at)
    assert now.person(ann).attributes["first_name"] == "Ours"
    assert "firstname" in owed(now)
    assert now.said() == [("first_name", "Ours", "Theirs", "newest", "ours")]
    now.contact("C1", "ann@shop.example", firstname="Later")
    assert now.person(ann).attributes["first_name"] == "Later"


@on_sqlite
def test_what_our_side_cannot_read_is_noted_and_neither_is_changed(desk: Opening) -> None:
    now = desk(fields={"cups": "cups"})
    ann = now.customer("1", email="ann@shop.example", cups=3)
    now.contact("C1", "ann@shop.example", cups="plenty")
    now.contact("C1", "ann@shop.example", cups="plenty", firstname="Ann")
    assert now.person(ann).attributes["cups"] == 3
    assert now.said() == [("cups", "3", "plenty", "unreadable", "neither")], "once"
    assert "cups" not in owed(now)
    now.contact("C1", "ann@shop.example", cups="4")
    assert now.person(ann).attributes["cups"] == 4


@on_sqlite
def test_an_additional_address_that_is_ours_is_no_difference(desk: Opening) -> None:
    now = desk()
    now.customer("1", email="Ann@shop.example")
    now.contact("C1", "ann@work.example", emails=["ann@shop.example"])
    assert "email" not in owed(now)
    assert now.said() == []
    now.contact("C1", "ann@home.example")
    assert "email" in owed(now)


@on_sqlite
def test_a_figure_that_somebody_wrote_over_is_put_right(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    now.buys("A", 30, customer="1")
    now.contact("C1", "ann@shop.example", loyalty_id=ann, loyalty_points="7")
    assert {"loyalty_points"} <= owed(now)
    assert now.said() == [], "nobody said anything of it before"
    digest = now.known("C1").fields["loyalty_points"].theirs
    shown = changed_base(now, "loyalty_points", "30")
    assert shown != digest
    all_sent(now)
    now.contact("C1", "ann@shop.example", loyalty_id=ann, loyalty_points="9999")
    assert owed(now) >= {"loyalty_points"}
    assert now.said() == [("points", "30", "9999", "ours", "ours")]
    assert ("crm", ann) in due(now)
    now.contact("C1", "ann@shop.example", loyalty_id=ann, loyalty_points="9999", firstname="Ann")
    assert len(now.said()) == 1


def changed_base(desk: Desk, field: str, text: str) -> str:
    """Let a field be shown as we wrote it, as the outbox does; answers the digest."""
    from stampcard.engine.syncing import Base
    from stampcard.storage.contacts import digester, save_contacts

    one, digest = desk.known("C1"), digester(desk.setting.sealer)(text)
    fields = {**one.fields, field: Base(digest, digest)}
    desk.database.write_now(
        lambda c: save_contacts(
            c, "main", [type(one)(**{**{f: getattr(one, f) for f in one.__struct_fields__}, "fields": fields})]
        )
    )
    return digest


@on_sqlite
@pytest.mark.parametrize(
    ("ours", "theirs", "counts"),
    [
        ("given", "false", "withdrawn"),
        ("withdrawn", "true", "withdrawn"),
        ("given", "true", "given"),
        ("given", "", "given"),
        (None, "true", "given"),
        (None, "false", "withdrawn"),
        ("pending", "false", "withdrawn"),
    ],
)
@pytest.mark.parametrize("later", [True, False])
def test_of_consents_whoever_says_no_counts_whenever_they_said_it(
    desk: Opening, ours: Any, theirs: str, counts: str, later: bool
) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    theirs_at = now.clock.now()
    now.clock.advance(timedelta(minutes=1))
    if ours:
        at = now.clock.now()
        said = Consent(channel="email", purpose="marketing", state=ours, at=at, recorded_at=at)
        now.does(lambda unit: record_consent(unit, ann, said))
    now.contact("C1", "ann@shop.example", newsletter=theirs, at=None if later else theirs_at)
    assert now.consents(ann).get("email.marketing") == counts
    assert ("newsletter" in owed(now)) == (counts != {"true": "given", "false": "withdrawn"}.get(theirs))


@on_sqlite
def test_an_opt_out_says_no_and_without_it_nothing_is_said(desk: Opening) -> None:
    now = desk(fields={CONSENT: {"field": "optout", "opposite": True}})
    ann = now.customer("1", email="ann@shop.example")
    now.contact("C1", "ann@shop.example", optout="false")
    assert now.consents(ann) == {}
    now.contact("C1", "ann@shop.example", optout="TRUE")
    assert now.consents(ann) == {"email.marketing": "withdrawn"}
    now.contact("C1", "ann@shop.example", optout="")
    assert now.consents(ann) == {"email.marketing": "withdrawn"}, "only the person may say yes again"
    assert "optout" not in owed(now)
    at = now.clock.now()
    said = Consent(channel="email", purpose="marketing", state="given", at=at, recorded_at=at)
    now.does(lambda unit: record_consent(unit, ann, said))
    now.contact("C1", "ann@shop.example", optout="false")
    assert now.consents(ann) == {"email.marketing": "given"}
    assert "optout" not in owed(now)


@on_sqlite
def test_a_consent_that_is_no_truth_is_noted(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    now.contact("C1", "ann@shop.example", newsletter="weekly")
    assert now.consents(ann) == {}
    assert now.said() == [(CONSENT, "", "weekly", "unreadable", "neither")]


@on_sqlite
def test_a_contact_that_is_put_away_leaves_the_member_and_comes_back_whole(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    now.contact("C1", "ann@shop.example", firstname="Ann")
    known = now.known("C1")
    now.hears("crm", ContactGone(reference="C1", occurred_at=now.clock.now() - timedelta(hours=1)))
    assert now.known("C1") == known, "what is older than what is known is ignored"
    now.clock.advance(timedelta(seconds=1))
    now.hears("crm", ContactGone(reference="C1", occurred_at=now.clock.now()))
    gone = now.known("C1")
    assert (gone.state, gone.member, gone.fields) == ("gone", ann, {})
    assert now.person(ann).attributes["first_name"] == "Ann"
    now.hears("crm", ContactGone(reference="C1", occurred_at=now.clock.now()))
    assert now.known("C1") == gone
    back = now.contact("C1", "ann@shop.example", firstname="Ann")
    assert (back.state, back.member) == ("linked", ann)


@on_sqlite
def test_a_contact_that_was_nobodys_and_is_put_away_is_forgotten(desk: Opening) -> None:
    now = desk()
    now.customer("1", verified=False, email="ann@shop.example")
    now.contact("C1", "ann@shop.example")
    now.clock.advance(timedelta(seconds=1))
    now.hears("crm", ContactGone(reference="C1", occurred_at=now.clock.now()))
    assert now.find("C1") is None
    assert rows(now.database, select(contact_candidate)) == []
    now.hears("crm", ContactGone(reference="C9", occurred_at=now.clock.now()))
    assert now.find("C9") is None


def test_what_a_crm_owns_is_not_overwritten_by_a_shop_and_that_is_noted_once(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example", first_name="Ann")
    now.contact("C1", "ann@shop.example", firstname="Augusta")
    for _ in range(3):
        now.customer("1", email="ann@shop.example", first_name="Ann", last_name="Ames")
    assert now.person(ann).attributes == {
        "email": "ann@shop.example", "first_name": "Augusta", "last_name": "Ames",
    }  # fmt: skip
    assert now.said() == [("first_name", "Ann", "Augusta", "theirs", "theirs")]
    now.customer("1", email="ann@shop.example", first_name="Anne")
    assert now.said()[-1] == ("first_name", "Anne", "Augusta", "theirs", "theirs")
    now.customer("1", email="ann@shop.example", first_name="Augusta")
    assert len(now.said()) == 2
    now.contact("C1", "ann@shop.example", firstname="")  # where they say nothing the shop may
    now.customer("1", email="ann@shop.example", first_name="Ann")
    assert now.person(ann).attributes["first_name"] == "Ann"


@on_sqlite
def test_what_is_newest_or_ours_a_shop_may_change(desk: Opening) -> None:
    now = desk(fields={"first_name": {"field": "firstname", "owner": "newest"}})
    ann = now.customer("1", email="ann@shop.example")
    now.contact("C1", "ann@shop.example", firstname="Augusta")
    now.customer("1", email="anna@shop.example", first_name="Ann")
    assert now.person(ann).attributes == {"email": "anna@shop.example", "first_name": "Ann"}
    assert ("crm", ann) in due(now)


@on_sqlite
def test_a_crm_that_knows_nobody_holds_no_shop_up(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example", first_name="Ann")
    now.customer("1", email="ann@shop.example", first_name="Anna")
    assert now.person(ann).attributes["first_name"] == "Anna"
    assert due(now) == [("crm", ann)], "they may get a contact"


@on_sqlite
def test_nobody_without_a_contact_is_shown_where_none_are_made(desk: Opening) -> None:
    now = desk(make_contacts="none")
    ann = now.customer("1", email="ann@shop.example")
    all_sent(now)
    now.buys("A", 10, customer="1")
    assert due(now) == []
    now.contact("C1", "ann@shop.example")
    now.buys("B", 10, customer="1")
    assert due(now) == [("crm", ann)]


def test_a_merge_of_members_takes_contacts_candidates_and_conflicts_along(desk: Opening) -> None:
    now = desk()
    ann = now.customer("1", email="ann@shop.example")
    now.customer("2", email="anna@shop.example", first_name="Anna")
    now.customer("3", verified=False, email="anna@work.example")
    now.contact("C2", "anna@shop.example", firstname="Annabel")
    assert now.contact("C3", "anna@work.example").why == "unverified"
    for gone in ("2", "3"):
        now.hears("shop", CustomersMerged(kept="1", gone=gone, occurred_at=now.clock.now()))
    assert (now.known("C2").state, now.known("C2").member) == ("linked", ann)
    assert now.candidates("C3") == [ann]
    assert [one.member for one in now.disputes()] == [ann]
    assert now.contact("C2", "anna@shop.example", firstname="Ann").member == ann
    assert now.person(ann).attributes["first_name"] == "Ann"


@pytest.mark.parametrize("asks", [True, False])
def test_whoever_is_erased_leaves_nothing_and_is_forgotten_there_where_the_settings_want_that(
    desk: Opening, asks: bool
) -> None:
    now = desk(crm("crm", erase_contacts=asks), crm("other"))
    ann = now.customer("1", email="ann@shop.example", first_name="Ann")
    now.contact("C1", "ann@shop.example", firstname="Anna")
    now.contact("O1", "ann@shop.example", source="other")
    now.customer("2", verified=False, email="ben@shop.example")
    ben = now.member("2")
    now.contact("C2", "ben@shop.example")
    now.does(lambda unit: erase_members(unit, [ann, ben]))
    for table in (contact_candidate, contact_conflict, identity, push):
        assert rows(now.database, select(table)) == [], table.name
    assert rows(now.database, select(contact)) == [], "who may be nobody else is theirs, too"
    sent = rows(now.database, select(outbox.c.connection, outbox.c.kind, outbox.c.reference))
    assert [tuple(row) for row in sent] == ([("crm", "contact_erase", "C1")] if asks else [])


@on_sqlite
def test_a_contact_that_may_be_somebody_else_stays_in_doubt_when_one_of_them_is_erased(desk: Opening) -> None:
    now = desk()
    for number in "12":
        now.customer(number, verified=False, email="ann@shop.example")
    ann, other = now.member("1"), now.member("2")
    now.contact("C1", "ann@shop.example")
    assert now.candidates("C1") == sorted([ann, other])
    now.does(lambda unit: erase_members(unit, [ann]))
    assert (now.known("C1").state, now.candidates("C1")) == ("doubtful", [other])


@on_sqlite
def test_what_is_not_told_of_a_contact_is_as_it_was(desk: Opening) -> None:
    from stampcard.domain.events import ContactSeen

    now = desk()
    ann = now.customer("1", email="ann@shop.example", first_name="Ann")
    now.contact("C1", "ann@shop.example", firstname="Anna")
    before = now.known("C1").fields["firstname"]
    assert now.person(ann).attributes["first_name"] == "Anna"
    now.clock.advance(timedelta(seconds=1))
    told = {"email": "ann@shop.example"}
    now.hears("crm", ContactSeen(reference="C1", occurred_at=now.clock.now(), fields=told, emails=tuple(told.values())))
    assert now.person(ann).attributes["first_name"] == "Anna"
    assert now.known("C1").fields["firstname"] == before
    now.contact("C1", "ann@shop.example", firstname="")
    assert not now.person(ann).attributes.get("first_name")


@on_sqlite
def test_what_is_kept_of_news_about_contacts_names_nobody(desk: Opening) -> None:
    now = desk()
    now.customer("1", email="ann@shop.example")
    now.contact("C-Secret", "ann@shop.example", firstname="Secret")
    kept = [str(row) for row in rows(now.database, select(event))]
    assert any("contact_seen" in text for text in kept)
    assert not any("Secret" in text for text in kept)


def test_a_batch_of_a_shop_and_a_crm_comes_to_the_same(desk: Opening) -> None:
    from stampcard.domain.events import ContactSeen
    from stampcard.testing.applying import apply, prepare, store

    now = desk()
    now.customer("1", email="ann@shop.example")
    at = now.clock.now() + timedelta(seconds=1)
    told = CustomerSeen(reference="1", occurred_at=at, attributes={"last_name": "Ames"})
    fields = {"email": "ann@shop.example", "firstname": "Ann"}
    seen = ContactSeen(reference="C1", occurred_at=at, fields=fields, emails=("ann@shop.example",))
    later = ContactSeen(
        reference="C1",
        occurred_at=at + timedelta(seconds=1),
        fields={**fields, "firstname": "Anna"},
        emails=seen.emails,
    )
    batch = []
    for source, one in (("shop", told), ("crm", seen), ("crm", later), ("crm", seen)):
        (id_,) = store(now.database, now.setting, b"{}", connection=source)
        batch.append(prepare(id_, one, source=source))
    assert {one.status for one in apply(now.database, now.setting, batch, at)} == {"done"}
    attributes = now.person(now.member("1")).attributes
    assert attributes == {"email": "ann@shop.example", "first_name": "Anna", "last_name": "Ames"}
