"""The counter over HTTP: cards are recognised, and what is done at tills counts once, whenever and however often it is told."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, text
from tests.core.engine.test_codes import shown as rotated

from stampcard.applying import selling
from stampcard.applying.unit import Unit
from stampcard.domain.events import CustomerErased, Event
from stampcard.domain.members import Member
from stampcard.domain.tills import Act, Booked
from stampcard.domain.value import replace
from stampcard.engine.codes import made_code, rotating_code
from stampcard.errors import RequestRefused
from stampcard.plugin import Capabilities, ConnectionContext, FactSource, PluginManifest, PluginSettings, hookimpl
from stampcard.sealing import Sealer
from stampcard.storage import tills
from stampcard.storage.tables import act as act_table
from stampcard.storage.tables import card_moment, effect
from stampcard.storage.verifying import verify
from stampcard_webhooks import booking

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
attributes: {phone: string}
wallets: {points: {refunds: {policy: unlimited}}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
rewards:
  coffee: {name: Free coffee, gives: 3 EUR off, price: 10, by: shop}
  mug: {name: A mug, gives: merchandise, price: 30, stock: 1}
  own: {gives: 5 EUR off, price: 20, by: own}
  pick: {gives: 'choice of coffee, own', price: 5}
card: {redeem: any}
"""
TILL = "berlin-1"


@pytest.fixture(params=["sqlite"])
async def served(request: pytest.FixtureRequest, serve: Any) -> Any:
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "new_postgresql")
    found = await serve(url if isinstance(url, str) else url())
    await found.prepare(PROGRAM)
    return found


on_both = pytest.mark.parametrize("served", ["sqlite", "postgresql"], indirect=True)


class Counter:
    """A till with its key, and a member with a card."""

    def __init__(self, served: Any, member: str, card: dict[str, Any]) -> None:
        self.served, self.member, self.card = served, member, card
        self.number = card["number"]

    async def tell(self, *acts: dict[str, Any], till: str = TILL) -> Any:
        answer = await self.served.call("POST", "/counter/acts", {"till": till, "acts": acts}, scopes=("counter",))
        assert answer.status == 200, answer.body
        return answer.body["items"] if len(acts) > 1 else answer.body["items"][0]

    async def act(self, id_: str, kind: str, **more: Any) -> Any:
        given = {"card": self.number} if kind in {"earn", "redeem"} else {}
        at = more.pop("at", None)
        told = {"id": id_, "kind": kind, **given, **more, **({"at": at.isoformat()} if at else {})}
        return await self.tell(told)

    async def points(self) -> int:
        return int((await self.served.figures(self.member))[0])

    def made(self) -> str:
        setting = self.served.application.setting
        return made_code(setting.sealer, "main", self.number, self.served.clock.now())

    def rotating(self, at: datetime | None = None) -> str:
        setting = self.served.application.setting
        return rotated(rotating_code(setting.sealer, "main", self.number), at or self.served.clock.now())

    async def look(self, code: str, **query: str) -> Any:
        path = f"/cards/{code}" + ("?" + "&".join(f"{k}={v}" for k, v in query.items()) if query else "")
        return await self.served.call("GET", path, scopes=("counter",))


@pytest.fixture
async def counter(served: Any) -> Counter:
    member = await served.rich(25, first_name="Ann", phone="+4930123456")
    return Counter(served, member, (await served.call("POST", f"/members/{member}/card")).body)


async def proved(served: Any) -> None:
    found = await served.application.database.read(lambda connection: verify(connection, "main"))
    assert (found.findings, found.total) == ((), 0)


async def test_a_card_tells_who_stands_there_and_what_they_can_have(counter: Counter) -> None:
    for code, known in (
        (counter.number, "any"),
        (counter.card["code"], "scanned"),
        (counter.made(), "fresh"),
        (counter.rotating(), "fresh"),
        ("%2B4930123456", "any"),
    ):
        found = await counter.look(code)
        assert (found.status, found.body["member"], found.body["known"]) == (200, counter.member, known)
    body = found.body
    assert (body["first_name"], body["balances"]["points"]["active"]) == ("Ann", 25)
    assert {one["reward"]: one["usable"] for one in body["rewards"]} == {
        "coffee": True, "mug": False, "own": True, "pick": True,
    }  # fmt: skip


async def test_a_code_of_its_moment_is_good_once_and_for_one_scanning(counter: Counter) -> None:
    for make in (counter.made, counter.rotating):
        code = make()
        assert (await counter.look(code, scan="s1")).status == 200
        assert (await counter.look(code, scan="s1")).status == 200, "a till may ask again"
        again = await counter.look(code, scan="s2")
        assert (again.status, again.body["code"]) == (422, "shown_before")
        assert (await counter.look(code)).body["code"] == "shown_before"
        act = await counter.act(f"a-{code[0]}", "earn", card=code, amount="5.00")
        assert (act["status"], act["code"]) == ("refused", "shown_before")
        counter.served.clock.advance(timedelta(minutes=10))
        act = await counter.act(f"b-{code[0]}", "earn", card=code, scan="s1", amount="5.00")
        assert (act["status"], act["known"]) == ("done", "fresh"), "the cashier took their time"
        counter.served.clock.advance(timedelta(minutes=30))
        act = await counter.act(f"c-{code[0]}", "earn", card=code, scan="s1", amount="5.00")
        assert act["code"] == "stale"


@pytest.mark.parametrize(
    ("code", "refusal"),
    [("hello", "no_code"), ("123456789012", "mistyped"), ("%2B49", "no_code"), ("%2B4930999999", "not_found")],
)
async def test_what_is_no_card_says_what_to_do(counter: Counter, code: str, refusal: str) -> None:
    found = await counter.look(code)
    assert found.body["code"] == refusal
    assert len(found.body["detail"]) > 20


async def test_a_key_of_the_counter_can_do_nothing_else(counter: Counter) -> None:
    for method, path in (
        ("GET", "/members"), ("GET", f"/members/{counter.member}"), ("GET", "/counter/acts"),
        ("POST", f"/counter/acts/{TILL}/a/accept"), ("POST", f"/members/{counter.member}/spends"),
    ):  # fmt: skip
        answer = await counter.served.call(method, path, {} if method == "POST" else None, scopes=("counter",))
        assert answer.status == 403, path
    assert (await counter.served.call("GET", f"/cards/{counter.number}", scopes=("members:read",))).status == 403


