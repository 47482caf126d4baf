"""Choices: what they are among, and picking one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from stampcard.applying.choosing import choices, choose
from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.domain.rewards import Redemption
from stampcard.engine.rewarding import Asking
from stampcard.errors import NotFound
from stampcard.storage.redemptions import find_redemption
from stampcard_webhooks.asking import Asked, Name, Nothing, Query
from stampcard_webhooks.redemptions import RedemptionView, WaitQuery, view_of, waited
from stampcard_webhooks.rewards import StandingPage, StandingView, standing_views
from stampcard_webhooks.routing import Call, Route, given


class Choosing(Asked):
    """The reward that is picked."""

    reward: Name


async def show_choices(call: Call[Any, Nothing]) -> StandingPage:
    """The rewards of a choice that is open, with what stands against each."""
    id_ = call.path["id"]
    one = await call.read(lambda connection: find_redemption(connection, call.merchant, call.setting.sealer, id_))
    if one is None:
        raise NotFound("redemption", id_)
    return StandingPage(items=await offered(call, one))


async def offered(call: Call[Any, Any], one: Redemption) -> list[StandingView]:
    """What can be picked from a choice now, and what not and why."""
    facts = await call.application.gatherer.facts_for(call.setting, one.member)

    def work(connection: Connection) -> list[StandingView]:
        return standing_views(choices(Unit(connection, call.setting, call.now), one, Asking(facts=facts)), call.now)

    return await call.read(work)


async def choose_reward(call: Call[WaitQuery, Choosing]) -> Answer:
    """Pick one; it costs nothing more. The same one again answers what was picked."""
    return await picked(call, call.path["id"], call.body.reward, wait=call.query.wait)


async def picked(
    call: Call[Any, Any], id_: str, reward: str, *, at: str = "", member: str = "", wait: int = 0
) -> Answer:
    """Pick a reward of a choice; `at`: the connection it is picked through, `member`: whose the choice must be."""
    one = await call.read(lambda connection: find_redemption(connection, call.merchant, call.setting.sealer, id_))
    if one is None:
        raise NotFound("redemption", id_)
    facts = await call.application.gatherer.facts_for(call.setting, one.member)

    def work(unit: Unit) -> Answer:
        chosen = choose(unit, id_, reward, Asking(at=at, facts=facts), member)
        return given(view_of(call, chosen), chosen.member, 201)

    return await waited(call, await call.write(work), wait)


ROUTES = (
    Route(
        method="GET",
        path="/redemptions/{id}/choices",
        scope="redemptions:read",
        summary="Show what a choice is among",
        handler=show_choices,
        query=Query,
        gives=StandingPage,
    ),
    Route(
        method="POST",
        path="/redemptions/{id}/choose",
        scope="redemptions:write",
        summary="Pick one reward of a choice",
        handler=choose_reward,
        query=WaitQuery,
        takes=Choosing,
        gives=RedemptionView,
        status=201,
    ),
)
