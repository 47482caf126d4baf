"""Carts over HTTP: what one would earn, which rewards count in it, and which of them together."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.databases import served_on_sqlite

from stampcard.program.gifts import read_gift
from stampcard.storage.tables import metadata

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
rates: {USD: 0.8}
wallets: {points: {expire: 30 days}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
  - {id: welcome, on: sign_up, award: 10}
rewards:
  loyalty: {gives: 20 % off, price: 500, by: own, stack: common}
  sale: {gives: 15 % off, price: 0, by: own, stack: never}
  outlet: {gives: 5 % off, price: 0, by: own, stack: never}
  five: {gives: 5 EUR off, price: 100, by: own, stack: common, minimum: 50 EUR}
  shirt: {gives: 50 % off, price: 100, by: own, on: line, only: {product: shirt}}
  freight: {gives: free shipping, price: 50, by: own, stack: always}
  mug: {gives: merchandise, price: 300}
  given: {gives: 3 EUR off, by: own}
  austria: {gives: 1 EUR off, price: 0, by: own, countries: AT, stack: always}
  large: {gives: 2 EUR off, price: 0, by: own, stack: always, when: order.subtotal >= 200}
"""
LINES = [{"sku": "A1", "quantity": 2, "price": "20.00"}, {"price": 60, "product": "sofa"}]


async def rich(served: Any, points: int, reference: str = "1") -> str:
    """A member of the program with so many points."""
    applied = await served.call("POST", "/programs/main/versions", {"text": PROGRAM, "base_version": 1})
    assert applied.status == 200, applied.body
    made = await served.call("POST", "/members", {"identity": {"connection": "shop", "reference": reference}})
    member = str(made.body["id"])
    body = {"wallet": "points", "points": points - 10, "reason": "a gift"}
    assert (await served.call("POST", f"/members/{member}/adjustments", body)).status == 201
    return member


async def asked(served: Any, status: int = 200, **body: Any) -> Any:
    answer = await served.call("POST", "/carts/evaluate", {"lines": LINES, **body}, scopes=("dry-run",))
    assert answer.status == status, answer.body
    return answer.body


def by_name(told: Any) -> dict[str, Any]:
    return {reward["reward"]: reward for reward in told["rewards"]}


def why(reward: Any) -> list[str]:
    return [refusal["code"] for refusal in reward["refusals"]]


def cuts(combination: Any) -> dict[str, str]:
    return {cut["reward"]: cut["discount"] for cut in combination["rewards"]}


@served_on_sqlite
async def test_a_cart_says_what_it_earns_what_counts_in_it_and_what_is_best(served: Any) -> None:
    member = await rich(served, 700)

    told = await asked(served, member=member, shipping="4.90")

    assert (told["member"], told["is_new"], told["currency"]) == (member, False, "EUR")
    assert (told["wallets"]["points"]["points"], told["reasons"][0]["rule"]) == (100, "purchase")
    rewards = by_name(told)
    assert {name: why(reward) for name, reward in rewards.items()} == {
        "loyalty": [], "sale": [], "outlet": [], "five": [], "freight": [], "mug": [],
        "shirt": ["no_fitting_line"],
        "given": ["not_for_points"],
        "austria": ["other_country"],
        "large": ["condition"],
    }  # fmt: skip
    assert {name: reward["discount"] for name, reward in rewards.items() if reward["usable"]} == {
        "loyalty": "20.00", "sale": "15.00", "outlet": "5.00", "five": "5.00", "freight": "4.90", "mug": None,
    }  # fmt: skip
    assert told["best"]["discount"] == "28.90"
    assert cuts(told["best"]) == {"five": "5.00", "loyalty": "19.00", "freight": "4.90"}
    assert told["best"]["prices"] == {"points": 650}
    assert (rewards["sale"]["in_best"], rewards["sale"]["left_out"]["code"]) == (False, "not_with")
    assert rewards["outlet"]["left_out"]["code"] == "only_one_counts"
    assert told["wanted"] is None


