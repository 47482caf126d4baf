"""After an erasure the whole database is looked through: nothing of the person is left in it, on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from tests.databases import served_on_sqlite

from stampcard.domain.events import (
    ConsentSeen,
    CustomerErased,
    CustomerSeen,
    CustomEvent,
    DataRequested,
    OrderSeen,
    RefundSeen,
)
from stampcard.storage.tables import metadata
from stampcard.testing.building import order, refund

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
attributes: {birthday: date}
events: {review: {}}
wallets: {points: {}}
tiers: {by: spend, levels: {green: 0, silver: 50}}
segments:
  staff: {name: Our own}
  spenders: {when: history.spend.months_12 >= 20}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
  - {id: german, on: purchase, award: 3, when: has(member.attributes.country) && member.attributes.country == 'DE'}
  - {id: review, on: review, award: 5}
rewards:
  five: {gives: 5 EUR off, price: 20, by: own, prefix: QUASTE}
"""
#: What names or describes the two accounts of one person.
PERSON = (
    "cust-4711", "cust-0815", "ada@shop.example", "ada.second@shop.example", "+4930123456", "Adalina", "Quastenflosser",
    "1990-03-12", "192.0.2.77", "returns everything she buys", "two accounts of hers", "because she asked for it",
    "QUASTE-", "ADALINA-BY-MAIL", "by post to Quince Lane",
)  # fmt: skip


async def live(served: Any) -> str:
    """A life with everything that is kept of a person, and a second account that turns out to be the same one's."""
    now = served.clock.now()
    accounts = (("cust-4711", "ada@shop.example"), ("cust-0815", "ada.second@shop.example"))
    for number, (reference, email) in enumerate(accounts):
        attributes = {
            "email": email, "phone": "+4930123456", "first_name": "Adalina", "last_name": "Quastenflosser",
            "country": "DE", "birthday": "1990-03-12",
        }  # fmt: skip
        verified = frozenset({"email", "phone"})
        await served.apply(
            CustomerSeen(reference=reference, occurred_at=now, attributes=attributes, verified=verified),
            OrderSeen(reference=f"O{number}", snapshot=order(60, customer=reference, at=now)),
            RefundSeen(order=f"O{number}", refund=refund("R", [("L1", 5)], at=now)),
            CustomEvent(name="review", customer=reference, key=f"review-{number}", occurred_at=now),
            ConsentSeen(customer=reference, channel="sms", purpose="marketing", state="given", occurred_at=now),
            DataRequested(reference=reference, request=f"7{number}", occurred_at=now),
        )
    found = (await served.call("GET", "/members")).body["items"]
    ids = {one["identities"][0]["reference"]: one["id"] for one in found}
    first, second = ids["cust-4711"], ids["cust-0815"]
    for reference, member in ids.items():
        said = {"channel": "email", "purpose": "marketing", "state": "given", "source": "checkout", "ip": "192.0.2.77"}
        assert (await served.call("POST", f"/members/{member}/consents", said)).status == 201
        taken = await served.call("POST", f"/members/{member}/redemptions", {"reward": "five"})
        assert taken.status == 201
        # An edit shows them no more.
        for age, codes in ((0, (taken.body["code"], "ADALINA-BY-MAIL")), (1, ())):
            snapshot = order(10, customer=reference, at=now, age=age, codes=codes)
            await served.apply(OrderSeen(reference=f"C{reference[-1]}", snapshot=snapshot))
        changed = {"wallet": "points", "points": 3, "reason": "because she asked for it"}
        assert (await served.call("POST", f"/members/{member}/adjustments", changed)).status == 201
    for request in ("shop/70", "shop/71"):
        done = await served.call("POST", f"/data-requests/{request}/answer", {"note": "by post to Quince Lane"})
        assert done.status == 200, done.body
    put = await served.call("POST", "/segments/main/staff/members", {"add": [first]})
    assert put.status == 200, put.body
    assert (
        await served.call("POST", f"/members/{first}/hold", {"reason": "returns everything she buys"})
    ).status == 201
    assert (await served.call("DELETE", f"/members/{first}/hold")).status == 200
    merged = await served.call("POST", f"/members/{second}/merge", {"into": first, "note": "two accounts of hers"})
    assert merged.status == 201, merged.body
    return str(first)


async def contents(served: Any) -> list[tuple[str, str, Any]]:
    """Every value of every row of every table: table, column, value."""
    found = []
    for name, table in metadata.tables.items():
        rows = await served.read(table.select())
        found += [(name, column, value) for row in rows for column, value in row._mapping.items()]
    return found


#: Sealed things that are nobody's: what reaches connections, and the texts of codes that nobody has yet.
NOBODYS = {("store", "value_sealed"), ("pool", "code_sealed")}


def traces(values: list[tuple[str, str, Any]]) -> set[str]:
    """Where something of the person stands, openly or sealed."""
    open_ = {
        f"{table}.{column}: {mark}"
        for table, column, value in values
        for mark in PERSON
        if isinstance(value, str) and mark in value
    }
    sealed = {
        f"{table}.{column}"
        for table, column, value in values
        if column.endswith("_sealed") and value is not None and (table, column) not in NOBODYS
    }
    return open_ | sealed


async def test_nothing_of_an_erased_person_is_left_in_the_whole_database(served: Any) -> None:
    await served.prepare(PROGRAM)
    member = await live(served)
    before = traces(await contents(served))
    assert {trace.partition(":")[0].partition(".")[0] for trace in before} >= {
        "member", "identity", "consent", "redemption", "order_state", "merge", "entry", "inbox",
        "data_request",
    }  # fmt: skip

    assert (await served.call("DELETE", f"/members/{member}")).status == 204

    assert traces(await contents(served)) == set()


@served_on_sqlite
async def test_a_shops_request_leaves_nothing_either(served: Any) -> None:
    await served.prepare(PROGRAM)
    await live(served)
    served.clock.advance(timedelta(minutes=1))

    await served.apply(CustomerErased(reference="cust-0815", occurred_at=served.clock.now()))

    assert traces(await contents(served)) == set()
