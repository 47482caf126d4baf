"""The page on which the holder of a choice picks a reward: plain HTML, no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from html import escape
from http import HTTPStatus

from aiohttp import hdrs, web
from sqlalchemy import Connection

from stampcard.applying.choosing import picked as picked_of
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.members import Member
from stampcard.domain.rewards import Redemption
from stampcard.errors import StampcardError
from stampcard.storage.loading import load_members
from stampcard.storage.redemptions import find_code, find_redemption
from stampcard_webhooks.asking import Nothing, Query
from stampcard_webhooks.choosing import offered, picked
from stampcard_webhooks.framing import form_of, is_foreign, page, paragraph
from stampcard_webhooks.identifying import READS, STRANGERS, WRITES
from stampcard_webhooks.keys import APPLICATION, IDENTIFYING
from stampcard_webhooks.problems import Handler, Refused, told
from stampcard_webhooks.redemptions import RedemptionView, view_of
from stampcard_webhooks.rewards import StandingView
from stampcard_webhooks.routing import Call, call_of

PATH = "/choose/{token}"
#: The largest form that is read, in bytes; what is asked is one name.
MOST = 4096
#: Languages that are written from right to left.
_RIGHT_TO_LEFT = frozenset({"ar", "he", "fa", "ur"})
#: What a page says, by language; none of it depends on a number.
_TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "pick": "Pick one. It cannot be exchanged later.",
        "none": "Nothing of this can be had at the moment.",
        "sold_out": "Sold out",
        "unavailable": "Not available at the moment",
        "refused": "This could not be picked. Please pick another.",
        "picked": "You picked: {title}",
        "code": "Your code:",
        "until": "Valid until {moment}",
        "making": "It is being made. Reload this page in a moment.",
        "reload": "Reload",
        "sending": "The shop will send it.",
        "sent": "The shop has sent it.",
        "ready": "It is ready.",
        "credited": "The points are in your account.",
        "used": "It has been used.",
        "over": "It is not valid any more.",
        "not_valid": "This link is not valid, or not valid any more",
        "copied": "Please look whether all of it was copied.",
        "not_now": "Not now",
        "haste": "There were too many requests. Please come again a little later.",
        "foreign": "Nothing was picked, because this did not come from the page of your choice. Please open its link.",
    },
    "de": {
        "pick": "Bitte eines auswählen. Ein späterer Umtausch ist nicht möglich.",
        "none": "Davon ist im Moment nichts erhältlich.",
        "sold_out": "Ausverkauft",
        "unavailable": "Im Moment nicht erhältlich",
        "refused": "Diese Auswahl war nicht möglich. Bitte etwas anderes auswählen.",
        "picked": "Ausgewählt: {title}",
        "code": "Der Code:",
        "until": "Gültig bis {moment}",
        "making": "Der Code wird gerade erstellt. Bitte diese Seite gleich noch einmal laden.",
        "reload": "Neu laden",
        "sending": "Der Shop wird es zusenden.",
        "sent": "Der Shop hat es abgeschickt.",
        "ready": "Es liegt bereit.",
        "credited": "Die Punkte sind gutgeschrieben.",
        "used": "Es wurde eingelöst.",
        "over": "Es ist nicht mehr gültig.",
        "not_valid": "Dieser Link ist nicht oder nicht mehr gültig",
        "copied": "Bitte prüfen, ob er vollständig kopiert wurde.",
        "not_now": "Nicht jetzt",
        "haste": "Das waren zu viele Anfragen. Bitte etwas später wiederkommen.",
        "foreign": "Nichts wurde ausgewählt, weil die Anfrage nicht von dieser Seite kam. Bitte den Link neu öffnen.",
    },
}
#: Status of a refusal → what its page is headed, and says.
_REFUSALS: Mapping[int, tuple[str, str]] = {
    HTTPStatus.NOT_FOUND: ("not_valid", "copied"),
    HTTPStatus.TOO_MANY_REQUESTS: ("not_now", "haste"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """Somebody who has the link of a choice: what it opens, and in which words and zone they are told."""

    call: Call[Query, Nothing]
    choice: Redemption
    program: str
    language: str
    zone: tzinfo

    def says(self, what: str, **words: str) -> str:
        """A text of the page as a paragraph."""
        return paragraph(_text(self.language, what).format(**words))

    def page(self, body: str, status: int = HTTPStatus.OK) -> web.Response:
        """The page under the program's name and the choice's."""
        title = self.choice.voucher.title if self.choice.voucher is not None else self.choice.reward
        return _page(self.program, f'<h2 dir="auto">{escape(title)}</h2>{body}', status, self.language)


def add_pages(server: web.Application) -> None:
    """Add the page under /choose."""
    server.router.add_get(PATH, _paged(_show))
    server.router.add_post(PATH, _paged(_pick))


def _paged(handler: Handler) -> Handler:
    """The handler, its refusals told as pages too."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refused as refused:
            return _refusal(_paced(request, refused))

    return told(handle)


