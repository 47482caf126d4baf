"""A till without a plugin of its own, from the first order to a code that was used and given back; on both databases."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlalchemy import select

from stampcard.applying.redeeming import redeem
from stampcard.applying.requests import Answer, answer
from stampcard.applying.unit import Unit
from stampcard.engine.rewarding import Asking
from stampcard.storage.redemptions import find_redemption
from stampcard.storage.tables import balance, identity, redemption
from stampcard.storage.verifying import verify

WHSEC = "whsec_ZnJvbSB0aGUgdGlsbCwgb25lIG9mIDMwIGJ5dGVz"
SIGNING = "whsec_YW4gb2xkZXIgb25lIG9mIDI0IGJ5dGVz"
PROGRAM = """
program: club
currency: EUR
timezone: Europe/Berlin
wallets: {points: {refunds: {spent: proportional}}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
rewards:
  five: {name: Five off, gives: 5 EUR off, price: 40, by: own}
"""


def order(reference: str, minute: int, total: str, *codes: str, refunds: Any = ()) -> bytes:
    data = {
        "reference": reference,
        "placed_at": "2026-03-10T11:00:00Z",
        "updated_at": f"2026-03-10T11:{minute:02}:00Z",
        "currency": "EUR",
        "total": total,
        "paid": True,
        "customer": {"reference": "7"},
        "lines": [{"gross": total}],
        "codes": list(codes),
        "refunds": list(refunds),
    }
    return json.dumps({"type": "order.updated", "timestamp": "2026-03-10T11:30:00Z", "data": data}).encode()


async def test_a_reward_of_our_own_codes_is_used_at_the_till_and_its_points_come_back_with_a_refund(
    install: Callable[..., Any], signed: Callable[..., dict[str, str]], clock: Any
) -> None:
    shown: list[int] = []

    async def take(request: web.Request) -> web.Response:
        shown.append((await request.json())["data"]["balances"]["points"]["active"])
        return web.Response(status=204)

    display = web.Application()
    display.router.add_post("/", take)
    async with TestServer(display) as server:
        till = {
            "plugin": "standard_webhooks",
            "webhook_secrets": WHSEC,
            "state_url": str(server.make_url("/")),
            "secrets": SIGNING,
        }
        async with install(PROGRAM, {"till": till}) as one:
            application = one.application

            async def told(body: bytes, id_: str) -> None:
                assert await one.post("till", body, signed(till, body, id_)) == 200
                await one.work()
                clock.advance(5)
                await one.send()

            async def points() -> int:
                return int((await one.read(select(balance.c.active)))[0].active)

            await told(order("A", 1, "100.00"), "one")
            (known,) = await one.read(select(identity.c.member))

            def work(unit: Unit) -> Answer:
                redeem(unit, known.member, "five", "", Asking(at="till"))
                return Answer(status=200, body={})

            redeeming = partial(answer, setting=application.setting, once=None, now=clock.now(), work=work)
            await application.database.write(redeeming)
            (row,) = await one.read(select(redemption.c.id))
            find = partial(find_redemption, merchant="main", sealer=application.setting.sealer, id_=row.id)
            made = await application.database.read(find)
            assert made is not None
            assert made.voucher is not None
            assert (made.status, await points()) == ("issued", 60)

            await told(order("B", 2, "50.00", made.voucher.code.lower()), "two")
            assert (await one.read(select(redemption.c.status)))[0].status == "used"
            assert await points() == 60 + 50
            back = {"reference": "R", "lines": [{"line": "1", "quantity": 1, "subtotal": "50.00"}], "money": "50.00"}
            await told(order("B", 3, "50.00", made.voucher.code, refunds=[back]), "three")
            assert await points() == 60 + 40
            assert shown[-1] == 100
            assert await one.troubles() == []
            found = await application.database.read(lambda connection: verify(connection, "main"))
            assert (found.findings, found.total) == ((), 0)
