"""The pages behind the links of messages: to end them, to choose, to confirm, to answer a question; nobody logs in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from http import HTTPStatus
from typing import Any

from aiohttp import web

from stampcard.app import Application
from stampcard.applying import answering
from stampcard.applying.answering import MOST_SCORE, Opened, Reply, asks_back, check_reply, good_until
from stampcard.applying.requests import Answer, change_attributes
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.engine.rendering import language_for
from stampcard.engine.tokens import Purpose
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.program.messages import MessageTerms
from stampcard.program.occasions import CONSENT_ASKED
from stampcard.program.templates import LANGUAGES, ready
from stampcard.program.texts import direction_of, locale_of
from stampcard.storage.keys import ApiKey
from stampcard_webhooks.asking import Nothing, Query
from stampcard_webhooks.framing import form_of, is_foreign, page, paragraph
from stampcard_webhooks.identifying import STRANGERS
from stampcard_webhooks.keys import APPLICATION, IDENTIFYING
from stampcard_webhooks.problems import Handler, Refused, told
from stampcard_webhooks.routing import Call

#: What a mail program sends when its own button is pressed (RFC 8058).
ONE_CLICK = ("List-Unsubscribe", "One-Click")
_UNTOLD = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """Somebody who has a link: what it opens, and in which words they are told."""

    request: web.Request
    application: Application
    setting: Setting
    of: Opened
    language: str
    #: How many words of their own a page has in another language than English.
    words: Mapping[str, str]

    def says(self, text: str, **more: str) -> str:
        """A text of the page."""
        return self.words.get(text, _UNTOLD).format(**more)

    def told(self, text: str, **more: str) -> str:
        """The same as a paragraph."""
        return paragraph(self.says(text, **more))

    def page(self, body: str, status: int = HTTPStatus.OK) -> web.Response:
        """The page under the program's name."""
        language = self.language if self.language in LANGUAGES else "en"
        return page(self.sender, body, status, language, direction_of(self.language))

    @property
    def sender(self) -> str:
        """Who writes: the program by its name."""
        live = self.of.live
        return (live.program.name if live is not None else "") or self.of.stored.program

    def what(self, channel: str, purpose: str) -> str:
        """Messages of a purpose by a channel, in words."""
        known = (self.words.get(f"purpose_{purpose}", purpose), self.words.get(f"channel_{channel}", channel))
        return f"{known[0]} ({known[1]})"

    async def write(self, work: Callable[[Unit], Any]) -> Any:
        """One unit of work; answers what it came to."""
        found: list[Any] = []

        def act(unit: Unit) -> Answer:
            found.append(work(unit))
            return Answer(status=200, body={})

        now = self.application.clock.now()
        call: Call[Query, Nothing] = Call(
            application=self.application,
            server=self.request.app,
            key=ApiKey(merchant=self.setting.merchant, id="link", name="link", scopes=(), created_at=now),
            setting=self.setting,
            now=now,
            path=self.request.match_info,
            query=Query(),
            body=Nothing(),
            once=None,
        )
        await call.write(act)
        return found[-1] if found else None


def add_answering(server: web.Application) -> None:
    """Add the pages."""
    for purpose, (show, act) in _PAGES.items():
        server.router.add_get(f"/{purpose}/{{token}}", _paged(purpose, show))
        server.router.add_post(f"/{purpose}/{{token}}", _paged(purpose, act))


def _paged(purpose: Purpose, handle: Callable[[_Visit], Any]) -> Handler:
    """The handler with what the link opens; its refusals are told as pages, too."""

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            visit = await _visit(request, purpose)
            await _check_form(request, purpose)
            response: web.StreamResponse = await handle(visit)
        except Refused as refused:
            return _refusal(refused)
        return response

    return told(answer)


async def _check_form(request: web.Request, purpose: Purpose) -> None:
    """Raise Refused for what another site sends; mail programs are no sites."""
    if request.method == "POST" and not await _is_one_click(request, purpose) and is_foreign(request):
        raise Refused(403, "the form of another site")


async def _is_one_click(request: web.Request, purpose: Purpose) -> bool:
    if purpose != "u":
        return False
    name, value = ONE_CLICK
    return value in (await form_of(request)).get(name, ())


async def _visit(request: web.Request, purpose: Purpose) -> _Visit:
    application, token = request.app[APPLICATION], request.match_info["token"]
    now = application.clock.now()
    setting = application.setting
    found = await application.database.read(
        lambda connection: answering.opened(connection, setting, purpose, token, now)
    )
    if found is None:
        request.app[IDENTIFYING].pace_visitor("stranger", request, STRANGERS)
        raise Refused(404, "the link opens nothing")
    spoken = str(found.member.attributes.get("language") or "") if found.member is not None else ""
    fallback = found.live.program.sending.language if found.live is not None else "en"
    language = spoken.replace("_", "-").partition("-")[0].lower() or found.stored.language or fallback
    if locale_of(language) is None:
        language = "en"
    return _Visit(
        request=request,
        application=application,
        setting=setting,
        of=found,
        language=language,
        words=_words(language),
    )


