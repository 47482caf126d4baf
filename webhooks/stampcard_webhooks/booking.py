"""Acts are booked, each in a transaction of its own, with what had waited for them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection

from stampcard.applying import selling
from stampcard.applying.requests import Answer
from stampcard.applying.selling import EXISTS
from stampcard.applying.unit import Unit
from stampcard.domain.tills import Act, Booked
from stampcard.engine.world import NO_FACTS, Facts
from stampcard.errors import EventRefused, RequestRefused
from stampcard.storage import tills
from stampcard.storage.tills import ActKey
from stampcard_webhooks.routing import Call

#: Acts that are booked because of one that came late, at a time.
FOLLOWING = 50


async def carry_out(call: Call[Any, Any], act: Act) -> Booked:
    """Book one act, and what had waited for it; a refusal is its outcome, and is written down, too."""
    try:
        facts = await facts_of(call, act)
        booked = await _booked(call, lambda unit: selling.book(unit, act, facts))
    except (RequestRefused, EventRefused) as error:
        refusal = _refusal(error)
        if refusal.code == EXISTS:
            return Booked(act=act, status="refused", received_at=call.now, code=refusal.code, detail=str(refusal))
        booked = await _booked(call, lambda unit: selling.put_down(unit, act, refusal))
        if booked.status == "held" and _waits(booked):
            # What it waits for may have come since it was looked for, and before anybody could see that this waits.
            booked = await _book_held(call, booked) or booked
    if booked.status == "done":
        await follow(call, booked)
    return booked


def _waits(held: Booked) -> bool:
    """Whether it is held for something that another act may bring."""
    told = held.act.card or held.act.member or held.act.of  # nothing of it is kept of whoever was erased
    return held.code in {"not_found", "insufficient_points"} and bool(told)


async def follow(call: Call[Any, Any], booked: Booked) -> None:
    """Book what was held until this came: what undoes it, what its points were lacking for, and what waits for those."""
    merchant, sealer, came = call.merchant, call.setting.sealer, [booked]
    for one in came:  # grows as it goes
        asked = selling.asked_by(call.setting, one.act)
        waiting = await call.read(lambda c: tills.held_about(c, merchant, sealer, one, asked, FOLLOWING))  # noqa: B023 - runs before the next turn
        done = [found for held in waiting if (found := await _book_held(call, held)) is not None]
        came += done
        if done and len(waiting) >= FOLLOWING:  # more may wait
            came.append(one)


async def _book_held(call: Call[Any, Any], held: Booked) -> Booked | None:
    """An act that was held, booked now; None where it cannot be yet, which is written down where it is for another reason."""
    try:
        facts = await facts_of(call, held.act)
        return await _booked(call, lambda unit: selling.book_held(unit, held, facts))
    except (RequestRefused, EventRefused) as error:
        refusal = _refusal(error)
    if refusal.code != held.code:
        with suppress(RequestRefused):  # somebody decided meanwhile
            await _booked(call, lambda unit: selling.hold_on(unit, held, refusal))
    return None


def _refusal(error: RequestRefused | EventRefused) -> RequestRefused:
    return error if isinstance(error, RequestRefused) else RequestRefused(error.code, error.detail)


async def facts_of(call: Call[Any, Any], act: Act) -> Facts:
    """What plugins know that conditions of a sale or a reward ask for."""
    if act.kind not in {"earn", "redeem"} or not call.is_at_home:
        return NO_FACTS
    gatherer, setting = call.application.gatherer, call.setting
    found = await call.read(lambda connection: selling.known_of(Unit(connection, setting, call.now), act))
    if found is None:
        return NO_FACTS
    member, sale = found
    return await (gatherer.facts_for(setting, member) if sale is None else gatherer.facts_about(setting, sale, member))


async def _booked(call: Call[Any, Any], work: Callable[[Unit], Booked]) -> Booked:
    """One act in a transaction of its own."""
    found: list[Booked] = []

    def act(unit: Unit) -> Answer:
        found.append(work(unit))
        return Answer(status=200, body={})

    await call.write(act)
    return found[-1]


def known_act(connection: Connection, call: Call[Any, Any], key: ActKey) -> Booked | None:
    """What became of one."""
    return tills.find_act(connection, call.merchant, call.setting.sealer, key)
