"""Members ask to be verified, people decide, time ends it, and what hangs on it follows, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from tests.core.inbox.test_perks import having, jump
from tests.core.inbox.test_segments import segments
from tests.core.shops import Shop
from tests.databases import on_sqlite

from stampcard.applying import verifying
from stampcard.applying.erasing import erase_members
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.proofs import Proof
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.storage.database import Database
from stampcard.storage.exporting import export_member
from stampcard.storage.proving import list_requests
from stampcard.storage.tables import proof, proof_request
from stampcard.testing.applying import rows

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
proofs:
  coach: {name: Coaches, evidence: {licence: The number of your licence}, valid: 12 months, recheck: 30 days}
  pupil: {valid: on 08-31}
  nurse: {ask: false}
segments: {coaches: {when: "'coach' in member.verified"}}
perks: {room: {when: "'nurse' in member.verified || 'coach' in member.verified"}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
  - {id: more, on: purchase, award: 5, when: "'coach' in member.verified"}
  - {id: try, on: proof_asked, award: 1}
  - {id: welcome, on: proof_approved, award: 100, when: event.data.proof == 'coach'}
  - {id: sorry, on: proof_refused, award: 2}
  - {id: remind, on: proof_ending, award: 10}
  - {id: over, on: proof_expired, award: 20}
  - {id: gone, on: proof_revoked, award: 30}
"""
GIVEN = {"licence": "A-123-very-own"}


@pytest.fixture
def shop(database: Database, setting: Setting) -> Shop:
    found = Shop(database, setting, PROGRAM)
    found.buys("A", 10)
    return found


def stands(shop: Shop, name: str = "coach") -> Proof:
    member = shop.member()
    found = shop.database.read_now(lambda c: verifying.proof_standings(Unit(c, shop.setting, shop.clock.now()), member))
    return next(one.one for one in found if one.one.name == name)


def does(shop: Shop, work: Any, *arguments: Any, **more: Any) -> Proof:
    def body(unit: Unit) -> Answer:
        return Answer(status=200, body={"one": work(unit, *arguments, **more).one})

    one: Proof = shop.act(body)["one"]
    return one


def asks(shop: Shop, name: str = "coach", evidence: Any = None, *, by_member: bool = True) -> Proof:
    given = GIVEN if evidence is None and name == "coach" else evidence or {}
    return does(shop, verifying.ask, shop.member(), "", name, given, by_member=by_member)


async def test_a_request_waits_and_is_approved_and_what_hangs_on_it_follows(shop: Shop) -> None:
    asked = asks(shop)
    assert (asked.status, segments(shop)) == ("asked", set())
    (waiting,) = shop.database.read_now(lambda c: list_requests(c, "main", shop.setting.sealer, "open", None, 9))
    assert (waiting.id, waiting.evidence) == (asked.request, GIVEN)
    for _ in range(2):
        one = does(shop, verifying.decide, asked.request, "Eve", approve=True)
    assert (one.status, one.until) == ("approved", datetime(2027, 3, 10, 23, tzinfo=UTC))
    assert (segments(shop), having(shop)) == ({"coaches"}, {"room"})
    shop.buys("B", 10)
    assert shop.points() == 10 + 1 + 100 + 10 + 5
    with pytest.raises(Conflict, match="approved already"):
        does(shop, verifying.decide, asked.request, "Eve", approve=False, reason="no")
    stored = rows(shop.database, select(proof_request.c.evidence_sealed, proof_request.c.decided_by))
    assert stored[0].decided_by == "Eve"
    assert b"very-own" not in stored[0].evidence_sealed
    shop.proves()


@on_sqlite
async def test_a_refusal_has_a_reason_and_the_member_can_ask_again(shop: Shop) -> None:
    request = asks(shop).request
    with pytest.raises(RequestRefused, match="say why"):
        does(shop, verifying.decide, request, "Eve", approve=False)
    with pytest.raises(Conflict, match="is open"):
        asks(shop)
    one = does(shop, verifying.decide, request, "Eve", approve=False, reason="not in the register")
    assert (one.status, one.reason) == ("refused", "not in the register")
    assert asks(shop).status == "asked"


@on_sqlite
async def test_it_is_told_of_ahead_once_asked_for_anew_and_goes_on_from_its_end(shop: Shop) -> None:
    does(shop, verifying.decide, asks(shop).request, "Eve", approve=True)
    await jump(shop, "2027-02-08")
    assert shop.points() == 111
    for day in ("2027-02-09", "2027-02-10"):
        await jump(shop, day)
        assert shop.points() == 121
    again = asks(shop)
    assert (again.status, segments(shop)) == ("approved", {"coaches"})
    one = does(shop, verifying.decide, again.request, "Eve", approve=True)
    assert one.until == datetime(2028, 3, 10, 23, tzinfo=UTC)
    await jump(shop, "2028-03-12")
    assert (stands(shop).status, segments(shop), having(shop)) == ("expired", set(), set())
    shop.proves()


