"""The shopper's own API: what they have, what they can get, their rewards, and being forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Literal

import structlog
from aiohttp import hdrs, web
from pydantic import BaseModel, Field
from sqlalchemy import Connection
from yarl import URL

from stampcard.app import Application
from stampcard.applying import joining, redeeming, verifying
from stampcard.applying.consenting import record_consent
from stampcard.applying.erasing import erase_members
from stampcard.applying.locking import lock_member
from stampcard.applying.messaging import send_link
from stampcard.applying.requests import Answer, Once
from stampcard.applying.unit import Unit
from stampcard.domain.commands import OWN
from stampcard.domain.consents import Consent
from stampcard.engine.rewarding import Asking
from stampcard.engine.tokens import new_link
from stampcard.errors import NotFound, place_of, trace_of
from stampcard.plugin.rates import Rate
from stampcard.storage import redemptions
from stampcard.storage.keys import ApiKey
from stampcard.storage.listing import entries_before
from stampcard.storage.loading import load_members
from stampcard.storage.reading import balances, folded_wallets, scale_of
from stampcard.storage.redemptions import Wanted, find_redemption, list_redemptions
from stampcard_webhooks.asking import Asked, Name, Nothing, Query, body_of
from stampcard_webhooks.cards import make_card_of as make_mine
from stampcard_webhooks.choosing import Choosing, picked, show_choices
from stampcard_webhooks.consents import ConsentName, ConsentPage, ExportView, consent_page, export_view
from stampcard_webhooks.identifying import STRANGERS, Identifying, Shopper
from stampcard_webhooks.keys import APPLICATION, IDENTIFYING
from stampcard_webhooks.notes import NotesQuery, dismiss_note, read_note, show_notes
from stampcard_webhooks.paging import Number, Page, PageQuery, Text, cut, position
from stampcard_webhooks.perks import MyPerkView, my_perk_views
from stampcard_webhooks.plans import MyPlanView, Trying, my_plan_view, my_plan_views
from stampcard_webhooks.problems import Handler, Refused, told
from stampcard_webhooks.proofs import NewRequest, ProofPage, ProofView, proof_view, proof_views
from stampcard_webhooks.redemptions import Place, RedemptionView, view_of, waited
from stampcard_webhooks.rewards import StandingPage, StandingView, standing_views
from stampcard_webhooks.routing import Call, Route, given, response_of
from stampcard_webhooks.showing import BalanceView, balance_views, check_member
from stampcard_webhooks.tiers import TierView, tier_views

log = structlog.get_logger()

PREFIX = "/shopper/{connection}"
#: Where anybody may ask for their own link by mail, and how often for one address.
LINK_PATH, MAILED = f"/shopper/{OWN}/link", Rate(per_second=1 / 300, burst=3)
#: Seconds that a redemption waits for the shop to make its code.
WAIT = 5
#: How far ahead points that expire are told.
AHEAD = timedelta(days=60)
#: What is still done after its answer was given.
UNDER_WAY = web.AppKey("under_way", set[asyncio.Task[None]])
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}


class ExpiringView(BaseModel):
    """Points that lapse soon."""

    wallet: str
    points: int
    expires_at: datetime


class MeView(BaseModel):
    """What a shopper has."""

    joined_at: datetime
    programs: list[str]
    balances: dict[str, BalanceView] = Field(description="By wallet.")
    expiring: list[ExpiringView] = Field(description="Within sixty days, the soonest first.")
    tiers: list[TierView] = Field(description="The tier in each program, and what is missing for the next.")
    perks: list[MyPerkView] = Field(description="What the shopper is entitled to, and how often it can still be used.")

    plans: list[MyPlanView] = Field(description="Paid memberships that the shopper has, had or can try.")

    proofs: list[ProofView] = Field(description="What the shopper is verified as, and what can be asked for.")


class HappenedView(BaseModel):
    """Something that happened to a shopper's points."""

    wallet: str
    number: int
    kind: str
    occurred_at: datetime
    points: int = Field(description="What it changed of what is there to be spent, now or later.")
    scale: int
    note: str


class HistoryPage(Page[HappenedView]):
    """What happened, newest first in each wallet."""


