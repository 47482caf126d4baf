"""A member's time over HTTP: everything in one order, a page at a time in both directions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.databases import served_on_sqlite

from stampcard.domain.events import CustomerSeen, OrderSeen, RefundSeen
from stampcard.testing.building import NOON, order, refund


async def lived(served: Any) -> str:
    """A member to whom a little of everything happened."""
    seen = CustomerSeen(reference="1", occurred_at=NOON - timedelta(hours=1), attributes={"email": "ann@example.com"})
    await served.apply(seen)
    await served.apply(OrderSeen(reference="A", snapshot=order(60, 40)))
    await served.apply(OrderSeen(reference="A", snapshot=order(60, 40, age=1)))
    await served.apply(RefundSeen(order="A", refund=refund("R1", [("L2", 40)])))
    (member,) = (await served.call("GET", "/members?identity=shop:1")).body["items"]
    id_ = str(member["id"])
    served.clock.advance(timedelta(days=1))
    event = {"name": "review", "connection": "shop", "customer": "1", "key": "e", "data": {"stars": 2}}
    assert (await served.call("POST", "/events", event)).status == 200
    spend = {"wallet": "points", "points": 20, "reference": "receipt"}
    assert (await served.call("POST", f"/members/{id_}/spends", spend)).status == 201
    gift = {"wallet": "points", "points": 5, "reason": "a late parcel"}
    assert (await served.call("POST", f"/members/{id_}/adjustments", gift)).status == 201
    return id_


@served_on_sqlite
async def test_everything_that_happened_stands_in_one_order_of_time(served: Any) -> None:
    member = await lived(served)

    page = (await served.call("GET", f"/members/{member}/timeline")).body

    assert [item["kind"] for item in page["items"]] == [
        "adjust", "spend", "custom_event", "refund_seen", "claw_back", "earn", "order", "joined", "earn", "customer_seen",
    ]  # fmt: skip
    times = [item["at"] for item in page["items"]]
    assert times == sorted(times, reverse=True)
    words = [item["words"] for item in page["items"]]
    assert "5 points added by hand: a late parcel" in words
    assert "20 points spent." in words
    assert "40 points taken back by rule 'purchase' (order:shop:A)." in words
    assert "Order #1 of 100 EUR at 'shop': paid, 40 refunded." in words
    assert "Refund R1 of 40 (order:shop:A)." in words
    assert "Joined the program 'main'." in words
    (review,) = [item for item in page["items"] if item["kind"] == "custom_event"]
    assert [reason["code"] for reason in review["reasons"]] == ["condition"]
    assert (page["next"], page["previous"]) == (None, None)


@served_on_sqlite
async def test_nothing_personal_is_told_but_what_the_ledger_says(served: Any) -> None:
    member = await lived(served)

    text = str((await served.call("GET", f"/members/{member}/timeline")).body)

    assert "ann@example.com" not in text
    assert "stars': 2" not in text


async def test_pages_lead_to_what_is_older_and_back(served: Any) -> None:
    member = await lived(served)
    path = f"/members/{member}/timeline"
    whole = (await served.call("GET", path)).body["items"]

    pages = [(await served.call("GET", f"{path}?limit=3")).body]
    while pages[-1]["next"]:
        pages.append((await served.call("GET", f"{path}?limit=3&cursor={pages[-1]['next']}")).body)
    back = [pages[-1]]
    while back[-1]["previous"]:
        back.append((await served.call("GET", f"{path}?limit=3&cursor={back[-1]['previous']}")).body)

    assert len(pages) > 2
    assert [item for page in pages for item in page["items"]] == whole
    assert [item for page in reversed(back) for item in page["items"]] == whole
    assert pages[0]["previous"] is None


@served_on_sqlite
async def test_a_cursor_of_another_list_is_refused(served: Any) -> None:
    member = await lived(served)
    entries = (await served.call("GET", f"/members/{member}/entries?limit=1")).body["next"]

    assert (await served.call("GET", f"/members/{member}/timeline?cursor={entries}")).status == 422


async def test_rewards_stand_in_the_timeline_with_what_became_of_them_and_of_their_points(served: Any) -> None:
    await served.prepare()
    member = await served.rich()
    taken = (await served.call("POST", f"/members/{member}/redemptions", {"reward": "five-off"})).body["id"]
    await served.call("POST", f"/redemptions/{taken}/release", {"reason": "a mistake"})
    await served.call("POST", f"/members/{member}/redemptions", {"reward": "own"})

    items = (await served.call("GET", f"/members/{member}/timeline")).body["items"]

    words = {item["words"] for item in items}
    assert {
        "Took the reward 'five-off', 5 EUR off: released now (a mistake).",
        "Took the reward 'own', 10 % off: issued now.",
        "50 points set aside: five-off",
        "50 points free again: five-off",
        "20 points spent: own",
    } <= words
    page = (await served.call("GET", f"/members/{member}/timeline?limit=2")).body
    assert len(page["items"]) == 2