async def test_what_was_approved_outlives_a_request_that_is_refused_or_that_waits(shop: Shop) -> None:
    does(shop, verifying.decide, asks(shop).request, "Eve", approve=True)
    one = does(shop, verifying.decide, asks(shop).request, "Eve", approve=False, reason="unreadable")
    assert (one.status, one.reason, segments(shop)) == ("approved", "unreadable", {"coaches"})
    asks(shop)
    await jump(shop, "2027-03-12")
    assert (stands(shop).status, bool(stands(shop).request), segments(shop)) == ("asked", True, set())


async def test_a_day_of_the_year_is_the_next_one(shop: Shop) -> None:
    assert does(shop, verifying.verify, shop.member(), "", "pupil", None).until == datetime(2026, 8, 31, 22, tzinfo=UTC)
    assert does(shop, verifying.verify, shop.member(), "", "pupil", None).until == datetime(2027, 8, 31, 22, tzinfo=UTC)


@on_sqlite
async def test_people_verify_and_revoke(shop: Shop) -> None:
    member = shop.member()
    with pytest.raises(RequestRefused, match="nobody asks for nurse"):
        asks(shop, "nurse")
    assert does(shop, verifying.verify, member, "", "nurse", None).until is None
    assert having(shop) == {"room"}
    assert does(shop, verifying.revoke, member, "", "nurse", "the licence ended").status == "revoked"
    assert (having(shop), shop.points()) == (set(), 40)
    end = datetime(2026, 4, 1, 22, tzinfo=UTC)
    assert does(shop, verifying.verify, member, "", "coach", end).until == end
    await jump(shop, "2026-04-02")
    assert stands(shop).status == "expired"


async def test_what_cannot_be_is_refused(shop: Shop) -> None:
    member = shop.member()
    asked: list[tuple[tuple[Any, ...], type[Exception], str]] = [
        (("coach", {}), RequestRefused, "'licence' is missing: The number of your licence"),
        (("coach", {**GIVEN, "age": "7"}), RequestRefused, "'age' is not asked for coach"),
        (("coach", {"licence": "x" * 1001}), RequestRefused, "too long"),
        (("couch",), NotFound, "mean 'coach'"),
    ]
    for arguments, error, match in asked:
        with pytest.raises(error, match=match):
            asks(shop, *arguments)
    with pytest.raises(NotFound, match="no request"):
        does(shop, verifying.decide, "v_none", "Eve", approve=True)
    done: list[tuple[tuple[Any, ...], str]] = [
        ((verifying.revoke, member, "", "nurse", "why"), "is not verified"),
        ((verifying.revoke, member, "", "nurse", " "), "say why"),
        ((verifying.verify, member, "", "nurse", datetime(2020, 1, 1, tzinfo=UTC)), "is past"),
    ]
    for arguments, match in done:
        with pytest.raises(RequestRefused, match=match):
            does(shop, *arguments)


async def test_evidence_is_exported_to_its_member_and_goes_with_an_erasure(shop: Shop) -> None:
    does(shop, verifying.decide, asks(shop).request, "Eve", approve=True)
    member = shop.member()
    mine = shop.database.read_now(lambda c: export_member(c, "main", shop.setting.sealer, member, for_shopper=True))
    assert [one["evidence"] for one in mine["proof_request"]] == [GIVEN]
    assert "Eve" not in str(mine)

    def erase(unit: Unit) -> Answer:
        erase_members(unit, [member])
        return Answer(status=204, body={})

    shop.act(erase)
    assert not [*rows(shop.database, select(proof)), *rows(shop.database, select(proof_request))]


async def test_another_version_may_verify_something_else(shop: Shop) -> None:
    does(shop, verifying.verify, shop.member(), "", "coach", None)
    shop.applies(PROGRAM.replace("  coach: {name", "  trainer: {name").replace("'coach'", "'trainer'"))
    await shop.timer.tick()
    assert (segments(shop), having(shop)) == (set(), set())
    does(shop, verifying.verify, shop.member(), "", "trainer", None)
    assert segments(shop) == {"coaches"}
    await jump(shop, "2027-04-01")  # what is not verified any more ends as well, and nothing stumbles
    assert segments(shop) == set()


async def test_what_ended_is_shown_as_such_before_the_timer_looked(shop: Shop) -> None:
    does(shop, verifying.verify, shop.member(), "", "coach", None)
    shop.clock.advance(timedelta(days=400))
    assert stands(shop).status == "expired"


async def test_a_request_for_what_is_verified_no_more_can_be_refused(shop: Shop) -> None:
    request = asks(shop).request
    shop.clock.advance(60)
    shop.applies(PROGRAM.replace("  coach:", "  trainer:").replace("'coach'", "'trainer'"))
    with pytest.raises(NotFound, match="coach"):
        does(shop, verifying.decide, request, "Eve", approve=True)
    one = does(shop, verifying.decide, request, "Eve", approve=False, reason="not any more")
    assert (one.status, one.request) == ("refused", "")
    assert shop.database.read_now(lambda c: list_requests(c, "main", shop.setting.sealer, "open", None, 9)) == []