async def test_nothing_is_written(served: Any) -> None:
    member = await rich(served, 700)
    await asked(served)

    async def counts() -> list[Any]:
        return [await served.read(select(func.count()).select_from(table)) for table in metadata.sorted_tables]

    before, balance = await counts(), await served.call("GET", f"/members/{member}")
    await asked(served, member=member, rewards=["loyalty", "five"])
    await asked(served, connection="shop", customer="nobody", rewards=["loyalty"])
    await asked(served)
    assert await counts() == before
    assert (await served.call("GET", f"/members/{member}")).body == balance.body


async def test_points_that_are_missing_are_told_and_points_are_spent_once(api: Any) -> None:
    member = await rich(api, 130)
    told = await asked(api, member=member, shipping=4)
    rewards = by_name(told)
    assert (why(rewards["loyalty"]), rewards["loyalty"]["missing"]) == (["insufficient_points"], 370)
    assert cuts(told["best"]) == {"freight": "4.00", "sale": "15.00"}
    wanted = (await asked(api, member=member, shipping=4, rewards=["five", "freight"]))["wanted"]
    assert {one["reward"]: why(one) for one in wanted["refused"]} == {
        "five": ["insufficient_points"], "freight": ["insufficient_points"],
    }  # fmt: skip
    assert "together they cost 150" in wanted["refused"][0]["refusals"][0]["detail"]


@served_on_sqlite
async def test_rewards_that_are_wanted_go_together_or_say_why_not(served: Any) -> None:
    member = await rich(served, 1000)

    told = await asked(served, connection="shop", customer="1", rewards=["loyalty", "main/five", "loyalty"])
    assert told["member"] == member
    assert (told["wanted"]["together"], told["wanted"]["discount"]) == (True, "24.00")
    assert cuts(told["wanted"]) == {"five": "5.00", "loyalty": "19.00"}

    told = await asked(served, member=member, rewards=["loyalty", "sale", "outlet", "mug", "shirt"])
    wanted = told["wanted"]
    assert (wanted["together"], cuts(wanted)) == (False, {"loyalty": "20.00"})
    assert {one["reward"]: why(one) for one in wanted["refused"]} == {
        "loyalty": ["not_with", "not_with"],
        "sale": ["not_with"],
        "outlet": ["only_one_counts", "not_with"],
        "mug": ["not_for_a_cart"],
        "shirt": ["no_fitting_line"],
    }


@served_on_sqlite
async def test_a_reward_that_is_issued_already_counts_without_points(served: Any) -> None:
    member = await rich(served, 500)
    taken = await served.call("POST", f"/members/{member}/redemptions", {"reward": "loyalty"})
    assert (taken.status, taken.body["status"]) == (201, "issued"), taken.body

    told = await asked(served, member=member, rewards=["loyalty"])

    loyalty = by_name(told)["loyalty"]
    assert (loyalty["has"], loyalty["usable"], loyalty["price"], loyalty["missing"]) == (True, True, 0, 0)
    assert (told["best"]["discount"], told["best"]["prices"]) == ("20.00", {})
    assert told["wanted"]["together"] is True


@served_on_sqlite
async def test_a_visitor_sees_what_joining_would_bring_and_what_is_missing(served: Any) -> None:
    await rich(served, 700)

    told = await asked(served)

    assert (told["member"], told["is_new"]) == (None, True)
    assert told["wallets"]["points"]["points"] == 110
    rewards = by_name(told)
    assert (why(rewards["five"]), rewards["five"]["missing"]) == (["insufficient_points"], 100)
    assert cuts(told["best"]) == {"sale": "15.00"}
    stranger = await asked(served, connection="shop", customer="7")
    assert (stranger["member"], stranger["is_new"]) == (None, True)
    assert (await served.call("GET", "/members?identity=shop:7")).body["items"] == []


