from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import math
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import graphql
import pytest
from aiohttp import web

from stampcard.testing.simulator import Parcel, SignedRequest, disorder
from stampcard_shopify.simulated_asking import fields_of
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulator import ShopifySimulator, build

NOW = datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=UTC)
TROUBLE_FREE = ShopPlan(api_failures=0.0)
SIGNATURE = "X-Shopify-Hmac-Sha256"
DELIVERY = "X-Shopify-Webhook-Id"
ORDER_TOPICS = ("orders/create", "orders/paid", "orders/updated", "orders/cancelled")


class FixedClock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Receiver:
    """A webhook endpoint that checks signatures by itself and fails as often as it is told."""

    def __init__(self, secrets: Sequence[str], failures: float) -> None:
        self._secrets = secrets
        self._failures = failures
        self._chance = random.Random(1)
        self.attempts: list[SignedRequest] = []
        self.accepted: list[SignedRequest] = []

    async def receive(self, request: web.Request) -> web.Response:
        parcel = SignedRequest(headers=dict(request.headers), body=await request.read())
        if not is_signed(parcel, self._secrets):
            return web.Response(status=401)
        self.attempts.append(parcel)
        if self._chance.random() < self._failures:
            return web.Response(status=503, headers={"Retry-After": "0.01"})
        self.accepted.append(parcel)
        return web.Response()


class Gullible(Receiver):
    async def receive(self, request: web.Request) -> web.Response:
        await request.read()
        return web.Response()


def is_signed(parcel: SignedRequest, secrets: Sequence[str]) -> bool:
    given = parcel.headers.get(SIGNATURE, "")
    digests = (hmac.new(secret.encode(), parcel.body, hashlib.sha256).digest() for secret in secrets)
    return any(base64.b64encode(digest).decode() == given for digest in digests)


def secrets_of(shop: ShopifySimulator) -> list[str]:
    secrets = shop.settings()["webhook_secrets"]
    assert isinstance(secrets, list)
    return secrets


def make(seed: int = 7, plan: ShopPlan = TROUBLE_FREE) -> ShopifySimulator:
    return ShopifySimulator(seed, plan, FixedClock())


def bodies(history: Sequence[SignedRequest], *topics: str) -> list[Any]:
    return [json.loads(one.body) for one in history if one.headers["X-Shopify-Topic"] in topics]


@pytest.fixture
async def shop() -> AsyncIterator[ShopifySimulator]:
    simulator = make()
    await simulator.start()
    yield simulator
    await simulator.stop()


@pytest.fixture
async def session(shop: ShopifySimulator) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(shop.api_url) as plain:
        settings = shop.settings()
        form = {key: settings[key] for key in ("client_id", "client_secret")} | {"grant_type": "client_credentials"}
        answer = await (await plain.post("/admin/oauth/access_token", json=form)).json()
    headers = {"X-Shopify-Access-Token": answer["access_token"]}
    async with aiohttp.ClientSession(shop.api_url, headers=headers) as allowed:
        yield allowed


async def ask(session: aiohttp.ClientSession, query: str, **variables: object) -> tuple[int, Any]:
    path = "/admin/api/2026-10/graphql.json"
    async with session.post(path, json={"query": query, "variables": variables}) as answer:
        return answer.status, await answer.json()


SET = "mutation Push($m: [MetafieldsSetInput!]!) { metafieldsSet(metafields: $m) { userErrors { field } } }"


def balance_of(customer: int, points: int, version: int = 1) -> dict[str, str]:
    value = {"version": version, "wallets": {"points": {"active": points, "pending": 0}}}
    owner = f"gid://shopify/Customer/{customer}"
    return {"ownerId": owner, "namespace": "stampcard", "key": "balance", "type": "json", "value": json.dumps(value)}


# The history


def test_the_same_seed_lives_the_same_history() -> None:
    first, second = (list(make(3).history(60)) for _ in range(2))
    assert [(one.headers, one.body) for one in first] == [(two.headers, two.body) for two in second]


def test_another_seed_lives_another_history() -> None:
    assert list(make(3).history(5)) != list(make(4).history(5))


