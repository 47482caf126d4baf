"""The page that a member's own link opens: points, level, and what can be had; for a quarter of an hour, and to look at only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from html import escape
from typing import Any

from aiohttp import hdrs, web
from babel.dates import format_date
from babel.numbers import format_decimal
from sqlalchemy import Connection

from stampcard.app import Application
from stampcard.applying import redeeming
from stampcard.applying.passes import PAGE
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.members import Member
from stampcard.engine.dating import last_day_of
from stampcard.engine.rewarding import Asking
from stampcard.engine.tokens import LINK_PREFIX, card_token, opened_link
from stampcard.engine.versions import LiveProgram
from stampcard.program.templates import LANGUAGES, ready
from stampcard.program.texts import direction_of, locale_of
from stampcard.storage.cards import numbers_of
from stampcard.storage.loading import load_members
from stampcard.storage.reading import balances, folded_wallets
from stampcard_webhooks.framing import page, paragraph
from stampcard_webhooks.identifying import READS, STRANGERS
from stampcard_webhooks.keys import APPLICATION, IDENTIFYING
from stampcard_webhooks.problems import Refused, told
from stampcard_webhooks.rewards import StandingView, standing_views
from stampcard_webhooks.showing import BalanceView, balance_views
from stampcard_webhooks.tiers import tier_views

PATH = "/me/{token}"


def add_mine(server: web.Application) -> None:
    """Add the page."""
    server.router.add_get(PATH, told(_show))


async def _show(request: web.Request) -> web.StreamResponse:
    application, token = request.app[APPLICATION], request.match_info["token"]
    now = application.clock.now()
    link = opened_link(application.setting.sealer, token, now) if token.startswith(LINK_PREFIX) else None
    try:
        if link is None:
            request.app[IDENTIFYING].pace_visitor("stranger", request, STRANGERS)
            return _refusal()
        request.app[IDENTIFYING].pace("reads", link.member, READS)
        setting = await application.setting_for(link.merchant)
        member = await request.app[IDENTIFYING].living(link.merchant, link.member)
    except Refused as refused:
        answer = _refusal()
        answer.set_status(refused.status)
        return answer
    return await _page(application, setting, member, now)


def card_link(connection: Connection, setting: Setting, member: str, text: str) -> str:
    """The way to the page of a member's card, from any page for them alone; nothing where there is no card."""
    number = numbers_of(connection, setting.merchant, [member]).get(member)
    if number is None:
        return ""
    # Relative, because a proxy may serve us below a path of its own.
    place = f"..{PAGE}{card_token(setting.sealer, setting.merchant, number)}"
    return f'<p><a class="button" href="{place}" dir="auto">{escape(text)}</a></p>'


def _refusal() -> web.Response:
    words = ready("en")["pages"]
    return page(words["not_valid"], paragraph(words["copied"]), 404)


async def _page(application: Application, setting: Setting, id_: str, now: datetime) -> web.Response:
    asking = Asking(facts=await application.gatherer.facts_for(setting, id_))

    def look(connection: Connection) -> tuple[Member, str]:
        known = load_members(connection, setting.merchant, [id_], setting.sealer, attributes=True, lock=False)
        person = known[id_]
        sections = "".join(
            _section(connection, setting, live, person, asking, now)
            for live in setting.programs.current(now)
            if live.name in person.programs
        )
        return person, sections + card_link(connection, setting, id_, _words(language_of(person))["join_card"])

    person, body = await application.database.read(look)
    language = language_of(person)
    words = _words(language)
    first = next((live for live in setting.programs.current(now) if live.name in person.programs), None)
    heading = (first.program.name if first is not None else "") or "Stampcard"
    shown = main_language(language)
    return page(heading, body or paragraph(words["mine_none"]), 200, shown, direction_of(shown))


def language_of(person: Member) -> str:
    """The language that a member is known to speak, such as nl-BE, if the page has words in it; else English."""
    spoken = str(person.attributes.get("language") or "").strip().replace("_", "-")
    return spoken if main_language(spoken) in LANGUAGES and locale_of(spoken) is not None else "en"


def main_language(language: str) -> str:
    """The language without its region."""
    return language.partition("-")[0].lower()


def asked_of(request: web.Request) -> list[str]:
    """The languages that a browser asks for, as it has them in order, without their regions."""
    told_ = request.headers.get(hdrs.ACCEPT_LANGUAGE, "").split(",")
    return [main_language(one.partition(";")[0].strip()) for one in told_]


def _words(language: str) -> Mapping[str, str]:
    return ready(main_language(language))["pages"]


def _section(
    connection: Connection, setting: Setting, live: LiveProgram, person: Member, asking: Asking, now: datetime
) -> str:
    """What a member has and can have in one program."""
    language = language_of(person)
    words, lines = _words(language), list[str]()
    shown = balance_views(balances(connection, setting.merchant, [person.id], setting.programs, now)[person.id])
    for name in live.program.wallets:
        if name in shown:
            lines.append(paragraph(words["mine_points"].format(points=_points(shown[name], language))))
    lines += [paragraph(line) for line in _expiring(connection, setting, live, person, language, now)]
    tiers, *_ = tier_views(connection, setting, [person.id], now)
    lines += [
        paragraph(words["mine_tier"].format(tier=one.name)) for one in tiers if one.program == live.name and one.tier
    ]
    unit = Unit(connection, setting, now)
    offered = standing_views(redeeming.standings(unit, person.id, asking), now)
    rewards = "".join(_reward(one, words, language) for one in offered if one.program == live.name)
    heading = f'<h2 dir="auto">{escape(words["mine_rewards"])}</h2>'
    return "".join(lines) + heading + (f"<ul>{rewards}</ul>" if rewards else paragraph(words["mine_none"]))


def _expiring(
    connection: Connection, setting: Setting, live: LiveProgram, person: Member, language: str, now: datetime
) -> list[str]:
    """The points that end first, of each wallet."""
    found: list[str] = []
    for wallet in folded_wallets(connection, setting.merchant, [person.id], now):
        lots = [lot for lot in wallet.lots.values() if lot.active and lot.remaining and lot.expires_at is not None]
        if not lots or wallet.name not in live.program.wallets:
            continue
        first = min(lot.expires_at for lot in lots if lot.expires_at is not None)
        points = sum(lot.remaining for lot in lots if lot.expires_at == first)
        scale = live.program.wallets[wallet.name].scale
        day = format_date(last_day_of(first, live.program.zone), "long", locale=locale_of(language) or "en")
        text = _words(language)["mine_expiring"]
        found.append(text.format(points=_number(points, scale, language), day=day))
    return found


def _reward(one: StandingView, words: Mapping[str, str], language: str) -> str:
    more = []
    if one.price is not None:
        more.append(words["mine_price"].format(points=_number(one.price, one.scale, language)))
    if one.missing:
        more.append(words["mine_missing"].format(points=_number(one.missing, one.scale, language)))
    small = f'<small dir="auto">{escape(" · ".join(more))}</small>' if more else ""
    return f'<li><span dir="auto">{escape(one.name or one.reward)}</span>{small}</li>'


def _points(view: BalanceView, language: str) -> str:
    return _number(view.active, view.scale, language)


def _number(points: int, scale: int, language: str) -> str:
    value: Any = Decimal(points).scaleb(-scale) if scale else points
    return str(format_decimal(value, locale=locale_of(language) or "en"))
