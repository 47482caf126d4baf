"""Tills, staff and shifts over HTTP: links and PINs are shown once, and kept nowhere that anybody could read."""

from __future__ import annotations

import asyncio
import base64
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from stampcard.engine.tokens import opened_pairing
from stampcard.storage import staffing
from stampcard.storage.tables import idempotency, staff, till
from stampcard_webhooks.tills import ROUTES

MANAGE = ("counter:manage",)


async def make(served: Any, name: str = "front", **more: Any) -> Any:
    answer = await served.call("POST", "/tills", {"name": name, **more}, scopes=MANAGE)
    assert answer.status == 201, answer.body
    return answer.body


def pairing_of(served: Any, told: Any) -> Any:
    """What the link says that was told."""
    base = f"{served.application.public_url}/counter/pair/"
    assert told["url"].startswith(base)
    return opened_pairing(served.application.setting.sealer, told["url"].removeprefix(base), served.clock.now())


async def opens(served: Any, told: Any) -> bool:
    """Whether the link pairs a device now."""
    path = told["url"].removeprefix(served.application.public_url)
    async with served.session.get(served.address + path) as answer:
        return bool(answer.status == 200)


async def test_a_till_is_made_with_a_link_that_pairs_for_a_quarter_of_an_hour(served: Any) -> None:
    made = await make(served, branch="Berlin")
    assert (made["name"], made["branch"], made["ended_at"]) == ("front", "Berlin", None)
    assert (pairing_of(served, made).till, await opens(served, made)) == ("front", True)
    served.clock.advance(timedelta(minutes=15))
    assert not await opens(served, made)
    listed = (await served.call("GET", "/tills", scopes=MANAGE)).body
    assert [(one["name"], one["branch"]) for one in listed["items"]] == [("front", "Berlin")]
    assert "/counter/pair" not in str(listed)


async def test_pairing_anew_lets_the_links_and_devices_of_before_count_no_more(served: Any) -> None:
    first = await make(served, branch="Berlin")
    again = await served.call("POST", "/tills", {"name": "front"}, scopes=MANAGE)
    assert (again.status, again.body["code"]) == (409, "till_exists")
    assert "POST /tills/front/pair" in again.body["detail"]
    second = (await served.call("POST", "/tills/front/pair", scopes=MANAGE)).body
    assert (await opens(served, first), await opens(served, second)) == (False, True)
    assert second["branch"] == "Berlin"
    moved = await served.call("POST", "/tills/front/pair", {"branch": "Bonn"}, scopes=MANAGE)
    assert moved.body["branch"] == "Bonn"


async def test_a_till_that_ended_is_told_so_and_can_be_made_again(api: Any) -> None:
    first = await make(api)
    assert (await api.call("DELETE", "/tills/front", scopes=MANAGE)).status == 204
    assert not await opens(api, first)
    assert (await api.call("GET", "/tills", scopes=MANAGE)).body["items"][0]["ended_at"] is not None
    for method, path, status in (
        ("DELETE", "/tills/front", 409), ("POST", "/tills/front/pair", 404), ("POST", "/tills/other/pair", 404),
    ):  # fmt: skip
        assert (await api.call(method, path, scopes=MANAGE)).status == status
    assert await opens(api, await make(api))


async def test_a_pin_is_shown_once_and_kept_nowhere(served: Any) -> None:
    headers = {"Idempotency-Key": "a"}
    made = await served.call("POST", "/staff", {"name": "Ann Ó"}, scopes=MANAGE, headers=headers)
    assert (made.status, made.body.keys(), len(made.body["pin"])) == (201, {"name", "pin"}, 6)
    paired = await served.call("POST", "/tills", {"name": "front"}, scopes=MANAGE, headers=headers)
    again = await served.call("POST", "/staff", {"name": "Ann Ó"}, scopes=MANAGE, headers=headers)
    assert again.body == made.body, "the same request has the same answer, which lies sealed meanwhile"
    listed = (await served.call("GET", "/staff", scopes=MANAGE)).body
    assert [one["name"] for one in listed["items"]] == ["Ann Ó"]
    rows = [await served.read(select(table)) for table in (idempotency, staff, till)]
    assert len(rows[0]) == 2
    for secret in (made.body["pin"], paired.body["url"].rpartition("/")[2]):
        assert secret not in str(listed)
        assert not any(secret in str(row) for found in rows for row in found)


async def test_a_renewed_pin_opens_and_the_one_of_before_does_not(served: Any) -> None:
    async def whose(pin: str) -> str | None:
        sealer = served.application.setting.sealer
        found = await served.application.database.read(lambda c: staffing.worker_of(c, "main", sealer, pin))
        return found.name if found is not None else None

    first = (await served.call("POST", "/staff", {"name": "Ann"}, scopes=MANAGE)).body["pin"]
    twice = await served.call("POST", "/staff", {"name": "Ann"}, scopes=MANAGE)
    assert (twice.status, twice.body["code"]) == (409, "works_already")
    second = (await served.call("POST", "/staff/Ann/renew", scopes=MANAGE)).body["pin"]
    assert (await whose(first), await whose(second)) == (None, "Ann")
    assert (await served.call("DELETE", "/staff/Ann", scopes=MANAGE)).status == 204
    assert await whose(second) is None
    assert (await served.call("POST", "/staff/Ann/renew", scopes=MANAGE)).status == 409
    assert (await served.call("GET", "/staff", scopes=MANAGE)).body["items"][0]["ended_at"] is not None


