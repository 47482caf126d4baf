"""What a message says: its texts in the member's language, written out as a mail, a text or a note."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import Any

from stampcard.domain.members import Member
from stampcard.domain.messages import Form
from stampcard.domain.value import Value
from stampcard.engine.versions import LiveProgram
from stampcard.errors import TextFailed
from stampcard.program.messages import MessageTerms, MessageText
from stampcard.program.placeholders import common_of, frame_of, shape_of
from stampcard.program.templates import LANGUAGES, ready
from stampcard.program.texts import Shape, direction_of, filled, page_of, paragraphs, template_of, tidied

#: The most that a mail shows of itself in a list of mails.
PREVIEW = 120


class Content(Value, frozen=True):
    """What one message says, ready to leave."""

    language: str
    subject: str
    text: str
    html: str = ""


def language_for(terms: MessageTerms, wanted: str, fallback: str) -> str:
    """The language a message is told in: the member's, its main language, the program's, else any that it has."""
    known = [*terms.texts, *(LANGUAGES if terms.use is not None else ())]
    wanted = wanted.replace("_", "-")
    main = wanted.partition("-")[0].lower()
    for language in (wanted, main, fallback, "en"):
        if language in known:
            return language
    return known[0] if known else "en"


def text_of(terms: MessageTerms, language: str) -> MessageText:
    """What the message says in a language: its own texts before the ready-made ones."""
    own = terms.texts.get(language, MessageText())
    made = ready(language)[terms.use] if terms.use is not None and language in LANGUAGES else {}
    short = own.short or ("" if own.text else made.get("short", ""))
    return MessageText(
        subject=own.subject or made.get("subject", ""),
        text=own.text or made.get("text", ""),
        short=short,
        html=own.html,
    )


def values_of(live: LiveProgram, member: Member, balances: Mapping[str, int], now: datetime) -> dict[str, Any]:
    """What every text may name; `balances` in the smallest unit."""
    program, zone = live.program, live.program.zone
    points = {name: _whole(balances.get(name, 0), terms.scale) for name, terms in program.wallets.items()}
    spendable = next((name for name, terms in program.wallets.items() if terms.spendable), next(iter(program.wallets)))
    tier, known = member.tiers.get(live.name), member.attributes
    joined = member.joined.get(live.name, member.joined_at)
    return {
        "member": {
            **{name: known.get(name) for name in ("first_name", "last_name", "language", "country")},
            "tier": tier.name if tier is not None and tier.name else None,
            "joined_on": joined.astimezone(zone).date(),
            "attributes": {name: known.get(name) for name in common_of(program)["member"]["attributes"]},
        },
        "program": {
            "name": program.name or live.name,
            "address": program.sending.address or None,
            "page": program.sending.page or None,
        },
        "balance": points[spendable],
        "balances": points,
        "currency": program.currency,
        "today": now.astimezone(zone).date(),
    }


def render(live: LiveProgram, terms: MessageTerms, form: Form, wanted: str, values: Mapping[str, Any]) -> Content:
    """Write a message out; raises TextFailed for a text that cannot be."""
    language = language_for(terms, wanted, live.program.sending.language)
    return write_out(live, text_of(terms, language), shape_of(live.program, terms), form, language, values)


def write_out(
    live: LiveProgram, text: MessageText, shape: Shape, form: Form, language: str, values: Mapping[str, Any]
) -> Content:
    """Write a text out in a language; names that have no value here say nothing."""
    seen = _filled(shape, {**values, "language": language, "direction": direction_of(language)})
    try:
        subject = _line(text.subject, language, seen) if form != "text" else ""
        if form != "mail":
            return Content(language=language, subject=subject, text=_plain(text.short or text.text, language, seen))
        plain = _plain(text.text, language, seen)
        return Content(
            language=language,
            subject=subject,
            text=plain + _footer(live, language, seen),
            html=_html(live, text, language, subject, plain, seen),
        )
    except Exception as error:
        # What people write and what shops call things may meet in any way; one text must not hold up the others.
        raise TextFailed(f"{language}: {error or type(error).__name__}") from error


def _plain(text: str, language: str, values: Mapping[str, Any]) -> str:
    return tidied(filled(_ready(text, language).plain, values))


def _line(text: str, language: str, values: Mapping[str, Any]) -> str:
    """A text of one line: what else a value holds would be another header."""
    return " ".join(filled(_ready(text, language).plain, values).split())


def _html(
    live: LiveProgram, text: MessageText, language: str, subject: str, plain: str, values: Mapping[str, Any]
) -> str:
    from liquid import Markup

    sending = live.program.sending
    around = {
        **values,
        "subject": subject,
        "preview": " ".join(plain.split())[:PREVIEW],
        "logo": sending.logo or None,
        "colour": sending.colour,
        **{f"{name}_words": words(language, name) for name in ("unsubscribe", "preferences")},
    }
    if text.html:
        return filled(_page(text.html), {**around, "content": None})
    content = paragraphs(filled(_ready(text.text, language).marked, values))
    shape = frame_of(live.program)
    page = _page(sending.layout or _layout())
    return filled(page, _filled(shape, {**around, "content": Markup(content)}))


def _footer(live: LiveProgram, language: str, values: Mapping[str, Any]) -> str:
    """What stands below a plain mail: who sends, and how to end it."""
    lines = [live.program.sending.address] if live.program.sending.address else []
    for name in ("unsubscribe", "preferences"):
        lines += [f"{words(language, name)}: {url}"] if (url := values.get(f"{name}_url")) else []
    return "\n\n-- \n" + "\n".join(lines) if lines else ""


def words(language: str, name: str) -> str:
    """A few words in a language, or in English."""
    main = language.partition("-")[0]
    return ready(main if main in LANGUAGES else "en")["words"][name]


def _filled(shape: Shape, values: Mapping[str, Any]) -> dict[str, Any]:
    """Every name of the shape with its value, or nothing."""
    found: dict[str, Any] = dict(values)
    for name, inner in shape.items():
        if isinstance(inner, Mapping) and "*" not in inner:
            known = values.get(name)
            found[name] = _filled(inner, known if isinstance(known, Mapping) else {})
        else:
            found.setdefault(name, None)
    return found


def _whole(points: int, scale: int) -> int | Decimal:
    """Points as people say them."""
    return Decimal(points).scaleb(-scale) if scale else points


@lru_cache(maxsize=1024)
def _ready(text: str, language: str) -> Any:
    return template_of(text, language)


@lru_cache(maxsize=256)
def _page(html: str) -> Any:
    return page_of(html)


@lru_cache(maxsize=1)
def _layout() -> str:
    return (files("stampcard.program") / "ready" / "layout.mjml").read_text(encoding="utf-8")


def told(value: Any) -> Any:
    """What texts may name, as it is stored; `heard` reads it back."""
    match value:
        case Mapping():
            return {f"@{name}" if name.startswith("@") else name: told(inner) for name, inner in value.items()}
        case list() | tuple():
            return [told(inner) for inner in value]
        case datetime() | date():
            return {"@day": value.isoformat()[:10]}
        case Decimal():
            return {"@number": str(value)}
    return value


def heard(value: Any) -> Any:
    """A stored value, its days and numbers as such."""
    match value:
        case {"@day": str(day)} if len(value) == 1:
            return date.fromisoformat(day)
        case {"@number": str(number)} if len(value) == 1:
            return Decimal(number)
        case Mapping():
            return {name.removeprefix("@"): heard(inner) for name, inner in value.items()}
        case list():
            return [heard(inner) for inner in value]
    return value
