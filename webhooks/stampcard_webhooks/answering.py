"""The pages behind the links of messages: to end them, to choose, to confirm, to answer a question; nobody logs in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from http import HTTPStatus
from typing import Any

from aiohttp import web

from stampcard.app import Application
from stampcard.applying import answering
from stampcard.applying.answering import (
    LONGEST_ANSWER,
    MOST_SCORE,
    Opened,
    Reply,
    asks_back,
    check_reply,
    good_until,
)
from stampcard.applying.requests import Answer, change_attributes
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.engine.tokens import Purpose
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.program.messages import Question
from stampcard.program.occasions import CONSENT_ASKED
from stampcard.program.templates import LANGUAGES, ready
from stampcard.program.texts import direction_of, locale_of
from stampcard_webhooks.framing import FORM, PARTS, alert, form_of, is_foreign, page, paragraph
from stampcard_webhooks.identifying import STRANGERS
from stampcard_webhooks.keys import APPLICATION, IDENTIFYING
from stampcard_webhooks.mine import card_link
from stampcard_webhooks.problems import Handler, Refused, told
from stampcard_webhooks.routing import call_of

#: What a mail program sends when its own button is pressed (RFC 8058).
ONE_CLICK = ("List-Unsubscribe", "One-Click")
#: The largest form, in bytes: the longest answer in letters that take nine of them each as a form is written.
MOST = 32 * 1024
_UNTOLD = "…"
Form = Mapping[str, list[str]]
#: What is said of a refusal, by its status: what happened, and what to do.
_REFUSALS: Mapping[int, tuple[str, str]] = {
    403: ("not_done", "foreign"),
    404: ("not_valid", "copied"),
    413: ("not_done", "too_large"),
    415: ("not_done", "unreadable"),
    422: ("not_done", "wrong"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """Somebody who has a link: what it opens, and in which words they are told."""

    request: web.Request
    application: Application
    setting: Setting
    of: Opened
    #: As the member speaks it, such as pt-BR, if that is known.
    language: str
    #: That which the page's own words are in.
    shown: str
    form: Form = field(default_factory=dict)

    @property
    def words(self) -> Mapping[str, str]:
        """All words of the page."""
        return ready(self.shown)["pages"]

    def says(self, text: str, **more: str) -> str:
        """A text of the page."""
        return self.words.get(text, _UNTOLD).format(**more)

    def told(self, text: str, **more: str) -> str:
        """The same as a paragraph."""
        return paragraph(self.says(text, **more))

    def page(self, body: str, status: int = HTTPStatus.OK) -> web.Response:
        """The page under the program's name."""
        return page(self.sender, body, status, self.shown, direction_of(self.shown))

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
        """One unit of work; answers what it came to. The links of a test show everything and change nothing."""
        if self.of.stored.is_test:
            return True
        found: list[Any] = []

        def act(unit: Unit) -> Answer:
            found.append(work(unit))
            return Answer(status=200, body={})

        await call_of(self.request, self.setting, "link", self.application.clock.now()).write(act)
        return found[-1] if found else None


def add_answering(server: web.Application) -> None:
    """Add the pages."""
    for purpose, (show, act) in _PAGES.items():
        server.router.add_get(f"/{purpose}/{{token}}", _paged(purpose, show))
        server.router.add_post(f"/{purpose}/{{token}}", _paged(purpose, act))


def _paged(purpose: Purpose, handle: Callable[[_Visit], Any]) -> Handler:
    """The handler with what the link opens; its refusals are told as pages, too."""

    async def answer(request: web.Request) -> web.StreamResponse:
        visit = None
        try:
            visit = await _visit(request, purpose)
            if request.method == "POST":
                visit = replace(visit, form=await _sent(request, purpose))
            response: web.StreamResponse = await handle(visit)
        except Refused as refused:
            return _refusal(refused, visit)
        except RequestRefused as error:
            return _refusal(Refused(422, str(error)), visit)
        return response

    return told(answer)


