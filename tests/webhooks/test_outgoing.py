"""Pushes, commands and bringing a connection up to date, over HTTP on both databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from stampcard.clock import to_micros
from stampcard.storage.requeueing import CHUNK
from stampcard.storage.tables import outbox, push


async def people(served: Any, count: int) -> list[str]:
    made = [
        await served.call("POST", "/members", {"identity": {"connection": "shop", "reference": str(number)}})
        for number in range(count)
    ]
    return sorted(reply.body["id"] for reply in made)


async def change(served: Any, table: Any, *conditions: Any, **values: Any) -> None:
    await served.application.database.write(
        lambda connection: connection.execute(update(table).where(*conditions).values(**values))
    )


async def test_pushes_that_were_given_up_are_listed_and_tried_again(served: Any) -> None:
    ids = await people(served, 3)
    await change(served, push, push.c.member == ids[0], dead=1, attempts=8, error="gone")
    await change(served, push, push.c.member == ids[1], sent=1)

    everything = (await served.call("GET", "/pushes")).body["items"]
    dead = (await served.call("GET", "/pushes?state=dead&connection=shop")).body["items"]
    due = (await served.call("GET", "/pushes?state=due")).body["items"]
    first = (await served.call("GET", "/pushes?limit=1")).body
    second = (await served.call("GET", f"/pushes?limit=1&cursor={first['next']}")).body

    assert [item["member"] for item in everything] == [ids[0], ids[2]]
    assert [(item["member"], item["state"], item["error"], item["attempts"]) for item in dead] == [
        (ids[0], "dead", "gone", 8)
    ]
    assert [item["member"] for item in due] == [ids[2]]
    assert first["items"] + second["items"] == everything
    assert (await served.call("POST", "/pushes/retry", {"member": ids[2]})).body == {"count": 0}
    assert (await served.call("POST", "/pushes/retry", {"connection": "shop"})).body == {"count": 1}
    assert (await served.call("GET", "/pushes?state=dead")).body["items"] == []


async def test_a_resync_makes_the_newest_state_of_everybody_due(served: Any) -> None:
    ids = await people(served, 3)
    await change(served, push, push.c.member != ids[0], sent=1)

    one = await served.call("POST", "/resync", {"connection": "shop", "member": ids[1]})
    everybody = await served.call("POST", "/resync", {"connection": "shop"})

    assert (one.body, everybody.body) == ({"count": 1}, {"count": 3})
    rows = await served.read(select(push))
    assert {(row.wanted, row.sent, row.dead, row.attempts) for row in rows} == {(1, 0, 0, 0)}
    assert {row.due_at for row in rows} == {to_micros(served.clock.now())}


async def test_a_resync_takes_no_more_than_a_chunk_at_a_time_and_forgets_nobody(api: Any) -> None:
    ids = [f"m_{number:05}" for number in range(CHUNK + 2)]
    await api.store("member", *({"id": id_, "joined_at": 0, "version": 4} for id_ in ids))
    await api.store("identity", *({"connection": "shop", "reference": id_, "member": id_} for id_ in ids))

    assert (await api.call("POST", "/resync", {"connection": "shop"})).body == {"count": CHUNK + 2}
    assert len(await api.read(select(push).where(push.c.wanted == 4, push.c.sent == 3))) == CHUNK + 2


async def test_a_resync_needs_a_connection_that_takes_balances(api: Any) -> None:
    assert (await api.call("POST", "/resync", {"connection": "crm"})).status == 404
    assert (await api.call("POST", "/resync", {"connection": "shop"}, merchant="other")).status == 404


async def a_command(served: Any, status: str, **more: Any) -> None:
    row = {
        "id": 2**60, "connection": "shop", "kind": "note", "key": "k", "member": "m_1", "reference": "1",
        "data_sealed": b"x", "status": status, "attempts": 3, "due_at": 5, "created_at": 1, "error": "odd", **more,
    }  # fmt: skip
    await served.store("outbox", row)


PATH = f"/outbox/{2**60}"


async def test_a_command_that_stopped_is_sent_again_or_dropped(api: Any) -> None:
    for status in ("ready", "dead", "unknown"):
        await a_command(api, status)

        again = await api.call("POST", f"{PATH}/retry")

        assert (again.status, again.body["id"], again.body["status"]) == (200, str(2**60), "ready")
        assert (again.body["attempts"], again.body["error"]) == (0, None)
        assert again.body["due_at"] == "2026-03-10T12:00:00Z"
        dropped = await api.call("POST", f"{PATH}/drop", {"reason": "too late"})
        assert (dropped.body["status"], dropped.body["error"]) == ("dropped", "too late")


async def test_a_command_that_was_or_is_being_sent_stays_as_it_is(api: Any) -> None:
    for status in ("attempting", "done", "dropped"):
        await a_command(api, status)
        for path, body in (("retry", None), ("drop", {"reason": "x"})):
            reply = await api.call("POST", f"{PATH}/{path}", body)
            assert (reply.status, reply.body["code"]) == (409, "command_state")


async def test_a_command_of_an_erased_member_is_not_sent_again(api: Any) -> None:
    await a_command(api, "dead", data_sealed=None)
    assert (await api.call("POST", f"{PATH}/retry")).body["code"] == "data_deleted"
    assert (await api.call("POST", f"{PATH}/drop", {"reason": ""})).status == 422


async def test_the_outbox_is_listed_for_its_merchant_alone(served: Any) -> None:
    await a_command(served, "dead")

    assert [item["key"] for item in (await served.call("GET", "/outbox?status=dead")).body["items"]] == ["k"]
    assert (await served.call("GET", "/outbox?status=ready")).body["items"] == []
    assert (await served.call("GET", "/outbox?connection=crm")).body["items"] == []
    for path in ("/outbox", "/pushes"):
        assert (await served.call("GET", path, merchant="other")).body["items"] == []
    for path, body in (("retry", None), ("drop", {"reason": "x"})):
        assert (await served.call("POST", f"{PATH}/{path}", body, merchant="other")).status == 404
    assert [row.status for row in await served.read(select(outbox))] == ["dead"]


async def test_what_changes_for_a_merchant_who_is_configured_elsewhere_waits_to_be_pushed_there(served: Any) -> None:
    made = await served.call("POST", "/members", {}, merchant="other")
    of = {"merchant": "other", "member": made.body["id"]}
    sent = {**of, "kind": "balance", "wanted": 1, "sent": 1, "due_at": 0}
    path, body = f"/members/{of['member']}/adjustments", {"wallet": "points", "points": 5, "reason": "a gift"}

    async def waiting() -> set[str]:
        statement = select(push.c.connection).where(push.c.merchant == "other", push.c.wanted > push.c.sent)
        return {row.connection for row in await served.read(statement)}

    for name in ("boutique", "till", "unconnected"):
        await served.store("identity", {**of, "connection": name, "reference": "1"})
    await served.store("push", {**sent, "connection": "boutique"})
    await served.store("push", {**sent, "connection": "till", "merchant": "main"})
    served.clock.advance(61)
    assert (await served.call("POST", path, body, merchant="other")).status == 201
    assert await waiting() == {"boutique"}

    await served.store("push", {**sent, "connection": "till"})
    served.clock.advance(61)
    assert (await served.call("POST", path, body, merchant="other")).status == 201
    assert await waiting() == {"boutique", "till"}
