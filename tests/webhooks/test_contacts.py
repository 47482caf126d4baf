"""Contacts of CRMs over HTTP: listed, linked, parted, and where both sides said different things."""

from __future__ import annotations

from typing import Any

import pytest
from tests.core.crms import Book, Crms

from stampcard.clock import SystemClock
from stampcard.storage.contacts import Contact, Dispute, save_candidates, save_contacts, save_disputes
from stampcard.storage.sweeping import load_sweep
from stampcard.testing.building import NOON

BOTH = {"shop": {"plugin": "shopping"}, "crm": {"plugin": "book"}, "shut": {"plugin": "book", "match": ["name"]}}


@pytest.fixture
async def served(request: pytest.FixtureRequest, serve: Any, sqlite_url: str) -> Any:
    """An installation with a CRM, on SQLite unless a test asks for PostgreSQL."""
    of = getattr(request, "param", "sqlite")
    url = sqlite_url if of == "sqlite" else request.getfixturevalue("new_postgresql")()
    return await serve(url, connections=BOTH, plugins={"book": Crms(crm=Book(SystemClock()))})


on_both = pytest.mark.parametrize("served", ["sqlite", "postgresql"], indirect=True)


async def filled(served: Any) -> dict[str, str]:
    """Two members, and contacts in every state; answers the members."""
    members = {}
    for number, name in enumerate(("ann", "ben"), 1):
        made = await served.call("POST", "/members", {"identity": {"connection": "shop", "reference": str(number)}})
        members[name] = made.body["id"]
    ann = members["ann"]
    found = [
        Contact(connection="crm", reference="C1", state="linked", member=ann, made="there", at=NOON),
        *(
            Contact(connection="crm", reference=f"D{number}", state="doubtful", why="several", at=NOON)
            for number in range(3)
        ),
        Contact(connection="crm", reference="S1", state="skipped", why="nobody", at=NOON),
        Contact(connection="crm", reference="S2", state="skipped", why="excluded", at=NOON),
    ]
    disputes = [
        Dispute(
            connection="crm", reference="C1", member=ann, field=field, rule="theirs", kept="theirs", at=NOON,
            ours="Ann", theirs="Augusta", id=number,
        )
        for number, field in enumerate(("first_name", "last_name"), 1)
    ]  # fmt: skip

    def work(connection: Any) -> None:
        save_contacts(connection, "main", found)
        save_candidates(connection, "main", {("crm", "D0"): members.values()})
        save_disputes(connection, "main", served.application.setting.sealer, disputes)

    await served.application.database.write(work)
    return members


async def test_where_nothing_is_known_the_lists_are_empty(served: Any) -> None:
    assert (await served.call("GET", "/contacts?connection=crm")).body == {"items": [], "next": None}
    assert (await served.call("GET", "/contacts/conflicts")).body == {"items": [], "next": None}
    missing = await served.call("GET", "/connections/crm/sync")
    assert (missing.status, missing.body["code"]) == (404, "not_found")


@on_both
async def test_contacts_are_listed_by_state_and_reason_page_by_page(served: Any) -> None:
    members = await filled(served)
    first = (await served.call("GET", "/contacts?connection=crm&limit=2")).body
    second = (await served.call("GET", f"/contacts?connection=crm&limit=2&cursor={first['next']}")).body
    assert [one["reference"] for one in (*first["items"], *second["items"])] == ["D0", "D1", "D2"]
    assert second["next"] is None
    assert first["items"][0] == {
        "connection": "crm", "reference": "D0", "state": "doubtful", "why": "several", "member": None,
        "candidates": sorted(members.values()), "made": "", "since": "2026-03-10T12:00:00Z",
    }  # fmt: skip
    (linked,) = (await served.call("GET", "/contacts?connection=crm&state=linked")).body["items"]
    assert (linked["member"], linked["made"]) == (members["ann"], "there")
    skipped = (await served.call("GET", "/contacts?connection=crm&state=skipped&why=excluded")).body["items"]
    assert [one["reference"] for one in skipped] == ["S2"]
    refused = await served.call("GET", "/contacts?connection=crm&state=lost")
    assert refused.status == 422
    assert (await served.call("GET", "/contacts")).status == 422, "of which CRM has to be said"


async def test_conflicts_are_listed_the_newest_first_page_by_page(served: Any) -> None:
    members = await filled(served)
    first = (await served.call("GET", "/contacts/conflicts?limit=1")).body
    second = (await served.call("GET", f"/contacts/conflicts?limit=1&cursor={first['next']}")).body
    assert [one["field"] for one in (*first["items"], *second["items"])] == ["last_name", "first_name"]
    assert second["next"] is None
    assert first["items"][0] == {
        "connection": "crm", "reference": "C1", "member": members["ann"], "field": "last_name", "ours": "Ann",
        "theirs": "Augusta", "rule": "theirs", "kept": "theirs", "at": "2026-03-10T12:00:00Z",
    }  # fmt: skip
    for query, count in ((f"member={members['ben']}", 0), (f"member={members['ann']}", 2), ("connection=shop", 0)):
        assert len((await served.call("GET", f"/contacts/conflicts?{query}")).body["items"]) == count