@on_both
async def test_a_sale_earns_once_however_often_it_is_told(counter: Counter) -> None:
    first = await counter.act("r1", "earn", amount="12.50", receipt="0815")
    assert (first["status"], first["points"], first["member"]) == ("done", {"points": 12}, counter.member)
    counter.served.clock.advance(timedelta(seconds=5))
    first_told = {"id": "r2", "kind": "earn", "card": counter.number, "amount": "8.00", "at": first["at"]}
    one = await counter.tell(first_told)
    again = await counter.tell(first_told)
    assert again == one
    other = await counter.tell({**first_told, "amount": "80.00"})
    assert (other["status"], other["code"]) == ("refused", "act_exists")
    assert await counter.points() == 25 + 12 + 8
    elsewhere = await counter.tell(first_told, till="berlin-2")
    assert elsewhere["status"] == "done"
    await proved(counter.served)


@on_both
async def test_a_sale_comes_back_in_parts_and_to_the_point(counter: Counter) -> None:
    await counter.act("r1", "earn", amount="100.00")
    assert await counter.points() == 125
    counter.served.clock.advance(timedelta(days=1))
    part = await counter.act("b1", "return", of="r1", amount="40.00")
    assert (part["status"], part["points"]) == ("done", {"points": -40})
    more = await counter.act("b2", "return", of="r1", amount="60.01")
    assert (more["status"], more["code"]) == ("refused", "more_than_sold")
    rest = await counter.act("b3", "return", of="r1")
    assert rest["points"] == {"points": -60}
    assert (await counter.act("b4", "return", of="r1"))["code"] == "more_than_sold"
    assert await counter.points() == 25
    await proved(counter.served)


@on_both
@pytest.mark.parametrize("reward", ["coffee", "own", "mug"])
async def test_a_reward_is_handed_out_and_taken_back_within_two_minutes(counter: Counter, reward: str) -> None:
    await counter.act("r0", "earn", amount="20.00")
    before = await counter.points()
    done = await counter.act("r1", "redeem", reward=reward)
    assert done["status"] == "done", done
    price = -done["points"]["points"]
    assert await counter.points() == before - price
    shown = await counter.served.call("GET", f"/redemptions/{done['redemption']}")
    assert shown.body["status"] == "used"
    undone = await counter.act("u1", "undo", of="r1")
    assert (undone["status"], undone["points"]) == ("done", {"points": price})
    assert await counter.points() == before
    assert (await counter.served.call("GET", f"/redemptions/{done['redemption']}")).body["status"] == "revoked"
    assert (await counter.act("u2", "undo", of="r1"))["code"] == "already_undone"
    assert (await counter.act("r2", "redeem", reward=reward))["status"] == "done", "its stock is back, too"
    await proved(counter.served)


@on_both
async def test_a_sale_is_undone_only_for_two_minutes(counter: Counter) -> None:
    await counter.act("r1", "earn", amount="10.00")
    counter.served.clock.advance(timedelta(seconds=119))
    assert (await counter.act("u1", "undo", of="r1"))["points"] == {"points": -10}
    await counter.act("r2", "earn", amount="10.00")
    counter.served.clock.advance(timedelta(seconds=121))
    late = await counter.act("u2", "undo", of="r2")
    assert (late["status"], late["code"]) == ("refused", "too_late")
    assert "take the sale back" in late["detail"]
    assert await counter.points() == 35
    assert (await counter.act("u3", "undo", of="nothing"))["code"] == "not_found"
    await proved(counter.served)


async def test_what_can_never_be_taken_back_is_refused_and_waits_for_nobody(counter: Counter) -> None:
    at = counter.served.clock.now()
    await counter.act("e", "enrol", phone="+491712345678")
    await counter.act("s", "earn", amount="5.00")
    await counter.act("u", "undo", of="s")
    counter.served.clock.advance(timedelta(hours=1))
    for id_, kind, of, code in (
        ("a", "undo", "", "no_act"),
        ("b", "return", "", "no_act"),
        ("c", "undo", "u", "wrong_kind"),
        ("d", "return", "e", "wrong_kind"),
        ("f", "undo", "f", "wrong_kind"),
    ):
        refused = await counter.act(id_, kind, of=of, at=at)
        assert (refused["status"], refused["code"]) == ("refused", code), id_
    assert (await counter.act("g", "return", of="e"))["detail"] == "e is of the kind enrol: return is for earn"
    assert (await counter.act("h", "use", at=at))["code"] == "no_reward"


async def test_a_reward_that_is_held_is_taken_in_and_the_mistake_undone(counter: Counter) -> None:
    taken = (await counter.served.call("POST", f"/members/{counter.member}/redemptions", {"reward": "own"})).body
    used = await counter.act("r1", "use", code=taken["code"])
    assert (used["status"], used["redemption"]) == ("done", taken["id"])
    assert (await counter.act("r2", "use", code=taken["code"]))["code"] == "already_used"
    assert (await counter.act("u1", "undo", of="r1"))["status"] == "done"
    assert (await counter.served.call("GET", f"/redemptions/{taken['id']}")).body["status"] == "issued"
    unshown = await counter.tell({"id": "r3", "kind": "use", "redemption": taken["id"]})
    assert unshown["code"] == "no_code", "its number alone is no proof of whose it is"
    other = await counter.served.rich(1, "2")
    assert (await counter.act("r4", "use", member=other, redemption=taken["id"]))["code"] == "not_found"
    assert (await counter.act("r5", "use", card=counter.number, redemption=taken["id"]))["status"] == "done"


async def test_what_cannot_be_had_is_refused_with_its_reason(counter: Counter) -> None:
    for told, code in (
        ({"reward": "mug"}, "insufficient_points"),
        ({"reward": "none"}, "not_found"),
        ({}, "no_reward"),
        ({"reward": "pick"}, "picked_on_its_page"),
    ):
        refused = await counter.act(f"r-{code}", "redeem", **told)
        assert (refused["status"], refused["code"]) == ("refused", code)
    assert await counter.points() == 25
    assert (await counter.act("e", "earn"))["code"] == "no_amount"


async def test_rewards_need_a_card_that_is_shown_as_the_program_says(counter: Counter) -> None:
    await counter.served.prepare(PROGRAM.replace("redeem: any", "redeem: fresh"))
    assert (await counter.act("r1", "redeem", reward="own"))["code"] == "card_not_shown"
    assert (await counter.act("r2", "redeem", reward="own", card=counter.card["code"]))["code"] == "card_not_shown"
    code = counter.made()
    assert (await counter.look(code, scan="s")).body["may_redeem"] is True
    assert (await counter.act("r3", "redeem", reward="own", card=code, scan="s"))["status"] == "done"