async def _sent(request: web.Request, purpose: Purpose) -> Form:
    """The form; raises Refused for what another site sends, but mail programs are no sites."""
    kinds = (FORM, PARTS) if purpose == "u" else (FORM,)
    form = await form_of(request, MOST, kinds, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    if not (purpose == "u" and _is_one_click(form)) and is_foreign(request):
        raise Refused(403, "the form of another site")
    return form


def _is_one_click(form: Form) -> bool:
    name, value = ONE_CLICK
    return value in form.get(name, ())


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
    known = _languages(found)
    shown = next((main for main in map(_main, known) if main in LANGUAGES), "en")
    return _Visit(request=request, application=application, setting=setting, of=found, language=known[0], shown=shown)


def _languages(of: Opened) -> list[str]:
    """In which languages somebody is told things: their own, that of the message, the program's, English."""
    spoken = str(of.member.attributes.get("language") or "") if of.member is not None else ""
    fallback = of.live.program.sending.language if of.live is not None else ""
    known = (one.strip().replace("_", "-") for one in (spoken, of.stored.language, fallback, "en"))
    return [one for one in known if one and locale_of(one) is not None]


def _main(language: str) -> str:
    """The language without its region."""
    return language.partition("-")[0].lower()


def _refusal(refused: Refused, visit: _Visit | None) -> web.Response:
    shown = visit.shown if visit is not None else "en"
    words = ready(shown)["pages"]
    title, says = _REFUSALS.get(refused.status, ("not_now", "haste"))
    answer = page(words[title], alert(words[says]), refused.status, shown, direction_of(shown))
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
    form, of, member = visit.form, visit.of.stored, visit.of.member
    if form.get("again") == ["1"]:
        if member is None:
            raise Refused(404, "nobody is there any more")
        ip = _address(visit.request)
        await visit.write(lambda unit: answering.subscribe(unit, member.id, of, "unsubscribe page", ip))
        return visit.page(visit.told("resubscribed"))
    if member is not None:
        source = "one-click" if _is_one_click(form) else "unsubscribe page"
        await visit.write(lambda unit: answering.unsubscribe(unit, member.id, of, source))
    again = _form('<input type="hidden" name="again" value="1">', visit.says("resubscribe"))
    return visit.page(visit.told("unsubscribed") + (visit.told("again") + again if member is not None else ""))


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
    spoken = _main(visit.language)
    options = "".join(
        f'<option value="{code}"{" selected" if code == spoken else ""}>{escape(name)}</option>'
        for code, name in sorted(names.items())
    )
    other = "" if spoken in names else '<option value="" selected></option>'
    chosen = f'<label>{escape(visit.says("language"))} <select name="language">{other}{options}</select></label>'
    group = _group(visit.says("preferences_title"), visit.told("preferences_asks") + boxes)
    return _form(group + chosen, visit.says("save"))


def _group(name: str, body: str, language: str = "") -> str:
    """Fields that belong together, under a heading that names them."""
    return f'<fieldset><legend><h2 dir="auto"{_in(language)}>{escape(name)}</h2></legend>{body}</fieldset>'


def _in(language: str) -> str:
    return f' lang="{escape(language)}"' if language else ""


async def _choose(visit: _Visit) -> web.Response:
    form, of = visit.form, visit.of
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
        answering.choose(unit, member.id, wanted, of.stored, "preference page", _address(visit.request))

    await visit.write(work)
    if language in LANGUAGES and language != _main(visit.language):
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
    return visit.page(visit.told("confirmed") + await _card(visit, member.id))


async def _card(visit: _Visit, member: str) -> str:
    """The way to the card of somebody who has just shown, by coming from their own address, that they take part."""
    if visit.of.terms is None or visit.of.terms.on.event == CONSENT_ASKED or visit.of.stored.is_test:
        return ""
    return await visit.application.database.read(
        lambda connection: card_link(connection, visit.setting, member, visit.says("join_card"))
    )


async def _show_question(visit: _Visit) -> web.Response:
    return visit.page(_question(visit, _asked(visit)))


def _asked(visit: _Visit) -> Question:
    terms = visit.of.terms
    if visit.of.member is None or terms is None or terms.question is None:
        raise Refused(404, "there is no question any more")
    return terms.question


def _question(visit: _Visit, question: Question, reply: Reply | None = None) -> str:
    """The question, with what was typed already."""
    typed = reply or Reply()
    text, language = _text_of(question, _languages(visit.of))
    match question.kind:
        case "score":
            fields = _group(text, _scores(typed), language) + _why(visit, typed)
        case "choice":
            fields = _group(text, _options(question, typed), language) + _why(visit, typed)
        case _:
            heading = f'<h2 id="asked" dir="auto"{_in(language)}>{escape(text)}</h2>'
            fields = heading + _words_of_ones_own('rows="5" required aria-labelledby="asked"', typed)
    return _form(fields, visit.says("question_does"))


def _text_of(question: Question, known: Iterable[str]) -> tuple[str, str]:
    """The question with its language: of those that somebody knows the first that it has, with its region or without."""
    texts = {language.lower(): (text, language) for language, text in question.texts.items()}
    wanted = (one for language in known for one in (language.lower(), _main(language)))
    return next((texts[one] for one in wanted if one in texts), next(iter(texts.values())))


def _scores(typed: Reply) -> str:
    buttons = "".join(
        f'<label><input type="radio" name="score" value="{score}" required{_checked(score == typed.score)}> {score}</label>'
        for score in range(MOST_SCORE + 1)
    )
    return f'<div class="scores" dir="ltr">{buttons}</div>'


def _options(question: Question, typed: Reply) -> str:
    return "".join(
        f'<label><input type="radio" name="choice" value="{escape(one)}" required{_checked(one == typed.choice)}> '
        f'<span dir="auto">{escape(one)}</span></label>'
        for one in question.choices
    )


def _checked(is_it: bool) -> str:
    return " checked" if is_it else ""


def _words_of_ones_own(attributes: str, typed: Reply) -> str:
    return f'<textarea name="text" maxlength="{LONGEST_ANSWER}" dir="auto" {attributes}>{escape(typed.text)}</textarea>'


def _why(visit: _Visit, typed: Reply) -> str:
    area = _words_of_ones_own('rows="4"', typed)
    return f"<label>{escape(visit.says('question_why'))}{area}</label>"


async def _answer(visit: _Visit) -> web.Response:
    of, question = visit.of, _asked(visit)
    member, terms = of.member, of.terms
    if member is None or terms is None:
        raise Refused(404, "there is no question any more")
    reply = _reply(question, visit.form)
    wrong = "answer_long" if len(reply.text) > LONGEST_ANSWER else ""
    try:
        check_reply(terms, reply)
    except RequestRefused:
        wrong = "answer_words" if question.kind == "text" else "answer_one"
    if wrong:
        said = alert(visit.says(wrong, most=str(LONGEST_ANSWER)))
        return visit.page(said + _question(visit, question, reply), HTTPStatus.UNPROCESSABLE_ENTITY)
    fresh = await visit.write(lambda unit: answering.answer(unit, member.id, of, reply))
    return visit.page(visit.told("answered" if fresh else "answered_before"))


def _reply(question: Question, form: Form) -> Reply:
    """What was answered, of that alone which is asked."""
    score, choice, text = (next(iter(form.get(name, ())), "") for name in ("score", "choice", "text"))
    is_score = question.kind == "score" and score.isascii() and score.isdigit() and len(score) <= 2  # noqa: PLR2004 - up to 10
    return Reply(
        score=int(score) if is_score else None,
        choice=choice if question.kind == "choice" else "",
        # As browsers count its length.
        text=text.replace("\r\n", "\n").strip(),
    )


def _address(request: web.Request) -> str:
    """From where somebody says yes, as evidence."""
    return request.app[IDENTIFYING].address_of(request)


_PAGES: Mapping[Purpose, tuple[Callable[[_Visit], Any], Callable[[_Visit], Any]]] = {
    "u": (_show_end, _end),
    "p": (_show_preferences, _choose),
    "c": (_show_question_to_confirm, _confirm),
    "q": (_show_question, _answer),
}
