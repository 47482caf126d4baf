"""Redemptions: rewards that members took, from the hold to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Literal
from urllib.parse import quote

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stampcard.applying import redeeming
from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.domain.rewards import Redemption
from stampcard.domain.value import replace
from stampcard.engine.redeeming import Handling
from stampcard.engine.rewarding import Asking
from stampcard.errors import NotFound
from stampcard.storage.reading import scale_of
from stampcard.storage.redemptions import Wanted, find_code, find_redemption, list_redemptions, place_of
from stampcard_webhooks.asking import Asked, Name, Nothing, Query, Words
from stampcard_webhooks.paging import Number, Page, PageQuery, Text, cut, position
from stampcard_webhooks.routing import Call, Route, given
from stampcard_webhooks.showing import check_member

Place = tuple[Number, Text]
Status = Literal["held", "issued", "used", "released", "expired", "revoked"]
#: Seconds that an answer may wait for a reward to be issued, and how often it is looked at.
LONGEST_WAIT, LOOK = 20, 0.1


class RedemptionView(BaseModel):
    """A reward that a member took or was given."""

    id: str
    member: str
    program: str
    reward: str
    title: str
    gives: str
    kind: str
    status: Status
    by: str = Field(description="Who makes it real: a connection, own, pool, manual; empty: nobody needed to.")
    code: str | None = Field(description="Once it is issued; null before, and after the member was erased.")
    wallet: str
    price: int = Field(description="In the wallet's smallest unit; 0 for what a rule gave.")
    scale: int
    created_at: datetime
    issued_at: datetime | None
    ended_at: datetime | None
    valid_until: datetime | None
    orders: list[str] = Field(description="Where it was used: orders, or what a till called it.")
    given_for: str = Field(description="What a rule gave it for; empty where it was asked for.")
    rule: str
    withdrawn: bool = Field(description="Its code is switched off, because the reward was stopped.")
    reason: str = Field(description="Why it was given up or taken back.")
    url: str | None = Field(description="The page on which its holder picks, of a choice that is open.")


class RedemptionPage(Page[RedemptionView]):
    """Redemptions, newest first."""


class RedemptionsQuery(PageQuery):
    """Which ones."""

    status: Status | None = None
    program: str = Field(default="", max_length=100, pattern=r"^[^\x00]*$")
    reward: str = Field(default="", max_length=100, pattern=r"^[^\x00]*$")
    by: str = Field(
        default="", max_length=100, pattern=r"^[^\x00]*$", description="`manual` with status `held` is the queue."
    )


class WaitQuery(Query):
    """How long the answer may wait."""

    wait: int = Field(
        default=0,
        ge=0,
        le=LONGEST_WAIT,
        description="Seconds to wait until it is issued; the answer comes anyway then.",
    )


class NewRedemption(Asked):
    """A reward that a member wants."""

    reward: Name
    program: str = Field(default="", max_length=100, description="Where several programs have a reward of that name.")
    at: str = Field(default="", max_length=100, description="The connection that the member asks through.")


class Given(Asked):
    """Why."""

    reason: Words = Field(description="The member may see it.")


class Revoking(Given):
    """Why, and what becomes of the points."""

    keep_points: bool = Field(default=False, description="true: the points stay spent.")


class Using(Asked):
    """Where it was used."""

    where: Name = Field(description="The order or receipt; the same place counts once.")


class Handled(Asked):
    """What people did about it."""

    note: Words = Field(default="", description="Such as a parcel's number; the member may see it.")


class CodeAsked(Asked):
    """A code that somebody shows."""

    code: str = Field(min_length=1, max_length=100, pattern=r"^[^\x00]+$")


def redemption_view(one: Redemption, scale: int, public_url: str) -> RedemptionView:
    """A redemption as shown; the code only once it is worth something."""
    voucher = one.voucher
    shown = voucher is not None and one.by != "manual" and one.kind != "points" and one.issued_at is not None
    return RedemptionView(
        id=one.id,
        member=one.member,
        program=one.program,
        reward=one.reward,
        title=voucher.title if voucher is not None else one.reward,
        gives=one.gives,
        kind=one.kind,
        status=one.status,
        by=one.by,
        code=voucher.code if voucher is not None and shown else None,
        wallet=one.wallet,
        price=one.price,
        scale=scale,
        created_at=one.created_at,
        issued_at=one.issued_at,
        ended_at=one.ended_at,
        valid_until=one.valid_until,
        orders=list(one.orders),
        given_for=one.subject,
        rule=one.rule,
        withdrawn=one.withdrawn,
        reason=one.reason,
        url=f"{public_url}/choose/{quote(voucher.code)}"
        if voucher is not None and one.kind == "choice" and one.status == "issued"
        else None,
    )


def view_of(call: Call[Any, Any], one: Redemption) -> RedemptionView:
    """A redemption as a request sees it."""
    scale = scale_of(call.setting.programs, one.wallet) if one.wallet else 0
    return redemption_view(one, scale, call.application.public_url)


async def redeem(call: Call[WaitQuery, NewRedemption]) -> Answer:
    """Take a reward for points; held until it is issued, which an answer may wait for."""
    wanted, member = call.body, call.path["id"]

    facts = await call.application.gatherer.facts_for(call.setting, member)

    def work(unit: Unit) -> Answer:
        one = redeeming.redeem(unit, member, wanted.reward, wanted.program, Asking(at=wanted.at, facts=facts))
        return given(view_of(call, one), member, 201)

    answer = await call.write(work)
    return await waited(call, answer, call.query.wait)


async def waited(call: Call[Any, Any], answer: Answer, seconds: int) -> Answer:
    """The answer with the redemption as it is once it is issued or over, or after so many seconds."""
    call.application.wake()
    body, id_ = answer.body, str(answer.body.get("id"))
    for _ in range(int(seconds / LOOK)):
        if body.get("status") != "held":
            break
        await asyncio.sleep(LOOK)
        body = (await call.read(lambda connection: _found(connection, call, id_))).model_dump(mode="json")
    return replace(answer, body=body)


def _found(connection: Connection, call: Call[Any, Any], id_: str) -> RedemptionView:
    one = find_redemption(connection, call.merchant, call.setting.sealer, id_)
    if one is None:
        raise NotFound("redemption", id_)
    return view_of(call, one)


async def show_redemption(call: Call[WaitQuery, Nothing]) -> Answer:
    """One; the answer may wait until it is issued."""
    view = await call.read(lambda connection: _found(connection, call, call.path["id"]))
    return await waited(call, given(view), call.query.wait)


async def list_all(call: Call[RedemptionsQuery, Nothing]) -> RedemptionPage:
    """Those of everybody."""
    return await _page(call, "")


async def list_of_member(call: Call[RedemptionsQuery, Nothing]) -> RedemptionPage:
    """Those of one member."""
    member = call.path["id"]
    await call.read(lambda connection: check_member(connection, call.setting, member))
    return await _page(call, member)


async def _page(call: Call[RedemptionsQuery, Nothing], member: str) -> RedemptionPage:
    query = call.query
    wanted = Wanted(member=member, status=query.status or "", program=query.program, reward=query.reward, by=query.by)
    place = position(query, "redemptions", Place)
    found = await call.read(
        lambda connection: list_redemptions(
            connection, call.merchant, call.setting.sealer, wanted, place, query.limit + 1
        )
    )
    shown, following = cut(found, query, "redemptions", place_of)
    return RedemptionPage(items=[view_of(call, one) for one in shown], next=following)


async def find_by_code(call: Call[Query, CodeAsked]) -> RedemptionView:
    """The redemption of a code that somebody shows; raises NotFound for one that is nobody's."""
    one = await call.read(lambda connection: find_code(connection, call.merchant, call.setting.sealer, call.body.code))
    if one is None:
        raise NotFound("code", "that was shown")
    return view_of(call, one)