async def test_a_shift_gives_no_more_than_the_program_lets_it(counter: Counter) -> None:
    await counter.served.prepare(PROGRAM + "counter: {points: 50, value: 5, typed: 3}\n")
    assert (await counter.act("r1", "earn", amount="40.00"))["status"] == "done"
    over = await counter.act("r2", "earn", amount="11.00", card=counter.card["code"])
    assert (over["status"], over["code"]) == ("refused", "shift_limit")
    assert "points: 50" in over["detail"]
    assert (await counter.act("u1", "undo", of="r1"))["status"] == "done"
    assert (await counter.act("r3", "earn", amount="50.00", card=counter.card["code"]))["status"] == "done"
    assert (await counter.act("r4", "earn", amount="50.00", shift="late", card=counter.card["code"]))[
        "status"
    ] == "done"
    assert (await counter.act("r5", "redeem", reward="coffee", card=counter.card["code"]))["status"] == "done"
    assert (await counter.act("r6", "redeem", reward="own", card=counter.card["code"]))["code"] == "shift_limit"
    assert (await counter.act("u5", "undo", of="r5"))["status"] == "done"
    assert (await counter.act("r7", "redeem", reward="own", card=counter.card["code"]))["status"] == "done", (
        "5 of 5 EUR"
    )
    typed = [await counter.act(f"t{n}", "redeem", reward="coffee", shift="typed") for n in range(1)]
    assert [one["status"] for one in typed] == ["done"]


async def test_a_walk_in_becomes_a_member_once_and_can_earn_by_their_number(counter: Counter) -> None:
    told = {"phone": "+49 171 2345678", "first_name": "Cleo"}
    new = await counter.act("e1", "enrol", **told)
    assert new["status"] == "done"
    assert (await counter.act("e2", "enrol", **told))["member"] == new["member"]
    assert (await counter.act("e3", "enrol", phone="030 1"))["code"] == "no_phone"
    assert (await counter.act("e4", "enrol", first_name="Nobody"))["code"] == "no_address"
    earned = await counter.act("r1", "earn", card="+491712345678", amount="7.00")
    assert (earned["status"], earned["member"]) == ("done", new["member"])
    assert (await counter.served.call("GET", f"/members/{new['member']}/card")).status == 200


def queue(counter: Counter, began: datetime, chance: random.Random) -> list[dict[str, Any]]:
    """What a till did in six hours without us: 200 sales and rewards, some undone, some on codes that rotate."""
    acts: list[dict[str, Any]] = []
    for number in range(160):
        at = began + timedelta(minutes=2 * number, seconds=chance.randrange(60))
        card = chance.choice([counter.number, counter.card["code"], counter.rotating(at)])
        kind = chance.choice(["earn", "earn", "redeem"])
        told = {"amount": f"{chance.randrange(1, 20)}.00"} if kind == "earn" else {"reward": "own"}
        acts.append({"id": f"q{number}", "kind": kind, "at": at.isoformat(), "card": card, **told})
        if number % 4 == 0:
            later = at + timedelta(seconds=chance.choice([30, 90, 300]))
            acts.append({"id": f"u{number}", "kind": "undo", "of": f"q{number}", "at": later.isoformat()})
    return acts


@pytest.mark.parametrize(("served", "seed"), [("sqlite", 1), ("postgresql", 2)], indirect=["served"])
async def test_a_till_that_was_without_us_for_six_hours_counts_once_and_what_overspends_waits_for_a_person(
    counter: Counter, seed: int
) -> None:
    chance, began = random.Random(seed), counter.served.clock.now()
    acts = queue(counter, began, chance)
    assert len(acts) == 200
    counter.served.clock.advance(timedelta(hours=5, minutes=58))
    told = acts + acts
    chance.shuffle(told)
    while told:
        many, told = told[:37], told[37:]
        unique = {one["id"]: one for one in many}
        assert len(await counter.tell(*unique.values())) == len(unique)
    found = {}
    for act in acts:
        answer = await counter.served.call("GET", f"/counter/acts/{TILL}/{act['id']}", scopes=("counter",))
        found[act["id"]] = answer.body
    counts = {"done", "undone"}
    earned = sum(one["points"]["points"] for one in found.values() if one["kind"] == "earn" and one["status"] == "done")
    spent = -sum(
        one["points"]["points"] for one in found.values() if one["kind"] == "redeem" and one["status"] == "done"
    )
    balance = (await counter.served.call("GET", f"/members/{counter.member}")).body["balances"]["points"]
    assert balance["active"] - balance["negative"] == 25 + earned - spent
    assert all(one["status"] in counts for one in found.values() if one["kind"] == "earn"), "no sale is lost"
    held = [one for one in found.values() if one["kind"] == "redeem" and one["status"] == "held"]
    assert held
    assert {one["code"] for one in held} == {"insufficient_points"}
    assert await counter.points() < 20, "whatever the points suffice for is booked, in whatever order it came"
    late = [one for one in found.values() if one["kind"] == "undo" and one["code"] == "too_late"]
    assert late
    listed = (await counter.served.call("GET", "/counter/acts?status=held&limit=200")).body["items"]
    assert {one["id"] for one in held} <= {one["id"] for one in listed}
    await proved(counter.served)


async def test_a_person_books_what_was_held_or_lets_it_be(counter: Counter) -> None:
    at = counter.served.clock.now()
    counter.served.clock.advance(timedelta(hours=1))
    held = await counter.act("r1", "redeem", reward="mug", at=at)
    assert (held["status"], held["code"]) == ("held", "insufficient_points")
    other = await counter.act("r2", "redeem", reward="mug", at=at)
    path = f"/counter/acts/{TILL}"
    refused = await counter.served.call("POST", f"{path}/r1/accept", {})
    assert (refused.status, refused.body["code"]) == (409, "insufficient_points")
    await counter.served.call(
        "POST", f"/members/{counter.member}/adjustments", {"wallet": "points", "points": 20, "reason": "a gift"}
    )
    accepted = await counter.served.call("POST", f"{path}/r1/accept", {"note": "she had it"})
    assert (accepted.status, accepted.body["status"], accepted.body["note"]) == (200, "done", "she had it")
    dismissed = await counter.served.call("POST", f"{path}/{other['id']}/dismiss", {"note": "a mistake"})
    assert (dismissed.body["status"], dismissed.body["note"]) == ("dismissed", "a mistake")
    again = await counter.served.call("POST", f"{path}/r1/accept", {})
    assert (again.status, again.body["code"]) == (409, "already_done")
    assert await counter.points() == 15


async def test_what_is_too_old_or_has_not_come_is_refused(counter: Counter) -> None:
    now = counter.served.clock.now()
    assert (await counter.act("r1", "earn", amount="5.00", at=now + timedelta(minutes=6)))["code"] == "in_the_future"
    assert (await counter.act("r2", "earn", amount="5.00", at=now - timedelta(hours=6, minutes=1)))["code"] == "too_old"
    assert await counter.points() == 25


async def test_whoever_is_erased_is_not_told_of_by_what_was_done_at_the_counter(counter: Counter) -> None:
    await counter.act("r1", "earn", amount="5.00", first_name="Ann")
    await counter.served.apply(CustomerErased(reference="1", occurred_at=counter.served.clock.now()))
    shown = (await counter.served.call("GET", f"/counter/acts/{TILL}/r1")).body
    assert (shown["status"], shown["amount"], shown["detail"]) == ("done", None, None)
    assert (await counter.look(counter.number)).status == 404