def _words(language: str) -> Mapping[str, str]:
    return ready(language if language in LANGUAGES else "en")["pages"]


def _refusal(refused: Refused) -> web.Response:
    words = _words("en")
    title, says = ("not_valid", "copied") if refused.status == HTTPStatus.NOT_FOUND else ("not_now", "haste")
    answer = page(words[title], paragraph(words[says]), refused.status)
    answer.headers.update(refused.headers or {})
    return answer


def _form(body: str, button: str) -> str:
    return f'<form method="post">{body}<button>{escape(button)}</button></form>'


async def _show_end(visit: _Visit) -> web.Response:
    """What would end, and a button: scanners of links follow every link, and must not end anything."""
    of = visit.of.stored
    asked = visit.told("unsubscribe_asks", sender=visit.sender, what=visit.what(of.channel, of.purpose))
    return visit.page(asked + _form("", visit.says("unsubscribe_does")))


async def _end(visit: _Visit) -> web.Response:
    form, of = await form_of(visit.request), visit.of
    member = of.member
    back = form.get("again") == ["1"]
    if member is not None and of.terms is not None and not of.terms.is_transactional:
        if back:
            ip = _address(visit.request)
            await visit.write(lambda unit: answering.subscribe(unit, member.id, of.stored, "unsubscribe page", ip))
        else:
            source = "one-click" if ONE_CLICK[1] in form.get(ONE_CLICK[0], ()) else "unsubscribe page"
            await visit.write(lambda unit: answering.unsubscribe(unit, member.id, of.stored, source))
    elif member is not None and not back:
        await visit.write(lambda unit: answering.unsubscribe(unit, member.id, of.stored, "unsubscribe page"))
    if back:
        return visit.page(visit.told("resubscribed"))
    again = _form('<input type="hidden" name="again" value="1">', visit.says("resubscribe"))
    return visit.page(visit.told("unsubscribed") + visit.told("again") + (again if member is not None else ""))


async def _show_preferences(visit: _Visit) -> web.Response:
    return visit.page(await _choices(visit))


async def _choices(visit: _Visit) -> str:
    """Everything that the member may get, ticked where they do, and the language."""
    of = visit.of
    member, live = of.member, of.live
    if member is None or live is None:
        raise Refused(404, "nobody is there any more")
    known = await visit.application.database.read(
        lambda connection: answering.preferences(connection, visit.setting, live, member.id)
    )
    boxes = "".join(
        f'<label><input type="checkbox" name="get" value="{escape(f"{channel}.{purpose}")}"{" checked" if gets else ""}> '
        f'<span dir="auto">{escape(visit.what(channel, purpose))}</span></label>'
        for (channel, purpose), gets in known.items()
    )
    names = {code: (locale.get_display_name() or code) for code in LANGUAGES if (locale := locale_of(code)) is not None}
    options = "".join(
        f'<option value="{code}"{" selected" if code == visit.language else ""}>{escape(name)}</option>'
        for code, name in sorted(names.items())
    )
    spoken = "" if visit.language in names else '<option value="" selected></option>'
    chosen = f'<label>{escape(visit.says("language"))} <select name="language">{spoken}{options}</select></label>'
    heading = f'<h2 dir="auto">{escape(visit.says("preferences_title"))}</h2>'
    return heading + visit.told("preferences_asks") + _form(f"<fieldset>{boxes}</fieldset>{chosen}", visit.says("save"))


async def _choose(visit: _Visit) -> web.Response:
    form, of = await form_of(visit.request), visit.of
    member, live = of.member, of.live
    if member is None or live is None:
        raise Refused(404, "nobody is there any more")
    known = await visit.application.database.read(
        lambda connection: answering.preferences(connection, visit.setting, live, member.id)
    )
    ticked = set(form.get("get", ()))
    wanted = {(channel, purpose): f"{channel}.{purpose}" in ticked for channel, purpose in known}
    language = next(iter(form.get("language", ())), "")

    def work(unit: Unit) -> None:
        answering.choose(unit, member.id, wanted, of.stored.channel, "preference page", _address(visit.request))

    await visit.write(work)
    if language in LANGUAGES and language != member.attributes.get("language"):
        await visit.write(lambda unit: change_attributes(unit, member.id, {"language": language}))
        visit = await _visit(visit.request, "p")
    return visit.page(visit.told("saved") + await _choices(visit))