def _paced(request: web.Request, refused: Refused) -> Refused:
    """The refusal, or that of whoever tries too many links."""
    if refused.status != HTTPStatus.NOT_FOUND:
        return refused
    try:
        request.app[IDENTIFYING].pace_visitor("stranger", request, STRANGERS)
    except Refused as haste:
        return haste
    return refused


def _refusal(refused: Refused) -> web.Response:
    title, says = _REFUSALS.get(refused.status, ("not_now", "foreign"))
    answer = _page(_text("", title), paragraph(_text("", says)), refused.status)
    answer.headers.update(refused.headers or {})
    return answer


async def _show(request: web.Request) -> web.Response:
    return await _told(await _visit(request, writes=False))


async def _pick(request: web.Request) -> web.Response:
    if is_foreign(request):
        raise Refused(403, "the form of another site")
    visit = await _visit(request, writes=True)
    wanted = await _wanted(request)
    try:
        await picked(visit.call, visit.choice.id, wanted)
    except StampcardError:
        return await _told(visit, refused=True)
    # Relative, because a proxy may serve us below a path of its own.
    place = f"./{request.rel_url.raw_path.rpartition('/')[2]}"
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={hdrs.LOCATION: place})


async def _wanted(request: web.Request) -> str:
    """The name in the form; raises Refused for what is no form of ours."""
    return next(iter((await form_of(request, MOST)).get("reward", ())), "")


async def _visit(request: web.Request, *, writes: bool) -> _Visit:
    """What a link opens; raises Refused: 404 for one that opens nothing, 429 for haste."""
    application, identifying = request.app[APPLICATION], request.app[IDENTIFYING]
    merchant, now = application.setting.merchant, application.clock.now()
    setting, token = await application.setting_for(merchant), request.match_info["token"]
    found = await application.database.read(lambda connection: _opened(connection, setting, token))
    if found is None:
        raise _not_valid()
    choice, holder = found
    identifying.pace("reads", holder.id, READS)
    if writes:
        identifying.pace("writes", holder.id, WRITES)
    live = next((live for live in setting.programs.current(now) if live.name == choice.program), None)
    return _Visit(
        call=call_of(request, setting, "shopper", now),
        choice=choice,
        program=(live.program.name if live else "") or choice.program,
        language=_language(holder),
        zone=live.program.zone if live else UTC,
    )


def _opened(connection: Connection, setting: Setting, token: str) -> tuple[Redemption, Member] | None:
    """The choice of a link with its holder, unless that one was erased."""
    merchant, sealer = setting.merchant, setting.sealer
    choice = find_code(connection, merchant, sealer, token)
    if choice is None or choice.kind != "choice":
        return None
    holder = load_members(connection, merchant, [choice.member], sealer, attributes=True, lock=False).get(choice.member)
    return None if holder is None or not holder.is_there else (choice, holder)