def _ending(name: str, work: Callable[[Unit, str, Any], Redemption]) -> Callable[[Call[Any, Any]], Awaitable[Answer]]:
    async def end(call: Call[Query, Any]) -> Answer:
        id_ = call.path["id"]

        def do(unit: Unit) -> Answer:
            one = work(unit, id_, call.body)
            return given(view_of(call, one), one.member)

        return await call.write(do)

    # The name is the operation's in the REST description, where each is told by it.
    end.__name__ = name
    return end


def _handling(how: Handling) -> Callable[[Unit, str, Any], Redemption]:
    return lambda unit, id_, body: redeeming.handle(unit, id_, how, body.note)


#: What is done to a redemption → what it needs to know, how it is told, and how it is done.
_ENDINGS: dict[str, tuple[type[Asked], str, Callable[[Unit, str, Any], Redemption]]] = {
    "release": (
        Given,
        "Give up a redemption that was not issued",
        lambda unit, id_, body: redeeming.release(unit, id_, body.reason),
    ),
    "revoke": (
        Revoking,
        "Take back a redemption that was not used",
        lambda unit, id_, body: redeeming.revoke(unit, id_, body.reason, keep_points=body.keep_points),
    ),
    "use": (
        Using,
        "Mark an issued reward used",
        lambda unit, id_, body: redeeming.use(unit, id_, body.where),
    ),
    "done": (Handled, "Say that a reward was handed out by hand", _handling("done")),
    "shipped": (Handled, "Say that a reward is on its way", _handling("shipped")),
    "refused": (Handled, "Say that a reward cannot be handed out; its points go back", _handling("refused")),
}

ROUTES = (
    Route(
        method="POST",
        path="/members/{id}/redemptions",
        scope="redemptions:write",
        summary="Let a member take a reward for points",
        handler=redeem,
        query=WaitQuery,
        takes=NewRedemption,
        gives=RedemptionView,
        status=201,
    ),
    Route(
        method="GET",
        path="/members/{id}/redemptions",
        scope="redemptions:read",
        summary="List a member's redemptions",
        handler=list_of_member,
        query=RedemptionsQuery,
        gives=RedemptionPage,
    ),
    Route(
        method="GET",
        path="/redemptions",
        scope="redemptions:read",
        summary="List redemptions",
        handler=list_all,
        query=RedemptionsQuery,
        gives=RedemptionPage,
    ),
    Route(
        method="GET",
        path="/redemptions/{id}",
        scope="redemptions:read",
        summary="Show a redemption",
        handler=show_redemption,
        query=WaitQuery,
        gives=RedemptionView,
    ),
    Route(
        method="POST",
        path="/redemptions/find",
        scope="redemptions:read",
        summary="Find the redemption of a code",
        handler=find_by_code,
        takes=CodeAsked,
        gives=RedemptionView,
    ),
    *(
        Route(
            method="POST",
            path=f"/redemptions/{{id}}/{what}",
            scope="redemptions:write",
            summary=summary,
            handler=_ending(f"{what}_redemption", work),
            takes=takes,
            gives=RedemptionView,
        )
        for what, (takes, summary, work) in _ENDINGS.items()
    ),
)
