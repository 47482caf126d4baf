"""The page on which people become members by themselves, as the code on a sign leads there; nobody learns who else is one."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from html import escape
from http import HTTPStatus
from urllib.parse import quote

import structlog
from aiohttp import hdrs, web

from stampcard.app import Application
from stampcard.applying.admitting import Applicant, admit, closed_for, waits_for_a_yes
from stampcard.applying.requests import Answer, Once
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.addresses import normal_email, normal_phone
from stampcard.engine.cards import title_of
from stampcard.engine.tokens import card_token
from stampcard.engine.versions import LiveProgram
from stampcard.errors import StampcardError, place_of, trace_of
from stampcard.plugin.rates import Rate
from stampcard.program.templates import LANGUAGES, ready
from stampcard.program.texts import direction_of, locale_of
from stampcard_webhooks.framing import MOST, alert, form_of, is_foreign, page, paragraph
from stampcard_webhooks.identifying import STRANGERS
from stampcard_webhooks.keys import APPLICATION, IDENTIFYING
from stampcard_webhooks.mine import asked_of, main_language
from stampcard_webhooks.problems import Refused, told
from stampcard_webhooks.routing import call_of
from stampcard_webhooks.shopping import MAILED, behind

log = structlog.get_logger()

PATH = "/join/{program}"
#: How often somebody may send the form; a shop's customers may share one address.
JOINING = Rate(per_second=0.1, burst=10)
#: By what news and offers can be agreed to.
CHANNELS = ("email", "sms")
#: A field that people do not see, and programs fill in.
TRAP = "website"
_NAME, _ADDRESS = 100, 320
#: Letters of a branch that are kept.
MOST_OF_BRANCH = 100
_ONCE = re.compile(r"[A-Za-z0-9_-]{20,60}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """Somebody who wants to join: which program, in which words they are told, and what they typed."""

    request: web.Request
    application: Application
    setting: Setting
    now: datetime
    live: LiveProgram
    language: str
    form: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """What the program's card is called."""
        return title_of(self.live, self.language)

    def says(self, text: str, **more: object) -> str:
        """A text of the page."""
        return ready(self.language)["pages"][text].format(**{"program": self.title, **more})

    def typed(self, name: str) -> str:
        """What stands in a field, on one line."""
        return _CONTROL.sub(" ", next(iter(self.form.get(name, ())), "")).strip()

    @property
    def branch(self) -> str:
        """Where the sign hangs, as its link says, or the form after it."""
        told_ = self.typed("branch") if self.form else _CONTROL.sub(" ", self.request.query.get("branch", ""))
        return told_.strip()[:MOST_OF_BRANCH]

    def page(self, body: str, status: int = HTTPStatus.OK) -> web.Response:
        """The page under the program's name."""
        return page(self.says("join_title"), body, status, self.language, direction_of(self.language))


def add_joining(server: web.Application) -> None:
    """Add the page."""
    server.router.add_get(PATH, told(_paged))
    server.router.add_post(PATH, told(_paged))


async def _paged(request: web.Request) -> web.StreamResponse:
    """The page, or why nobody can join, as a page, too."""
    application = request.app[APPLICATION]
    now, setting, name = application.clock.now(), application.setting, request.match_info["program"]
    live = next((live for live in setting.programs.current(now) if live.name == name), None)
    if live is None:
        return _unknown(request)
    visit = _Visit(
        request=request, application=application, setting=setting, now=now, live=live, language=_language(request, live)
    )
    why = closed_for(setting.programs, live, now)
    if why:
        status = HTTPStatus.GONE if why == "ended" else HTTPStatus.FORBIDDEN
        return visit.page(alert(visit.says(f"join_{why}")), status)
    return await _join(visit) if request.method == "POST" else visit.page(_form(visit, {}))


def _unknown(request: web.Request) -> web.Response:
    language = _language(request, None)
    words, status, says = ready(language)["pages"], HTTPStatus.NOT_FOUND, "join_unknown"
    headers: Mapping[str, str] = {}
    try:
        request.app[IDENTIFYING].pace_visitor("stranger", request, STRANGERS)
    except Refused as refused:
        status, says, headers = HTTPStatus.TOO_MANY_REQUESTS, "haste", refused.headers or {}
    answer = page(words["not_valid"], alert(words[says]), status, language, direction_of(language))
    answer.headers.update(headers)
    return answer