async def _show_question_to_confirm(visit: _Visit) -> web.Response:
    of = visit.of
    over = visit.application.clock.now() > good_until(of)
    if of.member is None or of.terms is None or over or not asks_back(of.terms):
        raise Refused(404, "there is nothing to confirm any more")
    if of.terms.on.event != CONSENT_ASKED:
        what = visit.says("membership")
    else:
        what = visit.what(str(of.stored.says.get("channel", "")), str(of.stored.says.get("purpose", "")))
    return visit.page(
        visit.told("confirm_asks", sender=visit.sender, what=what) + _form("", visit.says("confirm_does"))
    )


async def _confirm(visit: _Visit) -> web.Response:
    of = visit.of
    member = of.member
    if member is None:
        raise Refused(404, "nobody is there any more")
    try:
        ip = _address(visit.request)
        await visit.write(lambda unit: answering.confirm(unit, member.id, of, "confirmation link", ip))
    except (Conflict, NotFound, RequestRefused):
        raise Refused(404, "there is nothing to confirm any more") from None
    return visit.page(visit.told("confirmed"))


async def _show_question(visit: _Visit) -> web.Response:
    return visit.page(_question(visit))


def _question(visit: _Visit) -> str:
    terms = visit.of.terms
    if visit.of.member is None or terms is None or terms.question is None:
        raise Refused(404, "there is no question any more")
    question = terms.question
    texts = question.texts
    asked = texts.get(_spoken(terms, visit)) or next(iter(texts.values()))
    fields = {"score": _scores, "choice": _options, "text": _words_of_ones_own}[question.kind](visit, terms)
    heading = f'<h2 dir="auto">{escape(asked)}</h2>'
    return heading + _form(fields, visit.says("question_does"))


def _spoken(terms: MessageTerms, visit: _Visit) -> str:
    live = visit.of.live
    fallback = live.program.sending.language if live is not None else "en"
    known = terms.question.texts if terms.question is not None else {}
    return visit.language if visit.language in known else language_for(terms, visit.language, fallback)


def _scores(visit: _Visit, _terms: MessageTerms) -> str:
    buttons = "".join(
        f'<label><input type="radio" name="score" value="{score}" required> {score}</label>'
        for score in range(MOST_SCORE + 1)
    )
    return f'<fieldset class="scores" dir="ltr">{buttons}</fieldset>{_why(visit)}'


def _options(visit: _Visit, terms: MessageTerms) -> str:
    choices = terms.question.choices if terms.question is not None else ()
    buttons = "".join(
        f'<label><input type="radio" name="choice" value="{escape(one)}" required> '
        f'<span dir="auto">{escape(one)}</span></label>'
        for one in choices
    )
    return f"<fieldset>{buttons}</fieldset>{_why(visit)}"


def _words_of_ones_own(_visit: _Visit, _terms: MessageTerms) -> str:
    return '<textarea name="text" rows="5" maxlength="2000" required dir="auto"></textarea>'


def _why(visit: _Visit) -> str:
    words = escape(visit.says("question_why"))
    return f'<label>{words}<textarea name="text" rows="4" maxlength="2000" dir="auto"></textarea></label>'


async def _answer(visit: _Visit) -> web.Response:
    form, of = await form_of(visit.request), visit.of
    member, terms = of.member, of.terms
    if member is None or terms is None:
        raise Refused(404, "there is no question any more")
    score = next(iter(form.get("score", ())), "")
    reply = Reply(
        score=int(score) if score.isascii() and score.isdigit() and len(score) <= 2 else None,  # noqa: PLR2004 - up to 10
        choice=next(iter(form.get("choice", ())), ""),
        text=next(iter(form.get("text", ())), ""),
    )
    try:
        check_reply(terms, reply)
    except NotFound:
        raise Refused(404, "there is no question any more") from None
    except RequestRefused:
        return visit.page(_question(visit), HTTPStatus.UNPROCESSABLE_ENTITY)
    fresh = await visit.write(lambda unit: answering.answer(unit, member.id, of, reply))
    return visit.page(visit.told("answered" if fresh else "answered_before"))


def _address(request: web.Request) -> str:
    """From where somebody says yes, as evidence."""
    return request.app[IDENTIFYING].address_of(request)


_PAGES: Mapping[Purpose, tuple[Callable[[_Visit], Any], Callable[[_Visit], Any]]] = {
    "u": (_show_end, _end),
    "p": (_show_preferences, _choose),
    "c": (_show_question_to_confirm, _confirm),
    "q": (_show_question, _answer),
}