@on_both
async def test_tills_and_the_shop_draw_on_the_same_points_at_once(counter: Counter) -> None:
    await counter.act("r0", "earn", amount="75.00")
    assert await counter.points() == 100

    async def till(number: int) -> bool:
        told = {"id": f"a{number}", "kind": "redeem", "card": counter.number, "reward": "own"}
        return bool((await counter.tell(told, till=f"till-{number % 3}"))["status"] == "done")

    async def shop() -> bool:
        path = f"/members/{counter.member}/redemptions"
        return bool((await counter.served.call("POST", path, {"reward": "own"})).status == 201)

    taken = await asyncio.gather(*(till(number) for number in range(8)), *(shop() for _ in range(4)))
    assert sum(taken) == 5
    assert await counter.points() == 0
    await proved(counter.served)


@on_both
async def test_a_shift_that_several_devices_share_gives_no_more_than_it_may(counter: Counter) -> None:
    await counter.served.prepare(PROGRAM + "counter: {points: 50}\n")

    async def sale(number: int) -> str:
        told = {"id": f"a{number}", "kind": "earn", "card": counter.card["code"], "amount": "10.00", "shift": "s"}
        return str((await counter.tell(told))["status"])

    said = await asyncio.gather(*(sale(number) for number in range(8)))
    assert sorted(said) == ["done"] * 5 + ["refused"] * 3
    assert await counter.points() == 75


@on_both
async def test_the_same_act_told_at_once_counts_once(counter: Counter) -> None:
    told = {
        "id": "a",
        "kind": "earn",
        "card": counter.number,
        "amount": "10.00",
        "at": counter.served.clock.now().isoformat(),
    }
    answers = await asyncio.gather(*(counter.tell(told) for _ in range(6)))
    assert {one["status"] for one in answers} == {"done"}
    assert await counter.points() == 35
    await proved(counter.served)


async def test_a_person_may_book_what_was_more_than_a_shift_may_give(counter: Counter) -> None:
    await counter.served.prepare(PROGRAM + "counter: {points: 50}\n")
    at = counter.served.clock.now()
    counter.served.clock.advance(timedelta(hours=1))
    held = await counter.act("r1", "earn", amount="80.00", at=at)
    assert (held["status"], held["code"]) == ("held", "shift_limit")
    accepted = await counter.served.call("POST", f"/counter/acts/{TILL}/r1/accept", {"note": "a wedding"})
    assert (accepted.status, accepted.body["points"]) == (200, {"points": 80})


MILES = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {refunds: {policy: unlimited}}, miles: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR, wallet: points}
rewards:
  fly: {gives: 200 to miles, wallet: points, price: 10}