def _language(request: web.Request, live: LiveProgram | None, wanted: str = "") -> str:
    """That of the form or of the sign, or the first that the browser asks for and we have, or the program's."""
    own = live.program.sending.language if live is not None else ""
    said = (wanted, request.query.get("language", ""), *asked_of(request), own)
    known = (main_language(one.replace("_", "-")) for one in said)
    return next((one for one in known if one in LANGUAGES), "en")


async def _join(visit: _Visit) -> web.StreamResponse:
    """Take the form; whatever is wrong with it is said in its place, and what was typed stays."""
    try:
        visit = await _sent(visit)
        visit.request.app[IDENTIFYING].pace_visitor("join", visit.request, JOINING)
        if visit.typed(TRAP):
            return _answered(visit)
        wrong = dict(_wrong(visit))
        if wrong:
            return visit.page(_form(visit, wrong), HTTPStatus.UNPROCESSABLE_ENTITY)
        return await _admitted(visit)
    except Refused as refused:
        says = {413: "too_large", 429: "haste"}.get(refused.status, "join_foreign")
        answer = visit.page(alert(visit.says(says)) + _form(visit, {}), refused.status)
        answer.headers.update(refused.headers or {})
        return answer


async def _sent(visit: _Visit) -> _Visit:
    """The visit with the form that was sent; raises Refused for what is none of ours."""
    if is_foreign(visit.request):
        raise Refused(403, "the form of another site")
    form = await form_of(visit.request, MOST, too_large=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    wanted = next(iter(form.get("language", ())), "")
    return replace(visit, form=form, language=_language(visit.request, visit.live, wanted))


def _wrong(visit: _Visit) -> Iterable[tuple[str, str]]:
    """Field → what is wrong with it."""
    email, phone = visit.typed("email"), visit.typed("phone")
    if len(visit.typed("first_name")) > _NAME:
        yield "first_name", visit.says("answer_long", most=_NAME)
    if not email and not phone:
        yield "email", visit.says("join_one")
    if email and (len(email) > _ADDRESS or normal_email(email) is None):
        yield "email", visit.says("join_email_wrong")
    if phone and normal_phone(phone) is None:
        yield "phone", visit.says("join_phone_wrong")


async def _admitted(visit: _Visit) -> web.StreamResponse:
    """Whoever is new is led to their card, unless they confirm first; then nothing tells whether they are new."""
    one = _applicant(visit)
    for address in filter(None, (one.email.casefold(), one.phone)):
        visit.request.app[IDENTIFYING].pace("link mail", address, MAILED)
    if waits_for_a_yes(visit.live):
        behind(visit.request.app, _admit_behind(visit, one))
        return _answered(visit)
    try:
        number = await _admit(visit, one)
    except StampcardError as error:
        log.info("join_refused", program=visit.live.name, error=place_of(error))
        return visit.page(alert(visit.says("card_trouble")) + _form(visit, {}), HTTPStatus.SERVICE_UNAVAILABLE)
    if not number:
        return _answered(visit)
    # Relative, because a proxy may serve us below a path of its own.
    place = f"../pass/{card_token(visit.setting.sealer, visit.setting.merchant, number)}"
    headers = {hdrs.LOCATION: place, "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
    return web.Response(status=HTTPStatus.SEE_OTHER, headers=headers)


def _answered(visit: _Visit) -> web.Response:
    """The same for whoever is known, whoever has to confirm, and whoever is a program."""
    return visit.page(f'<div role="status">{paragraph(visit.says("join_sent"))}</div>')


def _applicant(visit: _Visit) -> Applicant:
    email, phone = visit.typed("email"), normal_phone(visit.typed("phone")) or ""
    there = {"email": bool(email), "sms": bool(phone)}
    agreed = [channel for channel in CHANNELS if channel in visit.form.get("agrees", ()) and there[channel]]
    return Applicant(
        program=visit.live.name,
        email=email,
        phone=phone,
        first_name=visit.typed("first_name"),
        language=visit.language,
        branch=visit.branch,
        agrees={channel: visit.says(f"join_agrees_{channel}") for channel in agreed},
        ip=visit.request.app[IDENTIFYING].address_of(visit.request),
    )


async def _admit_behind(visit: _Visit, one: Applicant) -> None:
    try:
        await _admit(visit, one)
    except Exception as error:  # noqa: BLE001 - nobody waits for it who could be told
        log.error("not_admitted", program=visit.live.name, error=place_of(error), trace=trace_of(error))


async def _admit(visit: _Visit, one: Applicant) -> str:
    """The number of the new card, the same for a form that was sent twice; nothing for whoever was known before."""

    def work(unit: Unit) -> Answer:
        made = admit(unit, one)
        return Answer(status=200, body={"number": made.number}, member=made.member or None)

    answer = await call_of(visit.request, visit.setting, "join page", visit.now, once=_once(visit)).write(work)
    visit.application.wake()
    return str(answer.body["number"])


def _once(visit: _Visit) -> Once | None:
    """What makes a form that was sent twice the same; one that was changed in between is another."""
    name = visit.typed("form")
    if not _ONCE.fullmatch(name):
        return None
    told_ = repr(sorted((field_, tuple(values)) for field_, values in visit.form.items()))
    # A digest that nobody can try addresses at: it stays when its member is erased.
    return Once(key=f"join:{visit.setting.sealer.fingerprint(told_)}", path=f"POST /join/{visit.live.name}", body=b"")


def _form(visit: _Visit, wrong: Mapping[str, str]) -> str:
    """The form with what was typed already, each fault beside its field, and the page in other languages."""
    reach = paragraph(visit.says("join_reach_hint")) + _email(visit, wrong) + _phone(visit, wrong)
    name = _field(visit, wrong, "first_name", "text", f'autocomplete="given-name" maxlength="{_NAME}" dir="auto"')
    fields = name + _group(visit.says("join_reach"), reach) + _group(visit.says("join_agrees"), _ticks(visit))
    button = f'<button dir="auto">{escape(visit.says("join_does"))}</button>'
    asked = paragraph(visit.says("join_asks"))
    return f'{asked}<form method="post">{fields}{_unseen(visit)}{button}</form>{_languages(visit)}'


def _email(visit: _Visit, wrong: Mapping[str, str]) -> str:
    return _field(visit, wrong, "email", "email", f'autocomplete="email" maxlength="{_ADDRESS}" dir="ltr"')


def _phone(visit: _Visit, wrong: Mapping[str, str]) -> str:
    return _field(visit, wrong, "phone", "tel", 'autocomplete="tel" maxlength="40" dir="ltr"')


def _field(visit: _Visit, wrong: Mapping[str, str], name: str, kind: str, more: str) -> str:
    trouble, told_ = "", ""
    if name in wrong:
        trouble = f'<div id="wrong-{name}">{alert(wrong[name])}</div>'
        told_ = f' aria-invalid="true" aria-describedby="wrong-{name}"' + " autofocus" * (name == next(iter(wrong)))
    value = escape(visit.typed(name))
    box = f'<input class="wide" type="{kind}" name="{name}" value="{value}" {more}{told_}>'
    return f'<label><span dir="auto">{escape(visit.says(f"join_{name}"))}</span> {box}</label>{trouble}'


def _group(name: str, body: str) -> str:
    return f'<fieldset><legend dir="auto">{escape(name)}</legend>{body}</fieldset>'


def _ticks(visit: _Visit) -> str:
    ticked = visit.form.get("agrees", ())
    return "".join(
        f'<label><input type="checkbox" name="agrees" value="{channel}"{" checked" * (channel in ticked)}> '
        f'<span dir="auto">{escape(visit.says(f"join_agrees_{channel}"))}</span></label>'
        for channel in CHANNELS
    )


def _unseen(visit: _Visit) -> str:
    """What the form knows beside what people type: the sign's own, its name, and the trap."""
    name = visit.typed("form") if _ONCE.fullmatch(visit.typed("form")) else secrets.token_urlsafe(24)
    known = {"language": visit.language, "branch": visit.branch, "form": name}
    fields = "".join(f'<input type="hidden" name="{one}" value="{escape(value)}">' for one, value in known.items())
    trap = f'<input name="{TRAP}" tabindex="-1" autocomplete="off">'
    return f"{fields}<p hidden><label>{escape(visit.says('join_empty'))} {trap}</label></p>"


def _languages(visit: _Visit) -> str:
    """The same page in the other languages, each by its own name."""
    branch = visit.branch
    more = f"&amp;branch={quote(branch, safe='')}" if branch else ""
    links = " · ".join(
        f'<a href="?language={code}{more}" lang="{code}" hreflang="{code}" dir="auto">{escape(_name_of(code))}</a>'
        for code in LANGUAGES
        if code != visit.language
    )
    return f'<nav aria-label="{escape(visit.says("language"))}"><p>{links}</p></nav>'


def _name_of(code: str) -> str:
    locale = locale_of(code)
    return (locale.get_display_name() if locale is not None else None) or code