def _not_valid() -> Refused:
    return Refused(404, "the link opens nothing")


async def _told(visit: _Visit, *, refused: bool = False) -> web.Response:
    """The page as things stand now: what was picked, else what can be; raises Refused where the choice is over."""
    call = visit.call

    def look(connection: Connection) -> tuple[Redemption | None, Redemption | None]:
        choice = find_redemption(connection, call.merchant, call.setting.sealer, visit.choice.id)
        unit = Unit(connection, call.setting, call.now)
        return choice, picked_of(unit, choice) if choice is not None else None

    choice, chosen = await call.read(look)
    if chosen is not None:
        return _chosen(visit, view_of(call, chosen))
    if choice is None:
        raise _not_valid()
    try:
        rewards = await offered(call, choice)
    except StampcardError:
        raise _not_valid() from None
    body = _form(visit, rewards, said=_alert(visit) if refused else "")
    return visit.page(body, HTTPStatus.CONFLICT if refused else HTTPStatus.OK)


def _alert(visit: _Visit) -> str:
    return f'<div role="alert">{visit.says("refused")}</div>'


def _form(visit: _Visit, rewards: list[StandingView], said: str) -> str:
    asked = visit.says("pick" if any(one.usable for one in rewards) else "none")
    return f'{said}{asked}<form method="post">{"".join(_buttons(visit, rewards))}</form>'


def _buttons(visit: _Visit, rewards: list[StandingView]) -> Iterator[str]:
    for one in rewards:
        off = "" if one.usable else " disabled"
        texts = (one.description, "" if one.usable else _text(visit.language, _against(one)))
        more = "".join(f'<small dir="auto">{escape(text)}</small>' for text in texts if text)
        yield (
            f'<button name="reward" value="{escape(one.reward)}"{off}>'
            f'<span dir="auto">{escape(one.name)}</span>{more}</button>'
        )


def _against(one: StandingView) -> str:
    """What stands against a reward, as far as it is the holder's business."""
    return "sold_out" if any(refusal.code == "sold_out" for refusal in one.refusals) else "unavailable"


def _chosen(visit: _Visit, view: RedemptionView) -> web.Response:
    body = visit.says("picked", title=view.title)
    if view.code and view.status == "issued":
        code = f'<code dir="ltr">{escape(view.code)}</code>'
        body += f'<p dir="auto">{escape(_text(visit.language, "code"))} {code}</p>'
    else:
        body += visit.says(_state(view))
    if view.valid_until is not None and view.status == "issued":
        body += visit.says("until", moment=f"{view.valid_until.astimezone(visit.zone):%Y-%m-%d %H:%M} ({visit.zone})")
    if _state(view) == "making":
        body += f'<p dir="auto"><a href="">{escape(_text(visit.language, "reload"))}</a></p>'
    # What people wrote about it is the member's to see; a vendor's words are not for them.
    body += paragraph(view.reason) if view.by == "manual" and view.reason else ""
    return visit.page(body)


def _state(view: RedemptionView) -> str:
    """What is told of a picked reward that has no code to show."""
    match view.status:
        case "held":
            return "sending" if view.by == "manual" else "making"
        case "issued":
            return "sent" if view.by == "manual" else "ready"
        case "used":
            return "credited" if view.kind == "points" else "used"
    return "over"


def _language(holder: Member) -> str:
    """The language that a member is known to speak: the "de" of "de-AT"."""
    return str(holder.attributes.get("language") or "").replace("_", "-").partition("-")[0].strip().lower()


def _text(language: str, what: str) -> str:
    return _TEXTS.get(language, _TEXTS["en"])[what]


def _page(heading: str, body: str, status: int, language: str = "") -> web.Response:
    """A page in our words; its direction is the member's, also where these are in English."""
    words = language if language in _TEXTS else "en"
    return page(heading, body, status, words, "rtl" if language in _RIGHT_TO_LEFT else "ltr")