class OfferedPage(Page[StandingView]):
    """What a shopper can get, what not and why."""


class MinePage(Page[RedemptionView]):
    """A shopper's rewards, newest first."""


class Wish(Asked):
    """A reward that a shopper wants."""

    reward: Name
    program: str = Field(default="", max_length=100)
    key: str = Field(
        pattern=r"^[\x21-\x7e]{1,200}$", description="Made up by the page for this wish: the same key makes one code."
    )


class Said(Asked):
    """What a shopper says about being addressed."""

    channel: ConsentName
    purpose: ConsentName
    state: Literal["given", "withdrawn"]
    text: str = Field(
        default="", max_length=200, pattern=r"^[^\x00]*$", description="Which version of which words the shopper saw."
    )


class Farewell(Asked):
    """A shopper who wants to be forgotten."""

    confirm: Literal[True] = Field(description="That nobody can undo it.")


class Addressed(Asked):
    """Who asks for their own link."""

    email: str = Field(min_length=3, max_length=320, description="The address that the shop or we know of them.")


class NewLink(BaseModel):
    """A token that lets its bearer act as the member; hand it to nobody else."""

    token: str
    expires_at: datetime
    url: str = Field(description="Where the shopper's API takes it, as Authorization: Bearer.")


Asks = Callable[[Call[Any, Any], str], Awaitable[BaseModel | Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopperRoute:
    """One thing that a shopper may ask."""

    method: str
    path: str
    summary: str
    handler: Asks
    query: type[BaseModel] = Query
    takes: type[BaseModel] = Nothing


async def show_me(call: Call[Query, Nothing], member: str) -> MeView:
    """Balances, and what expires soon."""
    return await call.read(lambda connection: _me(connection, call, member))


def _me(connection: Connection, call: Call[Any, Any], member: str) -> MeView:
    merchant, programs = call.merchant, call.setting.programs
    check_member(connection, call.setting, member)
    wallets = list(folded_wallets(connection, merchant, [member], call.now))
    soon: dict[tuple[str, datetime], int] = {}
    for wallet in wallets:
        for lot in wallet.lots.values():
            if lot.active and lot.remaining and lot.expires_at is not None and lot.expires_at <= call.now + AHEAD:
                key = (wallet.name, lot.expires_at)
                soon[key] = soon.get(key, 0) + lot.remaining
    person = load_members(connection, merchant, [member], call.setting.sealer, attributes=False, lock=False)[member]
    return MeView(
        joined_at=person.joined_at,
        programs=sorted(person.programs),
        balances=balance_views(balances(connection, merchant, [member], programs, call.now)[member]),
        expiring=[
            ExpiringView(wallet=name, points=points, expires_at=at)
            for (name, at), points in sorted(soon.items(), key=lambda one: (one[0][1], one[0][0]))
        ],
        tiers=tier_views(connection, call.setting, [member], call.now)[0],
        perks=my_perk_views(connection, call.setting, member, call.now),
        plans=my_plan_views(connection, call.setting, member, call.now),
        proofs=proof_views(connection, call.setting, member, call.now),
    )


async def show_history(call: Call[PageQuery, Nothing], member: str) -> HistoryPage:
    """Entries, in a shopper's terms."""
    query = call.query
    place = position(query, "history", tuple[Text, Number])
    found = await call.read(
        lambda connection: entries_before(connection, call.merchant, member, None, place, query.limit + 1)
    )
    shown, following = cut(found, query, "history", lambda entry: (entry.wallet, entry.number))
    items = [
        HappenedView(
            wallet=entry.wallet,
            number=entry.number,
            kind=entry.kind,
            occurred_at=entry.occurred_at,
            points=entry.postings.get("active", 0) + entry.postings.get("pending", 0),
            scale=scale_of(call.setting.programs, entry.wallet),
            note=entry.note,
        )
        for entry in shown
    ]
    return HistoryPage(items=items, next=following)


async def _asking(call: Call[Any, Any], member: str) -> Asking:
    """What rewards are looked at with: the connection that the shopper comes through, and what plugins know."""
    facts = await call.application.gatherer.facts_for(call.setting, member)
    return Asking(at=call.path["connection"], facts=facts)


async def show_rewards(call: Call[Query, Nothing], member: str) -> OfferedPage:
    """The catalogue as it is for the shopper."""
    asking = await _asking(call, member)

    def work(connection: Connection) -> list[StandingView]:
        unit = Unit(connection, call.setting, call.now)
        return standing_views(redeeming.standings(unit, member, asking), call.now)

    return OfferedPage(items=await call.read(work))


async def take_reward(call: Call[Query, Wish], member: str) -> Answer:
    """Redeem; the answer waits a few seconds for the code."""
    wish, asking = call.body, await _asking(call, member)

    def work(unit: Unit) -> Answer:
        one = redeeming.redeem(unit, member, wish.reward, wish.program, asking)
        return given(view_of(call, one), member, 201)

    return await waited(call, await call.write(work), WAIT)


async def show_mine(call: Call[PageQuery, Nothing], member: str) -> MinePage:
    """The shopper's redemptions."""
    query, wanted = call.query, Wanted(member=member)
    place = position(query, "mine", Place)
    found = await call.read(
        lambda connection: list_redemptions(
            connection, call.merchant, call.setting.sealer, wanted, place, query.limit + 1
        )
    )
    shown, following = cut(found, query, "mine", redemptions.place_of)
    return MinePage(items=[view_of(call, one) for one in shown], next=following)


async def show_one_of_mine(call: Call[Query, Nothing], member: str) -> RedemptionView:
    """One of the shopper's; another's is as unknown as one that never was."""
    id_ = call.path["id"]
    one = await call.read(lambda connection: find_redemption(connection, call.merchant, call.setting.sealer, id_))
    if one is None or one.member != member:
        raise NotFound("redemption", id_)
    return view_of(call, one)


async def show_choices_of_mine(call: Call[Query, Nothing], member: str) -> StandingPage:
    """What a choice of the shopper's is among."""
    await show_one_of_mine(call, member)
    return await show_choices(call)


async def choose_mine(call: Call[Query, Choosing], member: str) -> Answer:
    """Pick one of a choice; the answer waits a few seconds for its code."""
    return await picked(call, call.path["id"], call.body.reward, at=call.path["connection"], member=member, wait=WAIT)


async def try_mine(call: Call[Query, Trying], member: str) -> Answer:
    """Try a plan, once and without paying."""
    plan, program = call.path["plan"], call.body.program
    return await call.write(
        lambda unit: given(my_plan_view(joining.try_plan(unit, member, program, plan)), member, 201)
    )


async def show_my_proofs(call: Call[Query, Nothing], member: str) -> ProofPage:
    """What the shopper is verified as."""
    return await call.read(lambda c: ProofPage(items=proof_views(c, call.setting, member, call.now)))


async def ask_for_mine(call: Call[Query, NewRequest], member: str) -> Answer:
    """Ask to be verified."""
    proof, wanted, now = call.path["proof"], call.body, call.now

    def work(unit: Unit) -> Answer:
        told = verifying.ask(unit, member, wanted.program, proof, wanted.evidence, by_member=True)
        return given(proof_view(told, now), member, 201)

    return await call.write(work)


async def show_my_consents(call: Call[Query, Nothing], member: str) -> ConsentPage:
    """What the shopper agreed to, with the history."""
    return await call.read(lambda connection: consent_page(connection, call, member, for_shopper=True))


async def say(call: Call[Query, Said], member: str) -> Answer:
    """Agree to something, or take that back."""
    said, now = call.body, call.now

    def work(unit: Unit) -> Answer:
        one = Consent(
            channel=said.channel,
            purpose=said.purpose,
            state=said.state,
            at=now,
            recorded_at=now,
            source=call.path["connection"],
            text=said.text,
        )
        record_consent(unit, member, one)
        return given(consent_page(unit.connection, call, member, for_shopper=True), member)

    return await call.write(work)


async def export_mine(call: Call[Query, Nothing], member: str) -> ExportView:
    """Everything that is stored of the shopper."""
    return await call.read(lambda connection: export_view(connection, call, member, for_shopper=True))


async def leave(call: Call[Query, Farewell], member: str) -> Answer:
    """Forget everything personal of the shopper; the anonymous ledger stays."""

    def work(unit: Unit) -> Answer:
        lock_member(unit, member)
        erase_members(unit, [member])
        return Answer(status=204, body={})

    return await call.write(work)


SHOPPER_ROUTES = (
    ShopperRoute(method="GET", path="/me", summary="balances, and what expires soon", handler=show_me),
    ShopperRoute(
        method="GET", path="/history", summary="what happened to the points", handler=show_history, query=PageQuery
    ),
    ShopperRoute(method="GET", path="/rewards", summary="what can be had, what not and why", handler=show_rewards),
    ShopperRoute(
        method="POST", path="/redemptions", summary="take a reward for points", handler=take_reward, takes=Wish
    ),
    ShopperRoute(
        method="GET", path="/redemptions", summary="own rewards with their codes", handler=show_mine, query=PageQuery
    ),
    ShopperRoute(method="GET", path="/redemptions/{id}", summary="one of them", handler=show_one_of_mine),
    ShopperRoute(
        method="GET", path="/redemptions/{id}/choices", summary="what a choice is among", handler=show_choices_of_mine
    ),
    ShopperRoute(
        method="POST",
        path="/redemptions/{id}/choose",
        summary="pick one of a choice",
        handler=choose_mine,
        takes=Choosing,
    ),
    ShopperRoute(method="POST", path="/plans/{plan}/trial", summary="try a plan, once", handler=try_mine, takes=Trying),
    ShopperRoute(
        method="GET", path="/proofs", summary="what the shopper is verified as, and can ask for", handler=show_my_proofs
    ),
    ShopperRoute(
        method="POST", path="/proofs/{proof}", summary="ask to be verified", handler=ask_for_mine, takes=NewRequest
    ),
    ShopperRoute(
        method="GET", path="/consents", summary="what the shopper agreed to, with history", handler=show_my_consents
    ),
    ShopperRoute(
        method="POST", path="/consents", summary="agree to something, or take it back", handler=say, takes=Said
    ),
    ShopperRoute(
        method="GET",
        path="/messages",
        summary="messages to read, and how many are unread",
        handler=show_notes,
        query=NotesQuery,
    ),
    ShopperRoute(method="POST", path="/messages/{id}/read", summary="one was read", handler=read_note),
    ShopperRoute(
        method="POST", path="/messages/{id}/dismiss", summary="one is not shown any more", handler=dismiss_note
    ),
    ShopperRoute(method="POST", path="/card", summary="the shopper's card, made if there is none", handler=make_mine),
    ShopperRoute(method="GET", path="/export", summary="everything that is stored of the shopper", handler=export_mine),
    ShopperRoute(method="POST", path="/erase", summary="be forgotten", handler=leave, takes=Farewell),
)


def add_shopping(server: web.Application) -> None:
    """Add everything under /shopper."""
    paths: dict[str, list[ShopperRoute]] = {}
    for route in SHOPPER_ROUTES:
        server.router.add_route(route.method, PREFIX + route.path, told(_allowing(_handling(route))))
        paths.setdefault(route.path, []).append(route)
    server[UNDER_WAY] = set()
    server.on_cleanup.append(_finish)
    server.router.add_route("POST", LINK_PATH, told(_allowing(mail_link)))
    for path in (LINK_PATH, *(PREFIX + path for path in paths)):
        server.router.add_route("OPTIONS", path, told(_preflight))


async def _preflight(request: web.Request) -> web.StreamResponse:
    """May a browser on that origin ask? Only on the shop's own."""
    headers = _origin_headers(request)
    if not headers:
        raise Refused(403, "this origin may not ask", code="origin")
    return web.Response(status=HTTPStatus.NO_CONTENT, headers={**headers, **_PREFLIGHT})


def _origin_headers(request: web.Request) -> dict[str, str]:
    origin = request.headers.get(hdrs.ORIGIN, "")
    if not _origin_of(origin) or _origin_of(origin) not in map(_origin_of, _origins(request)):
        return {}
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def _origin_of(address: str) -> str:
    """The origin of an address as browsers write it, however that was; empty where it has none."""
    try:
        return str(URL(address).origin())
    except ValueError:
        return ""


def _origins(request: web.Request) -> Collection[str]:
    """Addresses whose pages may ask: the shop's, and with a mailed link the shop owner's own page for members."""
    name = request.match_info.get("connection", OWN)
    if name != OWN:
        source = request.app[IDENTIFYING].source(name)
        return source.origins if source is not None else ()
    application = request.app[APPLICATION]
    current = application.setting.programs.current(application.clock.now())
    return {live.program.sending.page for live in current}


def _allowing(handler: Handler) -> Handler:
    """The handler, its answers and refusals readable by pages of the shop alone."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = await told(handler)(request)
        response.headers.update(_origin_headers(request))
        return response

    return handle


def _handling(route: ShopperRoute) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        identifying: Identifying = request.app[IDENTIFYING]
        shopper = await identifying.identify(request, writes=route.method == "POST")
        if any("\x00" in part for part in request.match_info.values()):
            raise Refused(404, "there is nothing of this name", code="not_found")
        return response_of(await route.handler(await _call(request, route, shopper), shopper.member))

    return handle


async def _call(request: web.Request, route: ShopperRoute, shopper: Shopper) -> Call[Any, Any]:
    application = request.app[APPLICATION]
    now = application.clock.now()
    raw, body = await body_of(request, route.takes) if route.method == "POST" else (b"", Nothing())
    once = None
    if isinstance(body, Wish):
        once = Once(key=f"shopper:{shopper.member}:{body.key}", path=route.path, body=raw)
    return Call(
        application=application,
        server=request.app,
        key=ApiKey(merchant=shopper.merchant, id="shopper", name="shopper", scopes=(), created_at=now),
        setting=await application.setting_for(shopper.merchant),
        now=now,
        path=request.match_info,
        query=_own_query(request, route.query),
        body=body,
        once=once,
    )


def _own_query(request: web.Request, model: type[BaseModel]) -> BaseModel:
    """Our own parameters; the query may also hold what the shop signed."""
    own = {name: value for name, value in request.query.items() if name in model.model_fields}
    try:
        return model.model_validate(own)
    except ValueError:
        raise Refused(422, "a query parameter is wrong", code="invalid") from None


async def mail_link(request: web.Request) -> web.StreamResponse:
    """Mail a member's own link to an address, if it is a member's; nobody is told whether it is, not even by the time it takes."""
    application, identifying = request.app[APPLICATION], request.app[IDENTIFYING]
    identifying.pace_visitor("link mail", request, STRANGERS)
    _, body = await body_of(request, Addressed)
    address = body.email.strip()
    identifying.pace("link mail", address.casefold(), MAILED)
    behind(request.app, _mail_link(application, address))
    return web.json_response({}, status=HTTPStatus.ACCEPTED)


def behind(server: web.Application, work: Coroutine[Any, Any, None]) -> None:
    """Do something behind an answer that must not tell, not even by the time it takes, what came of it."""
    task = asyncio.create_task(work)
    server[UNDER_WAY].add(task)
    task.add_done_callback(server[UNDER_WAY].discard)


async def _mail_link(application: Application, address: str) -> None:
    setting, now = application.setting, application.clock.now()
    try:
        await application.database.write(lambda connection: send_link(connection, setting, address, now))
    except Exception as error:  # noqa: BLE001 - nobody waits for it who could be told
        log.error("link_not_mailed", error=place_of(error), trace=trace_of(error))
    application.wake()


async def _finish(server: web.Application) -> None:
    """Do what is still under way to its end before the database closes."""
    await asyncio.gather(*server[UNDER_WAY])


async def make_link(call: Call[Query, Nothing]) -> Answer:
    """A token for a member, for a quarter of an hour."""
    member = call.path["id"]
    await call.read(lambda connection: check_member(connection, call.setting, member))
    token, until = new_link(call.setting.sealer, call.merchant, member, call.now)
    url = f"{call.application.public_url}/shopper/{OWN}/me"
    return given(NewLink(token=token, expires_at=until, url=url), member, 201)


ROUTES = (
    Route(
        method="POST",
        path="/members/{id}/links",
        scope="members:write",
        summary="Make a token that lets a member use the shopper's API for 15 minutes",
        handler=make_link,
        gives=NewLink,
        status=201,
    ),
)
