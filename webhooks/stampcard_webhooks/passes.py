"""The page of a card: a code for the counter, and the way into a phone's wallet. Whoever has its link has the card."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from aiohttp import hdrs, web
from sqlalchemy import Connection

from stampcard.applying.passes import PAGE, SCANNED, ask_for_pass
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.showing import figures
from stampcard.applying.unit import Unit
from stampcard.domain.members import Member
from stampcard.domain.value import Value
from stampcard.engine.cards import design_of, fields_of, title_of
from stampcard.engine.codes import GOOD, made_code, spaced
from stampcard.engine.tokens import card_in
from stampcard.engine.versions import LiveProgram
from stampcard.errors import NotFound, RequestRefused, StampcardError
from stampcard.program.templates import ready
from stampcard.program.texts import direction_of
from stampcard.storage import cards
from stampcard.storage.loading import load_members
from stampcard_webhooks.cards import address_of
from stampcard_webhooks.framing import alert, drawing, page, paragraph
from stampcard_webhooks.identifying import READS, STRANGERS, WRITES
from stampcard_webhooks.keys import APPLICATION, IDENTIFYING
from stampcard_webhooks.mine import language_of, main_language
from stampcard_webhooks.problems import Refused, told
from stampcard_webhooks.routing import call_of

#: A new code is drawn before the last one is over.
REFRESH = int(GOOD.total_seconds()) // 2


class _Card(Value, frozen=True):
    """What the link of a card opens."""

    setting: Setting
    number: str
    member: Member
    live: LiveProgram | None
    texts: Mapping[str, str] = {}

    @property
    def language(self) -> str:
        return main_language(language_of(self.member))

    @property
    def words(self) -> Mapping[str, str]:
        return ready(self.language)["pages"]


def add_passes(server: web.Application) -> None:
    """Add the pages, for GET alone: whoever only asks whether there is something has done nothing."""
    server.router.add_route("GET", f"{PAGE}{{token}}", told(_show))
    server.router.add_route("GET", f"{PAGE}{{token}}/{{connection}}", told(_add))


async def _show(request: web.Request) -> web.StreamResponse:
    try:
        card = await _opened(request)
    except Refused as refused:
        return _refusal(refused)
    return _page(request, card)


async def _add(request: web.Request) -> web.StreamResponse:
    """Make the pass, and lead to the vendor's page that adds it."""
    application, name = request.app[APPLICATION], request.match_info["connection"]
    try:
        card = await _opened(request)
        request.app[IDENTIFYING].pace("writes", card.member.id, WRITES)
    except Refused as refused:
        return _refusal(refused)
    try:
        if name not in card.setting.phones:
            raise NotFound("wallet", name)
        await _ask(request, card, name)
        url = await address_of(application, card.setting, name, card.member.id)
    except (StampcardError, RequestRefused):
        answer = _page(request, card, alert(card.words["card_trouble"]))
        answer.set_status(503)
        del answer.headers["Refresh"]  # it would ask for the pass again and again
        return answer
    headers = {hdrs.LOCATION: url, "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
    return web.Response(status=303, headers=headers)


async def _ask(request: web.Request, card: _Card, name: str) -> None:
    def work(unit: Unit) -> Answer:
        ask_for_pass(unit, card.member.id, name)
        return Answer(status=200, body={})

    await call_of(request, card.setting, "card", request.app[APPLICATION].clock.now()).write(work)


async def _opened(request: web.Request) -> _Card:
    """What the link opens; raises Refused for one that opens nothing, or comes too often."""
    application = request.app[APPLICATION]
    setting, now = application.setting, application.clock.now()
    number = card_in(setting.sealer, setting.merchant, request.match_info["token"])

    def look(connection: Connection) -> _Card | None:
        id_ = cards.holder_of(connection, setting.merchant, number or "")
        if id_ is None or number is None:
            return None
        people = load_members(connection, setting.merchant, [id_], setting.sealer, attributes=True, lock=False)
        person = people.get(id_)
        if person is None or not person.is_there:
            return None
        live = next((live for live in setting.programs.current(now) if live.name in person.programs), None)
        if live is None:
            return _Card(setting=setting, number=number, member=person, live=None)
        wanted = [field.show for field in live.program.card.fields]
        texts = figures(connection, setting, wanted, live, {id_: person}, now)[id_]
        return _Card(setting=setting, number=number, member=person, live=live, texts=texts)

    card = await application.database.read(look) if number is not None else None
    if card is None:
        request.app[IDENTIFYING].pace_visitor("stranger", request, STRANGERS)
        raise Refused(404, "the link opens nothing")
    request.app[IDENTIFYING].pace("reads", card.member.id, READS)
    return card


def _refusal(refused: Refused) -> web.Response:
    words = ready("en")["pages"]
    title, says = ("not_now", "haste") if refused.status == 429 else ("not_valid", "copied")  # noqa: PLR2004 - HTTP's own
    answer = page(words[title], paragraph(words[says]), refused.status)
    answer.headers.update(refused.headers or {})
    return answer


def _page(request: web.Request, card: _Card, before: str = "") -> web.Response:
    """The card as it is now. It draws itself anew before its code is over."""
    setting, words, now = card.setting, card.words, request.app[APPLICATION].clock.now()
    code = made_code(setting.sealer, setting.merchant, card.number, now)
    link = f"{PAGE}{request.match_info['token']}"
    buttons = "".join(
        f'<p><a class="button" href="{escape(link)}/{escape(name)}" dir="auto">'
        f"{escape(words['card_add'].format(wallet=phone.title))}</a></p>"
        for name, phone in sorted(setting.phones.items())
    )
    typed = f'<p dir="auto">{escape(words["card_number"])} <code dir="ltr">{spaced(card.number)}</code></p>'
    drawn = drawing(f"{setting.public_url}{SCANNED}{code}", words["card_code"])
    body = f"{before}{_figures(card)}{drawn}{paragraph(words['card_show'])}{typed}{buttons}"
    answer = page(_heading(card), body, 200, card.language, direction_of(card.language))
    answer.headers["Refresh"] = str(REFRESH)
    return answer


def _heading(card: _Card) -> str:
    return title_of(card.live, card.language) if card.live is not None else "Stampcard"


def _figures(card: _Card) -> str:
    """What the card shows, each figure under its label."""
    if card.live is None:
        return paragraph(card.words["mine_none"])
    design, shown = design_of(card.live), fields_of(card.live, card.texts, language_of(card.member))
    pairs = "".join(
        f'<dt dir="auto">{escape(labels.get(card.language) or labels[design.language])}</dt>'
        f'<dd dir="auto">{escape(one.text)}</dd>'
        for one in shown
        for labels in (design.labels[one.name],)
    )
    return f"<dl>{pairs}</dl>" if pairs else ""