async def test_the_cart_decides_conditions_countries_lines_and_minimums(api: Any) -> None:
    member = await rich(api, 700)
    lines = [
        {"reference": "s", "quantity": 3, "price": "10.00", "product": "shirt"},
        {"reference": "card", "price": 250, "gift_card": True},
    ]
    told = by_name(await asked(api, member=member, lines=lines, country="AT"))
    assert (told["shirt"]["discount"], told["shirt"]["lines"]) == ("15.00", ["s"])
    assert why(told["austria"]) == []
    assert why(told["five"]) == ["minimum_not_met"]
    assert told["five"]["refusals"][0]["detail"] == "it needs goods for 50.00, there are 30.00 EUR"
    assert why(told["large"]) == []
    assert told["loyalty"]["discount"] == "6.00"
    assert told["sale"]["lines"] == ["s"]


async def test_a_cart_in_other_money_is_told_in_that_money(api: Any) -> None:
    member = await rich(api, 700)
    told = await asked(api, member=member, currency="USD")
    five = by_name(told)["five"]
    assert (told["currency"], five["discount"], five["gives"]) == ("USD", "6.25", str(read_gift("5 EUR off")))
    assert told["wallets"]["points"]["points"] == 80
    refused = await asked(api, 422, member=member, currency="CHF")
    assert refused["code"] == "currency_unknown"
    assert "use EUR, or name one under `rates`" in refused["detail"]


async def test_a_programs_own_way_of_stacking_counts(api: Any) -> None:
    member = await rich(api, 700)
    text = PROGRAM + "stacking: {percent_of: initial, never: all, common: lowest}\n"
    assert (await api.call("POST", "/programs/main/versions", {"text": text, "base_version": 2})).status == 200
    told = await asked(api, member=member, rewards=["sale", "outlet"])
    assert cuts(told["wanted"]) == {"outlet": "5.00", "sale": "15.00"}
    assert Decimal(told["best"]["discount"]) == 20
    assert by_name(told)["loyalty"]["left_out"]["code"] == "only_one_counts"


async def test_a_program_without_rewards_only_says_what_the_cart_earns(api: Any) -> None:
    told = await asked(api)
    assert (told["rewards"], told["best"]["discount"], told["wallets"]["points"]["points"]) == ([], "0", 110)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"member": "m_nobody"}),
        (404, {"rewards": ["nothing"]}),
        (404, {"rewards": ["other/sale"]}),
        (422, {"member": "m", "connection": "shop", "customer": "1"}),
        (422, {"customer": "1"}),
        (422, {"lines": []}),
        (422, {"lines": [{"price": "-1"}]}),
        (422, {"lines": [{"price": "NaN"}]}),
        (422, {"lines": [{"price": 1, "quantity": 0}]}),
        (422, {"lines": [{"price": 1, "reference": "a"}, {"price": 2, "reference": "a"}]}),
        (422, {"lines": [{"price": 1, "reference": "2"}, {"price": 2}]}),
        (422, {"shipping": "-0.01"}),
        (422, {"currency": "euro"}),
        (422, {"country": "Germany"}),
        (422, {"coupon": "X"}),
    ],
)
async def test_a_cart_that_makes_no_sense_is_refused(api: Any, status: int, body: Any) -> None:
    answer = await api.call("POST", "/carts/evaluate", {"lines": LINES, **body})
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_a_reward_of_two_programs_needs_its_programs_name(api: Any) -> None:
    member = await rich(api, 700)
    text = PROGRAM.replace("program: main", "program: club").replace("points", "coins")
    assert (await api.call("POST", "/programs/club/versions", {"text": text, "base_version": 0})).status == 200
    assert (await asked(api, 409, member=member, rewards=["sale"]))["code"] == "several_programs"
    told = await asked(api, member=member, rewards=["club/sale", "main/sale"])
    assert (told["wanted"]["together"], told["wanted"]["discount"]) == (True, "27.75")


async def test_a_key_needs_the_scope(api: Any) -> None:
    answer = await api.call("POST", "/carts/evaluate", {"lines": LINES}, scopes=("rewards:read",))
    assert answer.status == 403
