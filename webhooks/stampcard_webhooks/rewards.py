"""Rewards: the catalogue with its stock, what each is for one member, and codes of the merchant's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import Connection

from stampcard.applying.redeeming import standings, withdraw_codes
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting, Stale
from stampcard.applying.unit import Unit
from stampcard.engine.counting import CounterKey
from stampcard.engine.rewarding import Asking, Standing
from stampcard.engine.versions import Catalogued, LiveProgram
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.program.rewards import POOL
from stampcard.storage import pooling
from stampcard.storage.loading import load_counters
from stampcard.storage.redemptions import count_by_status
from stampcard_webhooks.asking import Asked, Nothing, Query
from stampcard_webhooks.paging import Page
from stampcard_webhooks.routing import Call, Route, given
from stampcard_webhooks.showing import Counted

#: Codes that one request uploads.
MOST_CODES = 1_000
#: Redemptions that one step looks at.
CHUNK = 500
Code = Annotated[str, StringConstraints(min_length=4, max_length=100, pattern=r"^[\x21-\x7e]+$")]


class RewardItem(BaseModel):
    """One reward of a program that is valid now."""

    program: str
    reward: str
    name: str
    description: str
    gives: str = Field(description="As the program says it.")
    kind: str
    wallet: str
    price: str | None = Field(description="In whole points, or `formula NAME`; null: it is only given by rules.")
    by: str = Field(description="Who makes it real: shop, a connection, own, pool, manual; empty: nobody needs to.")
    stopped: bool
    stock: int | None = Field(description="How many there are in all; null: no end of them.")
    left: int | None
    codes: int | None = Field(description="Codes of its pool that are still free; null: it has no pool.")
    redemptions: dict[str, int] = Field(description="How many there are by status.")


class RewardPage(Page[RewardItem]):
    """Every reward, by program."""


class RefusalView(BaseModel):
    """Something that stands against a reward now."""

    code: str
    detail: str


class StandingView(BaseModel):
    """A reward for one member, as of now."""

    program: str
    reward: str
    name: str
    description: str
    gives: str
    kind: str
    wallet: str
    price: int | None = Field(description="In the wallet's smallest unit.")
    scale: int
    missing: int = Field(description="Points that are lacking, in the wallet's smallest unit.")
    usable: bool
    refusals: list[RefusalView]
    left: int | None = Field(description="What is left of its stock; null: no end of it.")
    base_left: str | None = Field(
        description="For goods of how much its percentage still counts for the member: decimal text; null: nothing caps it."
    )
    valid_until: datetime | None = Field(description="Until when it could be used if it were issued now.")


class StandingPage(Page[StandingView]):
    """The rewards that a member may see."""


class StandingQuery(Query):
    """Through which connection the member asks."""

    at: str = Field(default="", max_length=100, pattern=r"^[^\x00]*$", description="Asked through this connection.")


class NewCodes(Asked):
    """Codes that the shop knows already, to be given out one by one."""

    codes: list[Code] = Field(min_length=1, max_length=MOST_CODES)


async def list_rewards(call: Call[Query, Nothing]) -> RewardPage:
    """All of them."""
    current = call.setting.programs.current(call.now)
    offered = [(live, of) for live in current for of in live.rewards.values()]
    return RewardPage(
        items=await call.read(lambda connection: [_item(connection, call, *reward) for reward in offered])
    )


def _item(connection: Connection, call: Call[Any, Any], live: LiveProgram, of: Catalogued) -> RewardItem:
    reward, stopped = of.reward, call.setting.programs.stopped
    left = None
    if reward.stock is not None:
        key = CounterKey(live.name, of.bounds[0].scope, "", "")
        used = load_counters(connection, call.merchant, [key], lock=False).get(key, 0)
        left = max(0, reward.stock - used)
    has_pool = reward.source == POOL
    return RewardItem(
        program=live.name,
        reward=of.name,
        name=reward.name or of.name,
        description=reward.description,
        gives=str(reward.gives),
        kind=reward.gives.kind,
        wallet=reward.wallet,
        price=None if reward.price is None else str(reward.price),
        by=reward.source,
        stopped=not reward.enabled or f"reward:{live.name}/{of.name}" in stopped,
        stock=reward.stock,
        left=left,
        codes=pooling.count_codes(connection, call.merchant, live.name, of.name)[1] if has_pool else None,
        redemptions=count_by_status(connection, call.merchant, live.name, of.name),
    )


async def list_standings(call: Call[StandingQuery, Nothing]) -> StandingPage:
    """What a member can have, what not and why, what is missing."""
    member, at = call.path["id"], call.query.at
    facts = await call.application.gatherer.facts_for(call.setting, member)

    def work(connection: Connection) -> list[StandingView]:
        unit = Unit(connection, call.setting, call.now)
        return standing_views(standings(unit, member, Asking(at=at, facts=facts)), call.now)

    return StandingPage(items=await call.read(work))


def standing_views(found: list[Standing], now: datetime) -> list[StandingView]:
    """What a member may see: not what is for others, nor what cannot be asked for."""
    hidden = {"not_for_this_member", "not_in_audience", "not_for_points", "draft"}
    return [_standing(one, now) for one in found if not hidden & {refusal.code for refusal in one.refusals}]


def _standing(one: Standing, now: datetime) -> StandingView:
    reward = one.of.reward
    terms = one.live.program.wallets.get(reward.wallet)
    return StandingView(
        program=one.live.name,
        reward=one.of.name,
        name=reward.name or one.of.name,
        description=reward.description,
        gives=str(one.gift),
        kind=one.gift.kind,
        wallet=reward.wallet,
        price=one.price,
        scale=terms.scale if terms else 0,
        missing=one.missing,
        usable=not one.refusals,
        refusals=[RefusalView(code=refusal.code, detail=refusal.detail) for refusal in one.refusals],
        left=one.left,
        base_left=None if one.base_left is None else f"{one.base_left:.2f}",
        valid_until=one.valid_until(now),
    )


async def add_codes(call: Call[Query, NewCodes]) -> Any:
    """Codes for a reward that gives them out; what it has already is left as it is."""
    program, reward = call.path["id"], call.path["reward"]
    live = next((one for one in call.setting.programs.current(call.now) if one.name == program), None)
    of = live.rewards.get(reward) if live is not None else None
    if of is None:
        raise NotFound("reward", f"{program}/{reward}")
    if of.reward.source != POOL:
        raise RequestRefused("no_pool", f"{reward} gives out no uploaded codes: write `by: pool` in the program")

    def work(unit: Unit) -> Any:
        count = pooling.add_codes(
            unit.connection, call.merchant, call.setting.sealer, program, reward, call.body.codes, unit.now
        )
        return given(Counted(count=count))

    return await call.write(work)


def _step(
    call: Call[Any, Any], setting: Setting, program: str, reward: str, back: bool, connection: Connection, after: str
) -> tuple[int, str]:
    now = call.application.clock.now()
    count, place, _ = withdraw_codes(connection, setting, now, program, reward, after, CHUNK, back=back)
    return count, place


def _switching(*, back: bool) -> Callable[[Call[Query, Nothing]], Awaitable[Answer]]:
    async def switch_codes(call: Call[Query, Nothing]) -> Answer:
        program, reward = call.path["id"], call.path["reward"]
        offered = {
            (live.name, of.name): of for live in call.setting.programs.current(call.now) for of in live.rewards.values()
        }
        of = offered.get((program, reward))
        if of is None:
            raise NotFound("reward", f"{program}/{reward}")
        if not back and of.reward.enabled and f"reward:{program}/{reward}" not in call.setting.programs.stopped:
            raise Conflict("not_stopped", f"{reward} is still given out: stop it first")

        while True:
            setting = await call.application.setting_for(call.merchant)
            step = partial(_step, call, setting, program, reward, back)
            try:
                return await call.write_in_steps(step, "")
            except Stale:
                await call.application.refresh()

    # The name is the operation's in the REST description, where each is told by it.
    switch_codes.__name__ = f"{'restore' if back else 'withdraw'}_codes"
    return switch_codes


ROUTES = (
    Route(
        method="GET",
        path="/rewards",
        scope="rewards:read",
        summary="List the rewards with what is left of them",
        handler=list_rewards,
        gives=RewardPage,
    ),
    Route(
        method="GET",
        path="/members/{id}/rewards",
        scope="redemptions:read",
        summary="List what a member can have for points, what not and why",
        handler=list_standings,
        query=StandingQuery,
        gives=StandingPage,
    ),
    Route(
        method="POST",
        path="/programs/{id}/rewards/{reward}/codes",
        scope="programs:write",
        summary="Upload codes that a reward gives out",
        handler=add_codes,
        takes=NewCodes,
        gives=Counted,
    ),
    *(
        Route(
            method="POST",
            path=f"/programs/{{id}}/rewards/{{reward}}/{what}",
            scope="switches:write",
            summary=f"Switch the unused codes of a reward {how}, at the shop too",
            handler=_switching(back=what == "restore"),
            gives=Counted,
        )
        for what, how in (("withdraw", "off"), ("restore", "on again"))
    ),
)