def test_samples_do_not_change_the_history() -> None:
    shop = make(3)
    shop.sample("order.refunded")
    shop.sample("customer.created")
    assert list(shop.history(20)) == list(make(3).history(20))


def test_of_each_hundred_orders_twelve_and_more_are_refunded_and_every_turn_is_taken() -> None:
    shop = make()
    history = list(shop.history(100))
    assert shop.tally.orders == len(shop.book.orders) == 100
    assert shop.tally.refunded_orders >= 12
    assert shop.tally.cancelled >= 5
    assert shop.tally.edited == 5
    topics = Counter(one.headers["X-Shopify-Topic"] for one in history)
    assert set(topics) == {
        "customers/create",
        "customers/update",
        "orders/create",
        "orders/paid",
        "orders/updated",
        "orders/edited",
        "orders/cancelled",
        "refunds/create",
    }
    assert 3 <= len(history) / 100 <= 6


def test_the_history_has_guests_test_orders_gift_cards_discounts_and_both_tax_modes() -> None:
    orders = bodies(list(make().history(200)), "orders/create")
    lines = [line for order in orders for line in order["line_items"]]
    assert any(order["customer"] is None for order in orders)
    assert any(order["test"] for order in orders)
    assert any(line["gift_card"] for line in lines)
    assert any(line["discount_allocations"] for line in lines)
    assert {order["taxes_included"] for order in orders} == {True, False}
    assert any(len(order["line_items"]) > 2 for order in orders)
    assert all(order["id"] > 2**53 for order in orders)


def test_nothing_happens_after_now_nor_longer_ago_than_planned() -> None:
    moments = [
        datetime.fromisoformat(order["updated_at"])
        for order in bodies(list(make().history(150)), "orders/create", "orders/updated", "orders/paid")
    ]
    assert NOW - timedelta(days=20, seconds=1) <= min(moments)
    assert max(moments) <= NOW


def test_the_time_of_change_moves_on_except_where_two_changes_fall_into_one_second() -> None:
    ties = 0
    states: dict[int, list[Any]] = {}
    for order in bodies(list(make(11, ShopPlan(ties=0.2)).history(100)), *ORDER_TOPICS):
        states.setdefault(order["id"], []).append(order)
    for before, after in (pair for story in states.values() for pair in pairwise(story)):
        earlier, later = (datetime.fromisoformat(state["updated_at"]) for state in (before, after))
        assert earlier <= later
        ties += earlier == later and before != after
    assert ties >= 5


def test_a_quantity_as_edited_is_what_is_current_plus_what_was_returned() -> None:
    history = list(make(5, ShopPlan(fates={"enlarged": 30, "reduced": 30, "reduced_late": 40})).history(60))
    latest = {order["id"]: order for order in bodies(history, *ORDER_TOPICS)}
    edits = [one["order_edit"] for one in bodies(history, "orders/edited")]
    assert edits
    for edit in edits:
        order = latest[edit["order_id"]]
        returned = Counter[int]()
        for refund in order["refunds"]:
            for entry in refund["refund_line_items"]:
                returned[entry["line_item_id"]] += entry["quantity"]
        removed = {entry["id"]: entry["delta"] for entry in edit["line_items"]["removals"]}
        for line in order["line_items"]:
            taken_off = line["quantity"] - line["current_quantity"] - returned[line["id"]]
            assert taken_off == removed.get(line["id"], 0)


def test_every_signature_is_the_digest_of_the_raw_body_under_the_current_or_the_former_secret() -> None:
    shop = make()
    history = list(shop.history(100))
    current, former = secrets_of(shop)
    assert all(is_signed(one, [current, former]) for one in history)
    assert any(is_signed(one, [former]) for one in history)
    assert any(b"\\u0026" in one.body for one in history)
    assert any(b"\\/" in one.body for one in history)
    assert not any(b"&" in one.body for one in history)


def test_deliveries_have_identifiers_of_their_own_and_share_the_one_of_their_cause() -> None:
    history = list(make().history(50))
    assert len({one.headers[DELIVERY] for one in history}) == len(history)
    assert len({one.headers["X-Shopify-Event-Id"] for one in history}) < len(history)


