"""What members agree to, and all that is stored of them, over HTTP on both databases."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.databases import served_on_sqlite

from stampcard.domain.events import CustomerSeen, OrderSeen
from stampcard.storage.exporting import covered
from stampcard.storage.tables import metadata
from stampcard.testing.building import order

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
  - {id: friend, on: purchase, award: 5, when: "'email.marketing' in member.consents"}
rewards:
  five: {gives: 5 EUR off, price: 20, by: own}
"""
GIVEN = {
    "channel": "email",
    "purpose": "marketing",
    "state": "given",
    "source": "checkout",
    "text": "v3",
    "ip": "192.0.2.7",
}


async def say(served: Any, member: str, **changes: Any) -> Any:
    return await served.call("POST", f"/members/{member}/consents", {**GIVEN, **changes})


@served_on_sqlite
async def test_what_a_member_said_is_kept_with_the_evidence_and_read_by_conditions(served: Any) -> None:
    await served.prepare(PROGRAM)
    member = await served.rich(100)
    await served.apply(OrderSeen(reference="A", snapshot=order(10)))

    said = await say(served, member)

    assert (said.status, said.body["current"]) == (201, {"email.marketing": "given"})
    (kept,) = said.body["items"]
    assert {name: kept[name] for name in ("state", "source", "text", "ip", "author")} == {
        "state": "given", "source": "checkout", "text": "v3", "ip": "192.0.2.7", "author": "test",
    }  # fmt: skip
    await served.apply(OrderSeen(reference="B", snapshot=order(10)))
    withdrawn = await say(served, member, state="withdrawn", source="a call", text="", ip="")
    assert withdrawn.body["current"] == {"email.marketing": "withdrawn"}
    await served.apply(OrderSeen(reference="C", snapshot=order(10)))
    assert await served.figures(member) == (100 + 10 + 15 + 10, 0, 0)
    lines = [one["words"] for one in (await served.call("GET", f"/members/{member}/timeline")).body["items"]]
    assert {"Consent to marketing by email: given.", "Consent to marketing by email: withdrawn."} <= set(lines)


async def test_what_was_said_last_counts_however_late_it_is_written_down(api: Any) -> None:
    await api.prepare(PROGRAM)
    member = await api.rich(1)
    await say(api, member, state="withdrawn", at="2026-02-01T00:00:00Z")
    late = await say(api, member, at="2026-01-01T00:00:00Z")
    assert late.body["current"] == {"email.marketing": "withdrawn"}
    assert [one["state"] for one in late.body["items"]] == ["given", "withdrawn"]
    same = await say(api, member, at="2026-02-01T00:00:00Z")
    assert same.body["current"] == {"email.marketing": "withdrawn"}  # the most restrictive of the same moment


@pytest.mark.parametrize(
    "changes",
    [{"state": "maybe"}, {"channel": "E-Mail"}, {"at": "2099-01-01T00:00:00Z"}, {"source": "x" * 201}],
)
async def test_what_cannot_be_is_refused_and_nothing_is_kept(api: Any, changes: Any) -> None:
    await api.prepare(PROGRAM)
    member = await api.rich(1)
    assert (await say(api, member, **changes)).status == 422
    assert (await api.call("GET", f"/members/{member}/consents")).body["items"] == []
    assert (await say(api, "m_nobody")).status == 404


async def test_an_export_has_every_row_opened_and_nothing_of_others(served: Any) -> None:
    await served.prepare(PROGRAM)
    member, other = await served.rich(100), await served.rich(7, reference="2")
    told = {"email": "ann@shop.example", "first_name": "Ann"}
    await served.apply(CustomerSeen(reference="1", occurred_at=served.clock.now(), attributes=told))
    await served.apply(OrderSeen(reference="A", snapshot=order(10)))
    await say(served, member)
    taken = await served.call("POST", f"/members/{member}/redemptions", {"reward": "five"})

    exported = (await served.call("GET", f"/members/{member}/export")).body

    tables = exported["tables"]
    assert tables["member"][0]["attributes"]["email"] == "ann@shop.example"
    assert tables["consent"][0]["evidence"]["ip"] == "192.0.2.7"
    assert tables["redemption"][0]["voucher"]["code"] == taken.body["code"]
    assert [row["reference"] for row in tables["order_state"]] == ["A"]
    assert {row["kind"] for row in tables["entry"]} >= {"earn", "adjust"}
    text = json.dumps(exported)
    assert other not in text
    assert "_print" not in text
    assert (await served.call("GET", "/members/m_nobody/export")).status == 404


@served_on_sqlite
async def test_with_the_person_goes_what_was_said(served: Any) -> None:
    await served.prepare(PROGRAM)
    member = await served.rich(1)
    await say(served, member)
    await served.call("DELETE", f"/members/{member}")
    assert await served.read(metadata.tables["consent"].select()) == []
    assert (await served.call("GET", f"/members/{member}/export")).status == 404


def test_every_table_that_knows_members_is_exported_or_left_out_on_purpose() -> None:
    known = {name for name, table in metadata.tables.items() if "member" in table.c} | {"member"}
    assert known == covered()