card: {redeem: any}
"""


async def test_points_that_went_into_another_wallet_are_not_given_back_by_undoing(counter: Counter) -> None:
    await counter.served.prepare(MILES)
    assert (await counter.act("r1", "redeem", reward="fly"))["status"] == "done"
    assert (await counter.act("u1", "undo", of="r1"))["code"] == "paid_out"
    member = (await counter.served.call("GET", f"/members/{counter.member}")).body
    assert {name: one["active"] for name, one in member["balances"].items()} == {"points": 15, "miles": 200}


async def test_an_idempotency_key_repeats_a_request_of_several_acts(counter: Counter) -> None:
    acts = [{"id": id_, "kind": "earn", "card": counter.number, "amount": "1.00"} for id_ in ("a", "b")]
    told = [
        await counter.served.call(
            "POST", "/counter/acts", {"till": TILL, "acts": acts}, headers={"Idempotency-Key": "k"}
        )
        for _ in range(2)
    ]
    assert [(one.status, [act["points"] for act in one.body["items"]]) for one in told] == [
        (200, [{"points": 1}, {"points": 1}])
    ] * 2
    assert await counter.points() == 27


async def test_an_act_without_a_time_is_the_same_when_it_is_told_later(counter: Counter) -> None:
    told = {"id": "a", "kind": "earn", "card": counter.number, "amount": "1.00"}
    first = await counter.tell(told)
    counter.served.clock.advance(timedelta(seconds=3))
    assert await counter.tell(told) == first
    assert (await counter.tell({**told, "amount": "2.00"}))["code"] == "act_exists"


async def test_two_acts_of_one_name_in_a_request_are_refused_with_the_name(counter: Counter) -> None:
    acts = [{"id": "a", "kind": "earn", "card": counter.number, "amount": amount} for amount in ("1.00", "2.00")]
    answer = await counter.served.call("POST", "/counter/acts", {"till": TILL, "acts": acts})
    assert (answer.status, "'a'" in answer.body["errors"][0]["message"]) == (422, True)
    assert await counter.points() == 25


async def test_a_day_of_sales_with_their_lines_is_told_at_once(counter: Counter) -> None:
    line = {"amount": "3.50", "sku": "COFFEE-LARGE-0815", "product": "Coffee, large, to take away"}
    acts = [
        {"id": f"sale-of-this-day-{n}", "kind": "earn", "card": counter.card["code"], "lines": [line] * 3}
        for n in range(200)
    ]
    told = await counter.tell(*acts)
    assert {one["status"] for one in told} == {"done"}
    assert await counter.points() == 25 + 200 * 10


async def test_an_undoing_that_comes_before_its_sale_waits_for_it(counter: Counter) -> None:
    at = counter.served.clock.now()
    counter.served.clock.advance(timedelta(minutes=3))
    assert (await counter.act("u1", "undo", of="r1", at=at + timedelta(seconds=30)))["status"] == "held"
    assert (await counter.act("r1", "earn", amount="10.00", at=at))["status"] == "undone"
    assert await counter.points() == 25


async def test_whoever_accepts_an_act_vouches_for_it_whatever_the_limits(counter: Counter) -> None:
    await counter.served.prepare(PROGRAM + "counter: {points: 50}\n")
    at = counter.served.clock.now()
    counter.served.clock.advance(timedelta(hours=1))
    assert (await counter.act("r1", "earn", amount="40.00", at=at))["status"] == "done"
    assert (await counter.act("r2", "earn", amount="40.00", at=at))["code"] == "shift_limit"
    assert (await counter.act("u1", "undo", of="r1", at=at + timedelta(minutes=3)))["code"] == "too_late"
    for id_ in ("r2", "u1"):
        answer = await counter.served.call("POST", f"/counter/acts/{TILL}/{id_}/accept", {"note": "I saw it"})
        assert (answer.status, answer.body["status"], answer.body["note"]) == (200, "done", "I saw it")
    assert await counter.points() == 25 + 40


async def test_what_comes_back_lowers_the_shift_that_gave_it(counter: Counter) -> None:
    await counter.served.prepare(PROGRAM + "counter: {points: 50}\n")
    await counter.act("r1", "earn", amount="50.00")
    counter.served.clock.advance(timedelta(days=1))
    assert (await counter.act("b1", "return", of="r1"))["points"] == {"points": -50}
    assert (await counter.act("r2", "earn", amount="50.00"))["status"] == "done"
    assert (await counter.act("r3", "earn", amount="50.00"))["code"] == "shift_limit"


async def test_what_a_return_took_is_told_as_it_was(counter: Counter) -> None:
    await counter.served.prepare(PROGRAM.replace("{refunds: {policy: unlimited}}", "{}"))
    await counter.act("r1", "earn", amount="100.00")
    for n in range(6):
        await counter.act(f"h{n}", "redeem", reward="own")
    before = await counter.points()
    back = await counter.act("b1", "return", of="r1")
    assert back["points"] == {"points": await counter.points() - before}
    await proved(counter.served)


async def test_a_shops_code_that_is_taken_in_here_is_good_no_more_there(counter: Counter) -> None:
    taken = (await counter.served.call("POST", f"/members/{counter.member}/redemptions", {"reward": "coffee"})).body
    await counter.served.turn()
    code = (await counter.served.call("GET", f"/redemptions/{taken['id']}")).body["code"]
    vouchers = counter.served.shop.vouchers
    assert (await counter.act("r1", "use", card=counter.number, redemption=taken["id"]))["status"] == "done"
    await counter.served.turn()
    assert code in vouchers.withdrawn
    assert (await counter.act("u1", "undo", of="r1"))["status"] == "done"
    await counter.served.turn()
    assert code not in vouchers.withdrawn


async def test_whoever_only_knows_a_number_learns_no_code(counter: Counter) -> None:
    await counter.served.prepare(PROGRAM.replace("redeem: any", "redeem: scanned"))
    taken = (await counter.served.call("POST", f"/members/{counter.member}/redemptions", {"reward": "own"})).body
    typed, scanned = await counter.look(counter.number), await counter.look(counter.card["code"])
    assert [one["code"] for one in typed.body["holds"]] == [None]
    assert [one["code"] for one in scanned.body["holds"]] == [taken["code"]]
    assert (await counter.act("r1", "use", card=counter.number, redemption=taken["id"]))["code"] == "card_not_shown"


async def test_a_choice_is_not_used_up_at_the_counter(counter: Counter) -> None:
    taken = (await counter.served.call("POST", f"/members/{counter.member}/redemptions", {"reward": "pick"})).body
    used = await counter.act("r1", "use", card=counter.number, redemption=taken["id"])
    assert used["code"] == "picked_on_its_page"
    assert (await counter.served.call("GET", f"/redemptions/{taken['id']}")).body["status"] == "issued"


@on_both
async def test_an_address_makes_one_member_also_when_two_tills_ask_at_once(counter: Counter) -> None:
    told = [counter.tell({"id": "e", "kind": "enrol", "email": "bo@example.com"}, till=f"t-{n}") for n in range(4)]
    made = await asyncio.gather(*told)
    assert len({one["member"] for one in made}) == 1
    assert (await counter.act("x", "enrol", email="nonsense"))["code"] == "no_email"


async def test_what_was_said_of_people_who_are_no_members_is_forgotten(counter: Counter) -> None:
    at = counter.served.clock.now()
    await counter.act("r1", "earn", card="+4930999999", amount="5.00")
    counter.served.clock.advance(timedelta(hours=1))
    await counter.act("r2", "earn", card="+4930999998", amount="5.00", at=at)
    await counter.served.call("POST", f"/counter/acts/{TILL}/r2/dismiss", {"note": "nobody"})
    everything = await counter.served.read(select(act_table))
    assert "493099999" not in repr([tuple(row) for row in everything])
    counter.served.clock.advance(timedelta(days=40))
    await counter.served.application.timer.tick()
    assert [row.body_sealed for row in await counter.served.read(select(act_table))] == [None, None]


async def test_what_a_till_tells_late_of_a_member_who_was_merged_counts_for_whoever_they_are_now(
    counter: Counter,
) -> None:
    other, at = await counter.served.rich(5, "2"), counter.served.clock.now()
    sold = await counter.act("s", "earn", member=other, amount="3.00")
    counter.served.clock.advance(timedelta(hours=1))
    assert (await counter.act("h", "redeem", member=other, reward="mug", at=at))["code"] == "insufficient_points"
    merged = await counter.served.call("POST", f"/members/{other}/merge", {"into": counter.member})
    assert merged.status == 201, merged.body
    late = await counter.act("m", "earn", member=other, amount="7.00", at=at)
    assert (late["status"], late["member"]) == ("done", counter.member)
    held = (await counter.served.call("GET", f"/counter/acts/{TILL}/h")).body
    assert (held["status"], held["member"]) == ("done", counter.member), "their points suffice together"
    back = await counter.act("b", "return", of=sold["id"])
    assert (back["status"], back["member"], back["points"]) == ("done", counter.member, {"points": -3})
    assert await counter.points() == 25 + 5 + 7 - 30
    await proved(counter.served)


async def test_a_late_act_of_a_member_who_is_none_is_kept_with_all_that_was_said(counter: Counter) -> None:
    at = counter.served.clock.now()
    counter.served.clock.advance(timedelta(hours=1))
    held = await counter.act("m", "earn", member="m_typo", amount="7.00", receipt="0815", at=at)
    assert (held["status"], held["code"], held["amount"], held["member"]) == ("held", "not_found", "7.00", None)
    refused = await counter.served.call("POST", f"/counter/acts/{TILL}/m/accept", {})
    assert (refused.status, refused.body["code"]) == (409, "not_found"), "the act is there, and the member is not"
    assert (await counter.served.call("POST", f"/counter/acts/{TILL}/none/accept", {})).status == 404
    assert (await counter.served.call("GET", f"/counter/acts/{TILL}/m")).body["amount"] == "7.00"


async def erased(counter: Counter) -> None:
    await counter.served.apply(CustomerErased(reference="1", occurred_at=counter.served.clock.now()))


async def test_an_erasure_reaches_what_was_refused_and_what_waits(counter: Counter) -> None:
    await counter.served.prepare(PROGRAM + "counter: {points: 50}\n")
    at = counter.served.clock.now()
    # The second of them is known by no number yet: it is held, and told of all the same.
    for id_, told in (
        ("a", {"kind": "earn", "card": "+4930123456", "amount": "80.00"}),
        ("b", {"kind": "enrol", "phone": "+4930123456", "email": "nonsense", "first_name": "Ann"}),
    ):
        assert (await counter.tell({"id": id_, **told}))["status"] == "refused"
    counter.served.clock.advance(timedelta(hours=1))
    assert (await counter.act("c", "redeem", reward="mug", at=at))["status"] == "held"
    card = counter.made()
    assert (await counter.look(card, scan="s")).status == 200
    assert await counter.served.read(select(card_moment)) != []
    await erased(counter)
    for row in await counter.served.read(select(act_table)):
        assert (row.body_sealed, row.body_hash, row.note, row.asked_print) == (None, "", "", None), row.id
    assert await counter.served.read(select(card_moment)) == []
    assert [row.key for row in await counter.served.read(select(effect)) if row.key.startswith("known by:")] == []
    late = await counter.act("d", "earn", member=counter.member, amount="7.00", receipt="0815", at=at)
    assert (late["status"], late["code"], late["amount"], late["member"]) == ("held", "not_found", None, None), (
        "nothing is kept of them anew"
    )


async def test_an_act_that_tells_of_a_number_of_nobody_is_erased_with_whoever_gets_it(counter: Counter) -> None:
    assert (await counter.act("a", "earn", card="+491712345678", amount="5.00"))["code"] == "not_found"
    await counter.served.rich(1, "7", phone="+491712345678")
    await counter.served.apply(CustomerErased(reference="7", occurred_at=counter.served.clock.now()))
    (row,) = await counter.served.read(select(act_table))
    assert (row.body_sealed, row.asked_print) == (None, None)


async def test_what_is_taken_back_of_somebody_who_was_erased_is_refused_for_good(counter: Counter) -> None:
    at = counter.served.clock.now()
    await counter.act("r1", "earn", amount="10.00")
    await erased(counter)
    counter.served.clock.advance(timedelta(hours=1))
    for kind in ("undo", "return"):
        refused = await counter.act(kind, kind, of="r1", at=at)
        assert (refused["status"], refused["code"]) == ("refused", "erased")


async def test_an_undoing_whose_sale_was_forgotten_waits_with_what_it_is_about(counter: Counter) -> None:
    at = counter.served.clock.now()
    await counter.served.prepare(PROGRAM + "counter: {offline: 60 days}\n")
    counter.served.clock.advance(timedelta(hours=1))
    assert (await counter.act("u1", "undo", of="r1", at=at + timedelta(seconds=30)))["status"] == "held"
    counter.served.clock.advance(timedelta(days=40))
    await counter.served.application.timer.tick()
    assert (await counter.act("r1", "earn", amount="10.00", at=at))["status"] == "undone"


async def test_what_waits_for_what_waits_is_booked_in_one_go(counter: Counter) -> None:
    at = counter.served.clock.now()
    counter.served.clock.advance(timedelta(hours=1))
    told = await counter.tell(
        {"id": "r1", "kind": "redeem", "card": counter.number, "reward": "mug", "at": at.isoformat()},
        {"id": "u1", "kind": "undo", "of": "r1", "at": (at + timedelta(seconds=20)).isoformat()},
    )
    assert [one["status"] for one in told] == ["held", "held"]
    await counter.act("e1", "earn", amount="10.00")
    found = [(await counter.served.call("GET", f"/counter/acts/{TILL}/{id_}")).body for id_ in ("r1", "u1")]
    assert [one["status"] for one in found] == ["undone", "done"]
    assert await counter.points() == 35
    await proved(counter.served)


@pytest.mark.parametrize("waits", ["undo", "earn"])
async def test_what_comes_while_an_act_is_put_down_that_waits_for_it_is_not_missed(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, waits: str
) -> None:
    """Another process tells it, just when this one has found that there is none."""
    at = counter.served.clock.now()
    counter.served.clock.advance(timedelta(hours=1))
    real, began = selling.put_down, list[str]()
    came = {
        "undo": {"id": "first", "kind": "earn", "of": "", "card": counter.number, "amount": Decimal("10.00"), "at": at},
        "earn": {"id": "first", "kind": "enrol", "card": "", "amount": None, "phone": "+491712345678"},
    }

    def put_down(unit: Unit, act: Act, error: RequestRefused) -> Booked:
        if act.kind == waits and not began:
            began.append(act.id)
            selling.book_held(unit, real(unit, replace(act, **came[waits]), RequestRefused("late", "")))
        return real(unit, act, error)

    monkeypatch.setattr(selling, "put_down", put_down)
    told = {"undo": {"of": "first"}, "earn": {"card": "+491712345678", "amount": "7.00"}}
    assert (await counter.act("then", waits, at=at + timedelta(seconds=30), **told[waits]))["status"] == "done"
    assert began == ["then"]
    await proved(counter.served)


async def test_whoever_becomes_a_member_earns_what_was_told_of_their_number_however_many_wait(
    counter: Counter,
) -> None:
    at = counter.served.clock.now()
    counter.served.clock.advance(timedelta(hours=1))
    others = [
        {"id": f"x{n:02}", "kind": "earn", "card": f"+49309{n:05}", "amount": "1.00", "at": at.isoformat()}
        for n in range(booking.FOLLOWING + 5)
    ]
    await counter.tell(*others)
    await counter.act("y", "earn", card="+49 171 2345678", amount="7.00", at=at + timedelta(seconds=1))
    new = await counter.act("e", "enrol", phone="+491712345678")
    found = (await counter.served.call("GET", f"/counter/acts/{TILL}/y")).body
    assert (found["status"], found["member"], found["points"]) == ("done", new["member"], {"points": 7})
    assert (await counter.served.call("GET", f"/counter/acts/{TILL}/x00")).body["status"] == "held"


async def test_whoever_accepts_an_act_vouches_for_the_card_and_is_told_how_it_was_shown(counter: Counter) -> None:
    await counter.served.prepare(PROGRAM.replace("redeem: any", "redeem: scanned") + "counter: {typed: 1}\n")
    at = counter.served.clock.now()
    counter.served.clock.advance(timedelta(hours=1))
    for id_, whose in (("m", {"member": counter.member}), ("n", {"card": counter.number})):
        held = await counter.tell({"id": id_, "kind": "redeem", "reward": "coffee", "at": at.isoformat(), **whose})
        assert (held["status"], held["code"]) == ("held", "card_not_shown")
        accepted = await counter.served.call("POST", f"/counter/acts/{TILL}/{id_}/accept", {})
        assert (accepted.status, accepted.body["known"]) == (200, "any")
    (shift,) = (await counter.served.call("GET", "/counter/shifts")).body["items"]
    assert shift["typed"] == 2


async def test_a_key_repeats_an_acceptance_and_a_dismissal(counter: Counter) -> None:
    at = counter.served.clock.now()
    counter.served.clock.advance(timedelta(hours=1))
    for id_ in ("r1", "r2"):
        await counter.act(id_, "redeem", reward="mug", at=at)
    await counter.served.call(
        "POST", f"/members/{counter.member}/adjustments", {"wallet": "points", "points": 20, "reason": "a gift"}
    )
    for id_, what, status in (("r1", "accept", "done"), ("r2", "dismiss", "dismissed")):
        told = [
            await counter.served.call(
                "POST", f"/counter/acts/{TILL}/{id_}/{what}", {"note": "x"}, headers={"Idempotency-Key": what}
            )
            for _ in range(2)
        ]
        assert [(one.status, one.body["status"]) for one in told] == [(200, status)] * 2
    assert await counter.points() == 15


async def test_cards_that_were_typed_count_and_what_is_scanned_does_not(counter: Counter) -> None:
    await counter.served.prepare(PROGRAM + "counter: {typed: 2}\n")
    typed = [await counter.act(f"t{n}", "earn", amount="1.00") for n in range(3)]
    assert [one["code"] for one in typed] == [None, None, "shift_limit"]
    assert "typed: 2" in typed[-1]["detail"]
    assert (await counter.act("s", "earn", amount="1.00", card=counter.card["code"]))["status"] == "done"


async def test_the_same_act_is_told_by_another_version_of_ours_as_the_same(counter: Counter) -> None:
    one = Act(till=TILL, id="a", kind="earn", at=counter.served.clock.now(), amount=Decimal("1.00"))
    said = msgspec.json.decode(msgspec.json.encode(one))
    assert set(said) == {"till", "id", "kind", "at", "amount"}, "a field that is new to us changes no digest"
    sealer = counter.served.application.setting.sealer
    assert tills.digest_of(sealer, one) != tills.digest_of(sealer, replace(one, amount=Decimal("1.01")))
    assert "1.00" not in tills.digest_of(sealer, one)
    assert tills.digest_of(Sealer([bytes(range(32))], b"p" * 32), one) != tills.digest_of(sealer, one)


async def test_lines_and_amount_that_differ_are_refused_with_both(counter: Counter) -> None:
    refused = await counter.act("r1", "earn", amount="5.00", lines=[{"amount": "3.00"}])
    assert (refused["code"], "3.00" in refused["detail"], "5.00" in refused["detail"]) == ("amounts_differ", True, True)


class Weather(FactSource):
    """Knows whether it rains where somebody lives."""

    name, keep = "weather", timedelta(minutes=10)

    def key(self, event: Event, member: Member | None) -> str | None:  # noqa: ARG002 - as the contract has it
        return None if member is None else str(member.attributes.get("country", ""))

    async def facts(self, key: str) -> Mapping[str, Any]:
        return {"raining": key == "GB"}


class Weathers:
    """The plugin."""

    @hookimpl
    def plugin_manifest(self) -> PluginManifest:
        return PluginManifest(name="weather", summary="for tests", settings=PluginSettings)

    @hookimpl
    async def connect(self, context: ConnectionContext[PluginSettings]) -> Capabilities:  # noqa: ARG002 - needs none
        return Capabilities(facts=(Weather(),))


RAIN = """
program: main
currency: EUR
timezone: Europe/Berlin
attributes: {country: string}
wallets: {points: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
  - {id: wet, on: purchase, award: 5, when: facts.weather.raining}
rewards:
  umbrella: {gives: merchandise, price: 10, when: facts.weather.raining}
card: {redeem: any}
"""


async def test_what_plugins_know_counts_at_the_counter_for_sales_and_rewards_at_once_and_later(
    serve: Any, sqlite_url: str
) -> None:
    connections = {"shop": {"plugin": "shopping"}, "weather": {"plugin": "weather"}}
    served = await serve(sqlite_url, connections=connections, plugins={"weather": Weathers()})
    await served.prepare(RAIN)
    for reference, country, given, status in (("1", "GB", 17, "done"), ("2", "DE", 12, "refused")):
        member = await served.rich(25, reference, country=country)
        counter = Counter(served, member, (await served.call("POST", f"/members/{member}/card")).body)
        sold = await counter.act(f"s{reference}", "earn", amount="12.00")
        assert sold["points"] == {"points": given}
        taken = await counter.act(f"t{reference}", "redeem", reward="umbrella")
        assert taken["status"] == status
        at = served.clock.now()
        served.clock.advance(timedelta(hours=1))
        held = await counter.act(f"h{reference}", "undo", of=f"l{reference}", at=at + timedelta(seconds=1))
        late = await counter.act(f"l{reference}", "earn", amount="12.00", at=at)
        assert (held["status"], late["status"], late["points"]) == ("held", "undone", {"points": given})


SALE = {"kind": "earn", "card": "+491712345678", "amount": "7.00"}


async def late(counter: Counter, **acts: dict[str, Any]) -> list[Any]:
    """Acts that a till tells an hour after they happened."""
    at = counter.served.clock.now()
    counter.served.clock.advance(timedelta(hours=1))
    return [await counter.tell({"id": id_, "at": at.isoformat(), **told}) for id_, told in acts.items()]


async def shown(counter: Counter, id_: str) -> Any:
    return (await counter.served.call("GET", f"/counter/acts/{TILL}/{id_}")).body


async def test_a_sale_that_can_never_be_booked_is_refused_whoever_it_is_of(counter: Counter) -> None:
    told = await late(
        counter,
        y={"kind": "earn", "card": "+491712345678"},
        z={**SALE, "lines": [{"amount": "3.00"}]},
    )
    assert [(one["status"], one["code"]) for one in told] == [("refused", "no_amount"), ("refused", "amounts_differ")]
    assert (await counter.act("e", "enrol", phone="+491712345678"))["status"] == "done"


async def test_what_still_cannot_be_booked_is_a_members_from_then_on_with_the_newest_reason(counter: Counter) -> None:
    (held,) = await late(counter, r={"kind": "redeem", "card": "+491712345678", "reward": "mug"})
    assert (held["code"], held["member"]) == ("not_found", None)
    new = await counter.act("e", "enrol", phone="+491712345678")
    waits = await shown(counter, "r")
    assert (waits["status"], waits["code"], waits["member"]) == ("held", "insufficient_points", new["member"])
    counter.served.clock.advance(timedelta(days=40))
    await counter.served.application.timer.tick()
    await counter.act("s", "earn", card="+491712345678", amount="50.00")
    assert (await shown(counter, "r"))["status"] == "done"
    await proved(counter.served)


async def test_an_act_is_booked_as_it_is_when_it_is_locked(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between a person's look and their decision the member is erased, and somebody else gets the number."""
    await counter.served.rich(1, "7", phone="+491712345678")
    await counter.served.prepare(PROGRAM + "counter: {points: 5}\n")
    (held,) = await late(counter, y=SALE)
    assert held["code"] == "shift_limit"
    began = list[str]()

    async def facts_of(call: Any, act: Act) -> Any:
        if not began:
            began.append(act.id)
            await counter.served.apply(CustomerErased(reference="7", occurred_at=counter.served.clock.now()))
            await counter.served.rich(1, "8", phone="+491712345678")
        return await booking.facts_of(call, act)

    monkeypatch.setattr("stampcard_webhooks.counters.facts_of", facts_of)
    refused = await counter.served.call("POST", f"/counter/acts/{TILL}/y/accept", {})
    assert (began, refused.status, refused.body["code"]) == (["y"], 422, "no_amount")
    assert (await shown(counter, "y"))["amount"] is None


async def test_whoever_has_a_number_after_somebody_else_takes_none_of_their_acts_along(counter: Counter) -> None:
    await late(counter, y=SALE)
    await counter.act("e", "enrol", phone="+491712345678")
    await counter.served.rich(1, "7", phone="+491712345678")
    await counter.served.apply(CustomerErased(reference="7", occurred_at=counter.served.clock.now()))
    assert (await shown(counter, "y"))["amount"] == "7.00"
    assert (await counter.tell({"id": "y", **SALE, "amount": "99.00"}))["code"] == "act_exists"


@pytest.mark.parametrize("told", [{"phone": "+49 171 2345678"}, {"email": "New@example.com"}])
async def test_an_erasure_reaches_who_was_to_be_enrolled_and_was_not(counter: Counter, told: dict[str, str]) -> None:
    at = counter.served.clock.now()
    counter.served.clock.advance(timedelta(days=3))
    refused = await counter.act("old", "enrol", **told, first_name="Zed", at=at)
    assert refused["code"] == "too_old"
    await counter.served.rich(1, "7", phone="+491712345678", email="new@example.com")
    await counter.served.apply(CustomerErased(reference="7", occurred_at=counter.served.clock.now()))
    (row,) = await counter.served.read(select(act_table))
    assert (row.body_sealed, row.asked_print) == (None, None)


async def test_what_is_said_of_people_beside_a_return_is_not_kept(counter: Counter) -> None:
    (held,) = await late(
        counter, b={"kind": "return", "of": "r", "amount": "3.00", "card": "+49171", "first_name": "Zed"}
    )
    assert held["status"] == "held"
    (row,) = await counter.served.read(select(act_table))
    sealer = counter.served.application.setting.sealer
    kept = tills.find_act
    one = await counter.served.application.database.read(lambda c: kept(c, "main", sealer, tills.ActKey(TILL, "b")))
    assert (one.act.card, one.act.first_name, one.act.of, one.act.amount) == ("", "", "r", Decimal("3.00"))
    assert row.asked_print is None


@pytest.mark.parametrize("served", ["postgresql"], indirect=True)
async def test_a_decision_and_an_erasure_at_once_wait_in_the_same_order(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    await late(counter, y=SALE)
    await counter.served.rich(1, "7", phone="+491712345678")
    real = selling._book

    def slow(unit: Unit, act: Act, *rest: Any, **more: Any) -> Any:
        time.sleep(0.4)  # within the transaction
        return real(unit, act, *rest, **more)

    monkeypatch.setattr(selling, "_book", slow)

    async def erase() -> None:
        await asyncio.sleep(0.1)
        await counter.served.apply(CustomerErased(reference="7", occurred_at=counter.served.clock.now()))

    count = "SELECT sum(deadlocks) AS n FROM pg_stat_database"
    await asyncio.gather(counter.served.call("POST", f"/counter/acts/{TILL}/y/accept", {}), erase())
    await asyncio.sleep(0.5)
    (row,) = await counter.served.read(text(count))
    assert row.n == 0


async def test_what_was_done_for_somebody_is_not_booked_for_whoever_has_the_number_now(counter: Counter) -> None:
    ann = await counter.served.rich(1, "7", phone="+491712345678")
    (held,) = await late(counter, r={"kind": "redeem", "card": "+491712345678", "reward": "mug"})
    assert (held["code"], held["member"]) == ("insufficient_points", ann)
    await counter.served.call("PATCH", f"/members/{ann}", {"attributes": {"phone": None}})
    bob = await counter.served.rich(100, "8", phone="+491712345678")
    await counter.act("s", "earn", member=ann, amount="90.00")
    waits = await shown(counter, "r")
    assert (waits["status"], waits["code"], waits["member"]) == ("held", "other_member", ann)
    assert (await counter.served.figures(bob))[0] == 100


async def test_what_turns_out_to_take_nothing_back_is_refused_and_waits_for_nobody(counter: Counter) -> None:
    at = counter.served.clock.now()
    (held,) = await late(counter, b={"kind": "return", "of": "e"})
    assert held["status"] == "held"
    await counter.act("e", "enrol", phone="+491712345678", at=at)
    told = await shown(counter, "b")
    assert (told["status"], told["code"]) == ("refused", "wrong_kind")


async def test_all_that_was_told_of_a_number_is_booked_however_much_it_is(counter: Counter) -> None:
    many = booking.FOLLOWING + 5
    await late(counter, s={**SALE, "amount": "1.00"})
    at = counter.served.clock.now() - timedelta(minutes=30)
    told = [{"id": f"t{n:02}", "at": at.isoformat(), **SALE, "amount": "1.00"} for n in range(many)]
    await counter.tell(*told)
    new = await counter.act("e", "enrol", phone="+491712345678")
    assert (await counter.served.figures(new["member"]))[0] == many + 1


@pytest.mark.parametrize(
    ("offline", "words"), [("none", "5 minutes"), ("10 minutes", "10 minutes"), ("6 hours", "6 hours")]
)
async def test_how_late_a_till_may_be_is_said_as_it_is_written(counter: Counter, offline: str, words: str) -> None:
    await counter.served.prepare(PROGRAM + f"counter: {{offline: {offline}}}\n")
    refused = await counter.act("r", "earn", amount="5.00", at=counter.served.clock.now() - timedelta(hours=7))
    assert (refused["code"], f"more than {words} (counter, offline)" in refused["detail"]) == ("too_old", True)


async def test_of_several_who_may_be_meant_nobody_is_kept_but_by_the_number_that_was_told(counter: Counter) -> None:
    await counter.served.rich(1, "7", phone="+491712345678")
    await counter.served.rich(1, "8", email="bea@example.com")
    refused = await counter.act(
        "e", "enrol", phone="+491712345678", email="bea@example.com", first_name="Bea", language="en"
    )
    assert refused["code"] == "several_members"
    sealer = counter.served.application.setting.sealer
    kept = await counter.served.application.database.read(
        lambda c: tills.find_act(c, "main", sealer, tills.ActKey(TILL, "e"))
    )
    assert (kept.act.phone, kept.act.email, kept.act.first_name) == ("+491712345678", "", "")