def test_forgeries_are_never_signed_and_keep_the_identifier_of_the_genuine() -> None:
    shop = make()
    chance = random.Random(2)
    for genuine in shop.history(40):
        forgery = shop.forge(genuine, chance)
        assert not is_signed(forgery, secrets_of(shop))
        assert forgery.headers[DELIVERY] == genuine.headers[DELIVERY]


# The books


def points_by_the_last_webhooks(history: Sequence[SignedRequest], welcome: int) -> dict[str, int]:
    """The points due, worked out anew from nothing but the last body of each order."""
    customers = [str(one["id"]) for one in bodies(history, "customers/create")]
    due = dict.fromkeys(customers, welcome)
    latest = {order["id"]: order for order in bodies(history, *ORDER_TOPICS)}
    for order in latest.values():
        paid = order["financial_status"] in {"paid", "partially_refunded", "refunded"}
        if paid and not order["test"] and order["customer"] and not order["cancelled_at"]:
            due[str(order["customer"]["id"])] += max(0, math.floor(kept_goods(order)))
    return due


def kept_goods(order: Mapping[str, Any]) -> Decimal:
    returned = [entry for refund in order["refunds"] for entry in refund["refund_line_items"]]
    goods = kept = Decimal(0)
    for line in order["line_items"]:
        if line["gift_card"]:
            continue
        mine = [entry for entry in returned if entry["line_item_id"] == line["id"]]
        ordered = line["current_quantity"] + sum(entry["quantity"] for entry in mine)
        amount = Decimal(line["price"]) * ordered
        amount -= sum(Decimal(one["amount"]) for one in line["discount_allocations"])
        back = sum((Decimal(str(entry["subtotal"])) for entry in mine), Decimal(0))
        if order["taxes_included"]:
            amount -= sum(Decimal(tax["price"]) for tax in line["tax_lines"])
            back -= sum((Decimal(str(entry["total_tax"])) for entry in mine), Decimal(0))
        goods += amount
        kept += amount - back
    for refund in order["refunds"]:
        if not refund["refund_line_items"]:
            paid_out = [one for one in refund["transactions"] if one["status"] == "success"]
            kept -= sum(Decimal(one["amount"]) for one in paid_out) * goods / Decimal(order["total_price"])
    return kept


@pytest.mark.parametrize("seed", range(5))
def test_the_books_agree_with_what_the_last_webhook_of_each_order_says(seed: int) -> None:
    shop = make(seed)
    history = list(shop.history(150))
    assert shop.expected(Decimal(1), 50) == points_by_the_last_webhooks(history, 50)


def test_the_refunds_of_an_order_add_up_to_its_lines_to_the_cent() -> None:
    history = list(make(9, ShopPlan(fates={"full": 50, "cancelled": 50})).history(60))
    latest = {order["id"]: order for order in bodies(history, *ORDER_TOPICS)}
    for order in latest.values():
        assert order["current_subtotal_price"] == order["current_total_price"] == order["current_total_tax"] == "0.00"
        assert order["financial_status"] == "refunded"


def test_nothing_is_due_for_guests_test_orders_unpaid_and_cancelled_orders() -> None:
    for plan in (
        ShopPlan(guests=1.0),
        ShopPlan(test_orders=1.0),
        ShopPlan(fates={"unpaid": 50, "void": 50}),
        ShopPlan(fates={"cancelled": 100}),
    ):
        shop = make(1, plan)
        list(shop.history(20))
        assert set(shop.expected(Decimal(10), 0).values()) <= {0}


# Sending


