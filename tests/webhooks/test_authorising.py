"""Keys: without one nothing, with one what its scopes allow, for its own merchant."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select
from tests.databases import served_on_sqlite

from stampcard.domain.scopes import SCOPES, allows
from stampcard.storage.keys import USED, revoke_key
from stampcard.storage.tables import api_key
from stampcard_webhooks.api import ROUTES


def id_of(key: str) -> str:
    return key.split("_")[1]


async def test_without_a_key_nothing_is_told(api: Any) -> None:
    reply = await api.call("GET", "/members", key="")

    assert (reply.status, reply.body["status"], reply.body["title"]) == (401, 401, "Unauthorized")
    assert reply.headers["www-authenticate"] == "Bearer"
    assert reply.headers["content-type"] == "application/problem+json"


async def test_a_wrong_key_is_no_key(api: Any) -> None:
    key = await api.key()
    for wrong in (key[:-1] + ("0" if key[-1] != "0" else "1"), key[3:], key + "0"):
        reply = await api.call("GET", "/members", key=wrong)

        assert reply.status == 401
        assert reply.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_another_authorization_is_no_key(api: Any) -> None:
    for header in ("Basic c2M6c2M=", "Bearer", "Bearer  ", "sc_1_2", "Bearer sc_é_x"):
        assert (await api.call("GET", "/members", key="", headers={"Authorization": header})).status == 401


@served_on_sqlite
async def test_a_key_ends_when_it_expires_and_when_it_is_revoked(served: Any) -> None:
    key, other = await served.key(lives=timedelta(days=1)), await served.key()
    assert (await served.call("GET", "/members", key=key)).status == 200

    served.clock.advance(timedelta(days=1))
    await served.application.database.write(
        lambda connection: revoke_key(connection, "main", id_of(other), served.clock.now())
    )

    assert (await served.call("GET", "/members", key=key)).status == 401
    assert (await served.call("GET", "/members", key=other)).status == 401


async def test_a_missing_scope_is_named(api: Any) -> None:
    reply = await api.call("POST", "/members", {}, scopes=["members:read"])

    assert (reply.status, reply.body["code"], reply.body["scope"]) == (403, "missing_scope", "members:write")
    assert "members:write" in reply.body["detail"]


async def test_every_route_asks_for_its_scope_before_anything_else(api: Any) -> None:
    for route in ROUTES:
        assert route.scope in SCOPES
        path = route.path.replace("{", "").replace("}", "")
        others = [scope for scope in SCOPES if not allows([scope], route.scope)]

        assert (await api.call(route.method, path, key="")).status == 401
        reply = await api.call(route.method, path, scopes=others)

        assert (reply.status, reply.body["scope"]) == (403, route.scope)


async def test_only_the_digest_of_the_secret_is_stored_and_the_use_is_noted_now_and_then(served: Any) -> None:
    key = await served.key()
    secret = key.split("_")[2]
    mine = select(api_key).where(api_key.c.id == id_of(key))

    for _ in range(3):
        await served.call("GET", "/members", key=key)
        served.clock.advance(USED / 2)

    (row,) = await served.read(mine)
    assert secret not in str(row)
    assert len(row.secret_hash) == 64
    assert row.last_used_at - row.created_at == USED.total_seconds() * 1_000_000


async def test_a_marketers_key_reaches_programs_switches_alerts_and_reports_and_nothing_else(api: Any) -> None:
    for route in ROUTES:
        path = route.path.replace("{", "").replace("}", "")
        reply = await api.call(route.method, path, scopes=["marketer"])

        is_theirs = route.scope.startswith(("programs:", "rewards:", "switches:", "alerts:", "reports:"))
        assert (reply.status == 403) is not is_theirs, route.path
    assert (await api.call("GET", "/readyz?verbose", scopes=["marketer"])).status == 403