async def test_a_contact_is_linked_and_parted(served: Any) -> None:
    ben = (await filled(served))["ben"]
    linked = await served.call("POST", "/contacts/crm/D0/link", {"member": ben})
    assert linked.status == 200
    assert (linked.body["state"], linked.body["member"], linked.body["candidates"]) == ("linked", ben, [])
    assert (await served.call("POST", "/contacts/crm/D0/link", {"member": ben})).body == linked.body
    parted = await served.call("POST", "/contacts/crm/D0/part")
    assert (parted.status, parted.body["state"], parted.body["why"], parted.body["member"]) == (
        200, "skipped", "by_hand", None,
    )  # fmt: skip


async def test_what_stands_in_the_way_of_a_link_is_told(served: Any) -> None:
    members = await filled(served)
    ann, ben = members["ann"], members["ben"]
    told = [
        await served.call("POST", f"/contacts/crm/{reference}/link", {"member": member})
        for reference, member in (("C1", ben), ("D1", ann), ("C9", ann), ("D1", "m_nobody"))
    ]
    assert [(one.status, one.body["code"]) for one in told] == [
        (409, "linked"), (409, "another_contact"), (404, "not_found"), (404, "not_found"),
    ]  # fmt: skip
    assert f"the contact C1 is {ann}: part them first" in told[0].body["detail"]
    assert f"{ann} is the contact C1 at crm: part them first" in told[1].body["detail"]
    assert (await served.call("POST", "/contacts/crm/C9/part")).status == 404
    assert (await served.call("POST", "/contacts/crm/D1/link", {})).status == 422


async def test_a_look_at_everybody_is_begun_shown_and_stopped(served: Any) -> None:
    await filled(served)
    begun = await served.call("POST", "/connections/crm/sync")
    assert begun.status == 202
    assert (begun.body["connection"], begun.body["why"], begun.body["stopped"], begun.body["read"]) == (
        "crm", "sync", False, 0,
    )  # fmt: skip
    assert {(one["state"], one["why"]): one["contacts"] for one in begun.body["contacts"]} == {
        ("linked", ""): 1, ("doubtful", "several"): 3, ("skipped", "nobody"): 1, ("skipped", "excluded"): 1,
    }  # fmt: skip
    stopped = await served.call("DELETE", "/connections/crm/sync")
    assert (stopped.status, stopped.body["stopped"]) == (200, True)
    shown = (await served.call("GET", "/connections/crm/sync")).body
    assert (shown["stopped"], shown["of"], shown["trouble"], shown["ended_at"]) == (True, None, "", None)
    again = await served.call("POST", "/connections/crm/sync")
    assert (again.body["stopped"], again.body["started_at"]) == (False, begun.body["started_at"])
    known = await served.application.database.read(lambda c: load_sweep(c, "main", "crm", "sync"))
    assert known is not None


async def test_what_cannot_be_looked_at_is_told(served: Any) -> None:
    told = {name: await served.call("POST", f"/connections/{name}/sync") for name in ("shop", "shut", "nobody")}
    assert {name: (one.status, one.body["code"]) for name, one in told.items()} == {
        "shop": (422, "no_contacts"), "shut": (422, "no_contacts"), "nobody": (404, "not_found"),
    }  # fmt: skip
    assert "the plugin 'shopping' has no contacts" in told["shop"].body["detail"]
    assert "match" in told["shut"].body["detail"]
    await served.call("POST", "/connections/crm/pause", {"reason": "moving house"})
    paused = await served.call("POST", "/connections/crm/sync")
    assert (paused.status, paused.body["code"]) == (409, "connection_stopped")
    assert (await served.call("DELETE", "/connections/crm/sync")).status == 404


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/contacts?connection=crm", "members:read"),
        ("GET", "/contacts/conflicts", "members:read"),
        ("POST", "/contacts/crm/C9/part", "members:write"),
        ("GET", "/connections/crm/sync", "connections:read"),
        ("POST", "/connections/crm/sync", "connections:plug"),
        ("DELETE", "/connections/crm/sync", "connections:plug"),
    ],
)
async def test_each_call_wants_its_scope(served: Any, method: str, path: str, scope: str) -> None:
    assert (await served.call(method, path, scopes=("programs:read",))).status == 403
    assert (await served.call(method, path, scopes=(scope,))).status != 403
    assert (await served.call(method, path, key="")).status == 401


async def test_another_merchant_sees_nothing_of_it(served: Any) -> None:
    await filled(served)
    assert (await served.call("GET", "/contacts?connection=crm", merchant="other")).body["items"] == []
    assert (await served.call("GET", "/contacts/conflicts", merchant="other")).body["items"] == []
    assert (await served.call("POST", "/contacts/crm/C1/part", merchant="other")).status == 404
    assert (await served.call("POST", "/connections/crm/sync", merchant="other")).status == 404