async def test_shifts_tell_what_they_gave_and_not_what_opens_them(served: Any) -> None:
    now, database = served.clock.now(), served.application.database
    sealer = served.application.setting.sealer

    def begin(connection: Any) -> str:
        worker, _ = staffing.add_worker(connection, "main", sealer, "Ann", now)
        staffing.pair_till(connection, "main", "front", "", now)
        return staffing.open_shift(connection, "main", "front", worker, now)

    name = await database.write(begin)
    member = await served.rich()
    for index, shift in enumerate((name, "morning", "evening")):
        act = {"id": f"a{index}", "kind": "earn", "member": member, "shift": shift, "amount": "20.00"}
        told = await served.call("POST", "/counter/acts", {"till": "front", "acts": [act]}, scopes=("counter",))
        assert told.body["items"][0]["status"] == "done"
        served.clock.advance(timedelta(minutes=1))
    listed = await served.call("GET", "/counter/shifts?limit=2", scopes=("counter:review",))
    following = await served.call(
        "GET", f"/counter/shifts?limit=2&cursor={listed.body['next']}", scopes=("counter:review",)
    )
    shown = [*listed.body["items"], *following.body["items"]]
    assert following.body["next"] is None
    assert [(one["name"], one["staff"], one["points"], one["typed"]) for one in shown] == [
        ("evening", None, 20, 1), ("morning", None, 20, 1), (name[:17], "Ann", 20, 1),
    ]  # fmt: skip
    assert {(one["till"], one["worth"], one["scale"]) for one in shown} == {("front", "0.00", 0)}
    elsewhere = await served.call("GET", "/counter/shifts?till=back", scopes=("counter:review",))
    assert elsewhere.body["items"] == []


@pytest.mark.parametrize("scope", ["counter", "counter:review"])
async def test_whoever_works_at_the_counter_gives_nobody_a_pin(api: Any, scope: str) -> None:
    for route in ROUTES:
        if route.scope == "counter:manage":
            path = route.path.replace("{name}", "x")
            body = {"name": "x"} if route.method == "POST" else None
            assert (await api.call(route.method, path, body, scopes=(scope,))).status == 403, route


@pytest.mark.parametrize(
    ("path", "name"), [("/tills", "front desk"), ("/tills", ""), ("/staff", " Ann"), ("/staff", "a/b"), ("/staff", "")]
)
async def test_what_is_no_name_is_refused(api: Any, path: str, name: str) -> None:
    answer = await api.call("POST", path, {"name": name}, scopes=MANAGE)
    assert (answer.status, answer.body["errors"][0]["path"]) == (422, "name")


async def test_of_those_who_are_added_at_once_by_one_name_one_works_here(served: Any) -> None:
    answers = await asyncio.gather(*(served.call("POST", "/staff", {"name": "Ann"}) for _ in range(4)))
    assert sorted(one.status for one in answers) == [201, 409, 409, 409]
    assert {one.body["code"] for one in answers if one.status == 409} == {"works_already"}


async def test_a_pin_of_somebody_else_is_drawn_again(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([7, 7, 7, 8, 7, 9])
    monkeypatch.setattr("secrets.randbelow", lambda _: next(drawn))
    ann = (await served.call("POST", "/staff", {"name": "Ann"})).body
    bob = (await served.call("POST", "/staff", {"name": "Bob"})).body
    renewed = (await served.call("POST", "/staff/Bob/renew")).body
    assert [one["pin"] for one in (ann, bob, renewed)] == ["000007", "000008", "000009"]


async def test_a_cursor_opens_no_shift(served: Any) -> None:
    now, sealer = served.clock.now(), served.application.setting.sealer

    def begin(connection: Any) -> list[str]:
        worker, _ = staffing.add_worker(connection, "main", sealer, "Ann", now)
        return [staffing.open_shift(connection, "main", "front", worker, now) for _ in range(3)]

    names = await served.application.database.write(begin)
    shown, cursor = list[str](), ""
    for _ in names:
        page = (await served.call("GET", f"/counter/shifts?limit=1{cursor}")).body
        shown += [one["name"] for one in page["items"]]
        read = base64.urlsafe_b64decode(f"{page['next'] or ''}==").decode()
        assert not any(name in read for name in names)
        cursor = f"&cursor={page['next']}"
    assert sorted(shown) == sorted(staffing.shown_shift(name, "w_0123456789ab") for name in names)


async def test_what_has_ended_is_told_apart_from_what_never_was(served: Any) -> None:
    await make(served)
    await served.call("POST", "/staff", {"name": "Ann"})
    for path, code in (("/tills/front", "already_ended"), ("/staff/Ann", "works_no_more")):
        assert (await served.call("DELETE", path)).status in {200, 204}
        again = await served.call("DELETE", path)
        assert (again.status, again.body["code"]) == (409, code)
    for path in ("/tills/back", "/staff/Bob"):
        assert (await served.call("DELETE", path)).status == 404