async def trade_with(shop: ShopifySimulator, receiver: Receiver, orders: int) -> None:
    app = web.Application(client_max_size=2**22)
    app.router.add_post("/webhooks/shop", receiver.receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        await shop.trade(f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks/shop", orders)
    finally:
        await runner.cleanup()


async def test_every_delivery_arrives_though_the_receiver_fails_now_and_then() -> None:
    shop = make(7, ShopPlan(first_pause=0.01, longest_pause=0.05, lost_answers=0.0))
    receiver = Receiver(secrets_of(shop), failures=0.1)
    await trade_with(shop, receiver, 60)
    everything = {(one.headers[DELIVERY], one.body) for one in make().history(60)}
    assert {(one.headers[DELIVERY], one.body) for one in receiver.accepted} == everything
    tally = shop.tally
    assert tally.sent == tally.acknowledged == len(everything) + tally.duplicates == len(receiver.accepted)
    assert tally.redelivered == len(receiver.attempts) - len(receiver.accepted) > 0
    assert tally.given_up == 0


async def test_what_was_taken_in_is_sent_again_when_the_answer_got_lost() -> None:
    shop = make(7, ShopPlan(first_pause=0.01, longest_pause=0.05, lost_answers=0.2))
    receiver = Receiver(secrets_of(shop), failures=0.0)
    await trade_with(shop, receiver, 40)
    tally = shop.tally
    assert tally.redelivered == tally.lost_answers > 10
    assert len(receiver.accepted) == tally.sent + tally.lost_answers
    assert tally.acknowledged == tally.sent
    assert tally.given_up == 0


async def test_that_answers_get_lost_changes_nothing_of_what_is_sent() -> None:
    sent = []
    for share in (0.0, 0.5):
        shop = make(7, ShopPlan(first_pause=0.01, longest_pause=0.05, lost_answers=share))
        receiver = Receiver(secrets_of(shop), failures=0.0)
        await trade_with(shop, receiver, 10)
        sent.append({(one.headers[DELIVERY], one.body) for one in receiver.accepted})
    assert sent[0] == sent[1]


async def test_a_forgery_that_is_let_in_is_counted_even_if_every_answer_gets_lost() -> None:
    shop = make(7, ShopPlan(forged=0.5, attempts=1, lost_answers=1.0))
    await trade_with(shop, Gullible((), failures=0.0), 5)
    assert shop.tally.forged_accepted == shop.tally.forged > 0


async def test_duplicates_and_repeats_carry_the_same_identifier_and_body() -> None:
    shop = make(7, ShopPlan(duplicates=0.5, first_pause=0.01, longest_pause=0.05))
    receiver = Receiver(secrets_of(shop), failures=0.1)
    await trade_with(shop, receiver, 20)
    bodies_of: dict[str, set[bytes]] = {}
    for one in receiver.attempts:
        bodies_of.setdefault(one.headers[DELIVERY], set()).add(one.body)
    assert all(len(different) == 1 for different in bodies_of.values())
    assert shop.tally.duplicates > 10


async def test_forgeries_are_counted_as_refused_when_answered_401() -> None:
    shop = make(7, ShopPlan(forged=0.3))
    await trade_with(shop, Receiver(secrets_of(shop), failures=0.0), 20)
    assert shop.tally.forged == shop.tally.refused > 5
    assert shop.tally.forged_accepted == 0


async def test_a_receiver_that_believes_everything_is_found_out() -> None:
    shop = make(7, ShopPlan(forged=0.3))
    await trade_with(shop, Gullible((), failures=0.0), 20)
    assert shop.tally.forged_accepted == shop.tally.forged > 5


async def test_a_delivery_that_is_never_accepted_is_given_up_and_counted() -> None:
    shop = make(7, ShopPlan(attempts=2, first_pause=0.001, forged=0.0))
    await trade_with(shop, Receiver(secrets_of(shop), failures=1.0), 2)
    assert shop.tally.given_up == shop.tally.sent > 0
    assert shop.tally.acknowledged == 0


def test_disorder_loses_and_adds_nothing_but_lets_a_refund_overtake_its_order() -> None:
    genuine = [Parcel(request=one) for one in make().history(100)]
    mixed = list(disorder(genuine, 40, random.Random(1)))
    assert sorted(one.request.headers[DELIVERY] for one in mixed) == sorted(
        one.request.headers[DELIVERY] for one in genuine
    )
    known: set[int] = set()
    overtaking = 0
    for one in mixed:
        body = json.loads(one.request.body)
        if one.request.headers["X-Shopify-Topic"] == "refunds/create":
            overtaking += body["order_id"] not in known
        elif one.request.headers["X-Shopify-Topic"].startswith("orders/"):
            known.add(body.get("id", 0))
    assert overtaking > 0


# Samples


def test_only_known_topics_are_called_drastic() -> None:
    assert set(build(1).drastic()) < set(build(1).topics())


@pytest.mark.parametrize("topic", build(1).topics())
def test_a_sample_is_signed_and_of_the_present(topic: str) -> None:
    shop = make()
    sample = shop.sample(topic)
    assert is_signed(sample, secrets_of(shop)[:1])
    assert sample.headers["X-Shopify-Shop-Domain"] == shop.settings()["shop"]
    body = json.loads(sample.body)
    if "updated_at" in body:
        changed = datetime.fromisoformat(body["updated_at"])
        assert NOW - timedelta(minutes=1) <= changed <= NOW


def test_a_sample_is_signed_for_the_settings_that_are_given() -> None:
    theirs = {"shop": "real.myshopify.com", "webhook_secrets": ["their secret"]}
    sample = make().sample("order.paid", settings=theirs)
    assert is_signed(sample, ["their secret"])
    assert sample.headers["X-Shopify-Shop-Domain"] == "real.myshopify.com"


def test_an_unknown_topic_is_refused_with_the_list_of_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"no sample of 'order\.lost'; there are order\.created"):
        make().sample("order.lost")


def vendor_specs() -> Path:
    folder = os.environ.get("VENDOR_SPECS")
    if not folder:
        pytest.skip("VENDOR_SPECS names no folder")
    return Path(folder) / "shopify"


def official_sample(vendor_topic: str) -> Any:
    path = vendor_specs() / "webhook-metadata-2026-07" / f"{vendor_topic.replace('/', '__')}.json"
    return json.loads(path.read_text())["response"]


def keys_beyond(ours: object, theirs: object, path: str = "") -> list[str]:
    """Where ours has a key that theirs lacks; what is null or empty there tells nothing."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and theirs:
        beyond = [f"{path}.{key}" for key in ours if key not in theirs]
        return beyond + [
            x for key in ours if key in theirs for x in keys_beyond(ours[key], theirs[key], f"{path}.{key}")
        ]
    if isinstance(ours, list) and isinstance(theirs, list) and theirs:
        known: dict[str, Any] = {}
        for one in theirs:
            known |= one if isinstance(one, dict) else {}
        return [x for one in ours for x in keys_beyond(one, known, f"{path}[]")]
    return []


@pytest.mark.vendor
@pytest.mark.parametrize("topic", build(1).topics())
def test_a_sample_has_only_keys_that_the_vendors_own_sample_has(topic: str) -> None:
    sample = make().sample(topic)
    theirs = official_sample(sample.headers["X-Shopify-Topic"])
    assert keys_beyond(json.loads(sample.body), theirs) == []


@pytest.mark.vendor
def test_every_body_of_a_history_has_only_keys_that_the_vendors_own_samples_have() -> None:
    refund = official_sample("refunds/create")
    for one in make().history(100):
        topic, body = one.headers["X-Shopify-Topic"], json.loads(one.body)
        assert keys_beyond(body, official_sample(topic)) == []
        for ours in body.get("refunds", []):
            assert keys_beyond(ours, refund) == []


# The Admin API


async def test_the_api_answers_only_to_a_token_it_issued(
    shop: ShopifySimulator, session: aiohttp.ClientSession
) -> None:
    assert (await ask(session, "{ shop { name } }"))[1]["data"] == {
        "shop": {"name": "Coffee & Sons", "currencyCode": "USD", "ianaTimezone": "America/New_York"}
    }
    shop.expire_tokens()
    assert (await ask(session, "{ shop { name } }"))[0] == 401


async def test_a_token_dies_after_a_day(shop: ShopifySimulator, session: aiohttp.ClientSession) -> None:
    await shop.clock.sleep(86_398)
    assert (await ask(session, "{ shop { name } }"))[0] == 200
    await shop.clock.sleep(2)
    assert (await ask(session, "{ shop { name } }"))[0] == 401


async def test_wrong_credentials_get_no_token(shop: ShopifySimulator) -> None:
    form = {"client_id": "x", "client_secret": "y", "grant_type": "client_credentials"}
    async with aiohttp.ClientSession(shop.api_url) as plain:
        assert (await plain.post("/admin/oauth/access_token", data=form)).status == 400


async def test_pushed_balances_are_shown(shop: ShopifySimulator, session: aiohttp.ClientSession) -> None:
    list(shop.history(10))
    first, second = list(shop.book.customers)[:2]
    _, answer = await ask(session, SET, m=[balance_of(first, 5, 3), balance_of(second, 7, 4)])
    assert answer["data"]["metafieldsSet"]["userErrors"] == []
    assert shop.shown() == {str(first): 5, str(second): 7}
    assert shop.shown_versions() == {str(first): 3, str(second): 4}
    assert (shop.tally.push_calls, shop.tally.pushes_received, shop.tally.regressions) == (1, 2, 0)


async def test_a_push_older_than_what_is_shown_is_counted(
    shop: ShopifySimulator, session: aiohttp.ClientSession
) -> None:
    list(shop.history(3))
    customer = next(iter(shop.book.customers))
    for version in (2, 2, 1):
        await ask(session, SET, m=[balance_of(customer, 5, version)])
    assert shop.tally.regressions == 1


async def test_a_push_for_a_customer_who_is_gone_writes_nothing_at_all(
    shop: ShopifySimulator, session: aiohttp.ClientSession
) -> None:
    list(shop.history(10))
    here, gone = list(shop.book.customers)[:2]
    shop.delete_customer(str(gone))
    status, answer = await ask(session, SET, m=[balance_of(here, 5), balance_of(gone, 7)])
    [error] = answer["data"]["metafieldsSet"]["userErrors"]
    assert status == 200
    assert error["field"] == ["metafields", "1", "ownerId"]
    assert shop.shown() == {}
    assert str(gone) not in shop.expected(Decimal(1), 50)


async def test_more_than_25_metafields_are_refused_together(
    shop: ShopifySimulator, session: aiohttp.ClientSession
) -> None:
    list(shop.history(3))
    customer = next(iter(shop.book.customers))
    _, answer = await ask(session, SET, m=[balance_of(customer, 5)] * 26)
    [error] = answer["data"]["metafieldsSet"]["userErrors"]
    assert error["code"] == "LESS_THAN_OR_EQUAL_TO"
    assert shop.shown() == {}


async def test_compare_digest_guards_against_writing_over_something_newer(
    shop: ShopifySimulator, session: aiohttp.ClientSession
) -> None:
    list(shop.history(3))
    customer = next(iter(shop.book.customers))
    fresh = balance_of(customer, 5) | {"compareDigest": None}
    _, first = await ask(session, SET, m=[fresh])
    _, second = await ask(session, SET, m=[fresh])
    assert first["data"]["metafieldsSet"]["userErrors"] == []
    assert second["data"]["metafieldsSet"]["userErrors"][0]["code"] == "STALE_OBJECT"


async def test_an_empty_bucket_throttles_in_both_ways_and_fills_again_with_time() -> None:
    clock = FixedClock()
    shop = ShopifySimulator(1, ShopPlan(api_failures=0.0, bucket=10.0, restore_rate=5.0, answered_429=0.5), clock)
    await shop.start()
    settings = shop.settings()
    form = {key: settings[key] for key in ("client_id", "client_secret")} | {"grant_type": "client_credentials"}
    async with aiohttp.ClientSession(shop.api_url) as plain:
        token = (await (await plain.post("/admin/oauth/access_token", data=form)).json())["access_token"]
    async with aiohttp.ClientSession(shop.api_url, headers={"X-Shopify-Access-Token": token}) as session:
        _, paid = await ask(session, SET, m=[])
        refused = [await ask(session, SET, m=[]) for _ in range(12)]
        clock.at += timedelta(seconds=2)
        _, again = await ask(session, SET, m=[])
    await shop.stop()
    assert paid["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] == 0
    assert {status for status, _ in refused} == {200, 429}
    in_words = next(answer for status, answer in refused if status == 200)
    assert in_words["errors"][0]["extensions"]["code"] == "THROTTLED"
    assert in_words["extensions"]["cost"]["actualQueryCost"] is None
    assert "data" in again
    assert shop.tally.throttled == 12


async def test_planned_failures_happen_and_are_counted() -> None:
    shop = make(1, ShopPlan(api_failures=1.0, slowness=0.0))
    await shop.start()
    outcomes: set[object] = set()
    async with aiohttp.ClientSession(shop.api_url) as session:
        for _ in range(30):
            try:
                outcomes.add((await ask(session, "{ shop { name } }"))[0])
            except aiohttp.ClientError as error:
                outcomes.add(error.status if isinstance(error, aiohttp.ContentTypeError) else "cut")
    await shop.stop()
    assert outcomes == {401, 500, 503, "cut"}
    assert shop.tally.failures_injected == 30


async def test_several_fields_of_one_document_are_done_in_order_under_their_aliases(
    shop: ShopifySimulator, session: aiohttp.ClientSession
) -> None:
    list(shop.history(3))
    customer = next(iter(shop.book.customers))
    query = """
    # Two of them, with { brackets } in a comment
    mutation Two($a: [MetafieldsSetInput!]!, $b: [MetafieldsSetInput!]! = []) {
      first: metafieldsSet(metafields: $a) { userErrors { field } }
      metafieldsSet(metafields: $b) { userErrors { field message(format: "}") } }
    }
    """
    _, answer = await ask(session, query, a=[balance_of(customer, 5, 1)], b=[balance_of(customer, 6, 2)])
    assert list(answer["data"]) == ["first", "metafieldsSet"]
    assert shop.shown() == {str(customer): 6}


@pytest.mark.parametrize("query", ["", "{", "mutation", "query Q($a: X", "nonsense }{", "{ shop { name } dreams }"])
async def test_what_the_api_does_not_know_is_an_error(
    shop: ShopifySimulator, session: aiohttp.ClientSession, query: str
) -> None:
    status, answer = await ask(session, query)
    assert status == 200
    assert answer["errors"]


@pytest.mark.parametrize("done", [True, False])
async def test_an_answer_gets_lost_when_a_test_wants_it(
    shop: ShopifySimulator, session: aiohttp.ClientSession, done: bool
) -> None:
    list(shop.history(3))
    customer = next(iter(shop.book.customers))
    shop.lose_answers("metafieldsSet", done=done)
    with pytest.raises(aiohttp.ClientError):
        await ask(session, SET, m=[balance_of(customer, 5)])
    assert shop.shown() == ({str(customer): 5} if done else {})
    await ask(session, SET, m=[balance_of(customer, 7)])
    assert shop.shown() == {str(customer): 7}


def test_what_a_test_buys_does_not_change_the_history() -> None:
    shop = make(3)
    before = list(shop.history(5))
    requests = shop.buy(str(next(iter(shop.book.customers))))
    assert [one.headers["X-Shopify-Topic"] for one in requests] == ["orders/create", "orders/paid"]
    assert list(make(3).history(5)) == before


# The Admin API, held against the vendor's schema


@pytest.fixture(scope="module")
def schema() -> graphql.GraphQLSchema:
    document = json.loads(gzip.decompress((vendor_specs() / "admin_2026-10.json.gz").read_bytes()))
    return graphql.build_client_schema(document["data"], assume_valid=True)


def selection(value: object) -> str:
    """A selection set of everything that is in the answer."""
    if isinstance(value, list):
        merged: dict[str, Any] = {}
        for one in value:
            merged = deeper(merged, one) if isinstance(one, dict) else merged
        return selection(merged) if merged else ""
    if not isinstance(value, dict):
        return ""
    fields = [f"{key}{selection(inside)}" for key, inside in value.items() if known_shape(inside)]
    return " { " + " ".join(fields) + " }"


def known_shape(value: object) -> bool:
    return value not in (None, []) and not (isinstance(value, dict) and value.get("nodes") == [])


def deeper(one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(one)
    for key, value in two.items():
        known = merged.get(key)
        if isinstance(known, dict) and isinstance(value, dict):
            merged[key] = deeper(known, value)
        elif isinstance(known, list) and isinstance(value, list):
            merged[key] = known + value
        elif not known_shape(known):
            merged[key] = value
    return merged


@pytest.mark.vendor
async def test_orders_are_answered_in_names_types_and_enums_of_the_vendors_schema(
    shop: ShopifySimulator, session: aiohttp.ClientSession, schema: graphql.GraphQLSchema
) -> None:
    list(shop.history(100))
    ids = [f"gid://shopify/Order/{number}" for number in shop.book.orders]
    _, answer = await ask(session, "query Q($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
    nodes = answer["data"]["nodes"]
    query = graphql.parse("query { nodes(ids: []) { ... on Order" + selection(nodes) + " } }")
    assert graphql.validate(schema, query) == []
    result = graphql.execute_sync(schema, query, root_value={"nodes": nodes})
    assert result.errors is None
    fields = {name for node in nodes for name, value in node.items() if known_shape(value)}
    assert {"lineItems", "refunds", "customer", "shippingLines", "cancelledAt", "discountCodes"} <= fields


async def test_an_order_is_answered_in_the_figures_of_its_webhook(
    shop: ShopifySimulator, session: aiohttp.ClientSession
) -> None:
    latest = {order["id"]: order for order in bodies(list(shop.history(100)), *ORDER_TOPICS)}
    ids = [f"gid://shopify/Order/{number}" for number in latest]
    _, answer = await ask(
        session, "query Q($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=[*ids, "gid://shopify/Order/1"]
    )
    *nodes, missing = answer["data"]["nodes"]
    assert missing is None
    for node, order in zip(nodes, latest.values(), strict=True):
        assert int(node["legacyResourceId"]) == order["id"]
        assert datetime.fromisoformat(node["updatedAt"]) == datetime.fromisoformat(order["updated_at"])
        assert node["displayFinancialStatus"] == order["financial_status"].upper()
        assert node["totalPriceSet"]["shopMoney"]["amount"] == order["total_price"]
        assert len(node["lineItems"]["nodes"]) == len(node["lineItems"]["edges"]) == len(order["line_items"])
        for theirs, line in zip(node["lineItems"]["nodes"], order["line_items"], strict=True):
            assert theirs["currentQuantity"] == line["current_quantity"]
        assert len(node["refunds"]) == len(order["refunds"])


@pytest.mark.vendor
async def test_an_order_with_a_code_has_only_keys_that_the_vendors_own_sample_has() -> None:
    shop = make()
    list(shop.history(3))
    customer = next(iter(shop.book.customers))
    terms = {
        "code": "FREIGHT",
        "title": "Freight",
        "startsAt": NOW.isoformat(),
        "context": {"customers": {"add": [f"gid://shopify/Customer/{customer}"]}},
    }
    query = "mutation { discountCodeFreeShippingCreate(freeShippingCodeDiscount: $t) { userErrors { code } } }"
    (asked,) = fields_of(query, {"t": terms})
    shop.discounts.create(asked, NOW)
    paid = json.loads(shop.buy(str(customer), code="freight")[-1].body)
    assert keys_beyond(paid, official_sample("orders/paid")) == []
    assert paid["discount_codes"] == [{"code": "FREIGHT", "amount": "4.90", "type": "shipping"}]
    assert paid["shipping_lines"][0]["discounted_price"] == "0.00"
    assert paid["shipping_lines"][0]["discount_allocations"][0]["amount"] == "4.90"


# Its independence


def test_the_simulator_loads_neither_the_plugins_code_nor_pytest() -> None:
    probe = "import sys, stampcard_shopify.simulator; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)  # noqa: S603 - our own words
    loaded = run.stdout.split()
    ours = {name for name in loaded if name.startswith("stampcard_shopify.")}
    assert all(name.split(".")[1].startswith("simulat") for name in ours)
    assert "pytest" not in loaded
    assert "graphql" not in loaded
