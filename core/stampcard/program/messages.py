"""Messages: what members are told, when, whom, by which channels, and within which bounds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import time, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, StringConstraints, model_validator

from stampcard.domain.messages import TRANSACTIONAL
from stampcard.program.amounts import AS_WRITTEN, Short, schema
from stampcard.program.events import BIRTHDAY, OF_ORDERS
from stampcard.program.faults import Fault, fault_of_name
from stampcard.program.occasions import (
    AHEAD,
    ASKED,
    BEHIND,
    CONSENT_ASKED,
    HAPPENINGS,
    INVITING,
    POINTS_EARNED,
    PURCHASE,
    REWARD_IN_REACH,
    OccasionField,
    TimeField,
)
from stampcard.program.parts import FieldName, Name, Part
from stampcard.program.periods import Period, SpanField, read_days
from stampcard.program.rules import Names, Who
from stampcard.program.templates import READY
from stampcard.program.texts import locale_of
from stampcard.program.windows import HoursField

if TYPE_CHECKING:
    from stampcard.program.model import Program

#: Forms of what is written in more than one place.
LANGUAGE, COLOUR = r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}$", "^#[0-9a-fA-F]{6}$"
Language = Annotated[str, StringConstraints(pattern=LANGUAGE)]
_CAP = re.compile(
    r"([1-9][0-9]{0,3}) +per +(day|week|month)(?: +by +([a-z][a-z0-9_]{0,39}))?(?: +for +([a-z][a-z0-9_]{0,39}))?"
)
_WINDOWS = {"day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}
_DAYS = r"[1-9][0-9]{0,5} +days?"


class MessageCap(Short):
    """At most so many messages to one member within any such time, by a channel, for a purpose, or of all."""

    most: int
    per: Literal["day", "week", "month"]
    channel: str = ""
    purpose: str = ""

    @property
    def window(self) -> timedelta:
        """The time: 24 hours, 7 days, or 30 days."""
        return _WINDOWS[self.per]

    def __str__(self) -> str:
        by, purpose = (f" by {self.channel}" if self.channel else ""), (f" for {self.purpose}" if self.purpose else "")
        return f"{self.most} per {self.per}{by}{purpose}"


def read_cap(written: Any) -> MessageCap:
    """The cap that "3 per week by sms for marketing" means; raises ValueError."""
    if isinstance(written, MessageCap):
        return written
    found = _CAP.fullmatch(written.strip()) if isinstance(written, str) else None
    if found is None:
        message = (
            f"{written!r} is no cap: write '3 per week', '1 per day by sms' or '2 per month by email for marketing'"
        )
        raise ValueError(message)
    return MessageCap.model_validate(
        {"most": int(found[1]), "per": found[2], "channel": found[3] or "", "purpose": found[4] or ""}
    )


CapField = Annotated[
    MessageCap, PlainValidator(read_cap), AS_WRITTEN, schema(_CAP.pattern, "3 per week; 1 per day by sms for marketing")
]
KeepField = Annotated[Period, PlainValidator(read_days), AS_WRITTEN, schema(_DAYS, "a number of days: 90 days")]
Quiet = Annotated[
    HoursField | None,
    BeforeValidator(
        lambda written: None if written == "none" else written, json_schema_input_type=HoursField | Literal["none"]
    ),
]


def _several(written: Any) -> Any:
    return [written] if isinstance(written, str) else written


#: Where an address leads that runs or shows something of its own instead.
_UNSAFE = frozenset({"javascript", "data", "vbscript", "file", "blob", "about"})
_HERE = frozenset({"localhost", "127.0.0.1"})
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):.+")


def _check_page(written: str) -> str:
    """An address that others open: https, or http on one's own machine; raises ValueError."""
    if written:
        scheme, host = _split(written)
        if not host or not (scheme == "https" or (scheme == "http" and host in _HERE)):
            message = f"{written!r} is no such address: write https://… (http:// for localhost alone)"
            raise ValueError(message)
    return written


def _check_link(written: str) -> str:
    """Where a note leads: a page, a path of one, or a place in an app by its scheme; raises ValueError."""
    found = _SCHEME.fullmatch(written)
    scheme = found[1].lower() if found is not None else ""
    is_path = written.startswith("/") and not written.startswith(("//", "/\\"))
    is_open = bool(scheme) and scheme not in _UNSAFE and (scheme not in {"http", "https"} or _split(written)[1] != "")
    if written and (_is_broken(written) or not (is_path or is_open)):
        message = f"{written!r} leads nowhere: write https://…, a path such as /club, or your app's own myapp://…"
        raise ValueError(message)
    return written


def _split(written: str) -> tuple[str, str]:
    """The scheme and the host, both empty where there are none."""
    try:
        parts = urlsplit(written)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "", ""
    return ("", "") if _is_broken(written) else (parts.scheme.lower(), host)


def _is_broken(written: str) -> bool:
    """Whether a blank or a control character is in it, which browsers leave out as they like."""
    return any(one.isspace() or not one.isprintable() for one in written)


PageField = Annotated[str, AfterValidator(_check_page)]
LinkField = Annotated[str, AfterValidator(_check_link)]


class MessageText(Part):
    """What a message says in one language; in Liquid, links as [label](address)."""

    subject: str = Field(
        default="", max_length=300, description="the subject of the mail, and the title where it is read in an inbox"
    )
    text: str = Field(default="", description="the text; of it the mail's HTML is made, too")
    short: str = Field(
        default="", max_length=1600, description="the text as an SMS, a chat or an inbox shows it; without it `text`"
    )
    html: str = Field(default="", description="HTML or MJML of the mail, instead of what is made of `text`")


class Question(Part):
    """One question that a message asks; the answer is an event that rules may pay for."""

    kind: Literal["score", "choice", "text"] = Field(
        description="score: a number of 0 to 10; choice: one of `choices`; text: in own words"
    )
    choices: tuple[Name, ...] = Field(default=(), description="the answers to choose from")
    texts: Mapping[Language, str] = Field(min_length=1, description="the question, by language")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.kind == "choice") != bool(self.choices):
            message = "name the `choices` with `kind: choice`, and only there"
            raise ValueError(message)
        return self


class MessageTerms(Part):
    """One message."""

    name: str = Field(default="", max_length=200, description="the name that people see in reports")
    enabled: bool = Field(default=True, strict=True, description="false: it is not sent")
    on: OccasionField = Field(
        description="sign_up, points_earned, tier_up … or 3 days before points_expire; by_hand: when you send it"
    )
    when: str | None = Field(
        default=None, description="a condition in CEL over the event and the member, asked again before it leaves"
    )
    to: Literal["members", "customers"] = Field(
        default="members",
        description="members; or customers: those who take no part yet, whom it invites by `join_url`",
    )
    who: Who | None = Field(default=None, description="whom it is for; without it everybody")
    campaign: str = Field(default="", description="the campaign that it belongs to: its days, audience, and switch")
    channels: Annotated[
        tuple[FieldName, ...], BeforeValidator(_several, json_schema_input_type=FieldName | list[FieldName])
    ] = Field(default=("email",), min_length=1, description="email, sms, inbox …; the first is tried first")
    deliver: Literal["all", "first_that_works"] = Field(
        default="first_that_works", description="all: by each channel; first_that_works: the next only where one failed"
    )
    purpose: FieldName = Field(
        default="marketing",
        description="transactional, or what the member agreed to: marketing, or a purpose of your own",
    )
    use: Name | None = Field(
        default=None, description="a ready-made text, whatever `texts` does not say otherwise: points_earned"
    )
    texts: Mapping[Language, MessageText] = Field(default={}, description="what it says, by language: en, nl, ar")
    digest: SpanField = Field(
        default=None, description="how long further changes are gathered into the same message: 1 hour"
    )
    at: TimeField = Field(
        default=time(10),
        json_schema_extra={"default": "10:00"},
        description="the time of day of a message that a day brings, in the program's zone",
    )
    late: SpanField = Field(
        default=timedelta(days=2),
        json_schema_extra={"default": "2 days"},
        description="how much later than meant it may still leave",
    )
    within: int = Field(default=0, ge=0, strict=True, description="of reward_in_reach: how many points may be missing")
    keep: KeepField = Field(
        default=Period(count=90, unit="days"),
        json_schema_extra={"default": "90 days"},
        description="how long it can be read in an inbox",
    )
    link: LinkField = Field(default="", max_length=1000, description="where it leads from an inbox")
    question: Question | None = Field(default=None, description="one question that it asks")

    @property
    def is_asked(self) -> bool:
        """Whether the member asked for just this, and waits for it."""
        return self.on.event in ASKED

    @property
    def invites(self) -> bool:
        """Whether it is for those who are no members yet."""
        return self.to == "customers"

    @property
    def is_transactional(self) -> bool:
        """Whether it needs no consent."""
        return self.purpose == TRANSACTIONAL or self.is_asked


class Sending(Part):
    """What all messages of a program have in common."""

    language: Language = Field(default="en", description="the language for members whose own has no text")
    channels: Mapping[FieldName, str] = Field(
        default={}, description="which connection a channel goes by, where several have it: email: mail"
    )
    quiet: Mapping[FieldName, Quiet] = Field(
        default={},
        description="hours in which nothing leaves, by channel, in the member's own zone: sms: 21:00-08:00; or none",
    )
    caps: Annotated[
        tuple[CapField, ...], BeforeValidator(_several, json_schema_input_type=CapField | list[CapField])
    ] = Field(default=(), description="at most so many to one member: 3 per week; 1 per day by sms for marketing")
    allow: tuple[str, ...] = Field(
        default=(), description="the addresses that get messages while the program's state is test"
    )
    address: str = Field(
        default="", max_length=500, description="who sends, and where they are found: stands below every mail"
    )
    page: PageField = Field(
        default="",
        max_length=500,
        description="the address of your own page for members; the link to their points opens it",
    )
    logo: PageField = Field(default="", max_length=500, description="the address of a picture, above every mail")
    colour: str = Field(default="#1a4d8f", pattern=COLOUR, description="the colour of links and of the line above")
    layout: str = Field(default="", description="MJML or HTML around every mail; {{ content }} is its text")
    confirm_within: KeepField = Field(
        default=Period(count=7, unit="days"),
        json_schema_extra={"default": "7 days"},
        description="how long a link to confirm is good",
    )
    double_opt_in: Names = Field(
        default=(), description="channels by which a yes counts only once it was confirmed: email"
    )


def faults_of_messages(program: Program) -> Iterable[Fault]:
    """What messages say against the rest of the program."""
    for name, terms in program.messages.items():
        place = ("messages", name)
        found = {
            "on": _fault_of_occasion(program, terms),
            "campaign": fault_of_name("campaign", terms.campaign, ("", *program.campaigns)),
            "use": fault_of_name("ready-made text", terms.use, READY) if terms.use is not None else "",
            "to": _fault_of_invitation(program, terms),
            "within": _fault_of_reach(terms),
            "digest": _fault_of_digest(terms),
        }
        yield from (((*place, key), message) for key, message in found.items() if message)
        yield from _faults_of_texts(program, terms, place)
        yield from _faults_of_who(program, terms, place)

    yield from _faults_of_double_opt_in(program)


def _faults_of_double_opt_in(program: Program) -> Iterable[Fault]:
    asking = {
        channel
        for terms in program.messages.values()
        if terms.on.event == CONSENT_ASKED and terms.enabled
        for channel in terms.channels
    }
    for channel in program.sending.double_opt_in:
        if channel not in asking:
            wanted = f"`on: {CONSENT_ASKED}`, `channels: {channel}` and `use: opt_in`"
            yield ("sending", "double_opt_in"), f"nobody would be asked by {channel!r}: add a message with {wanted}"


def _fault_of_invitation(program: Program, terms: MessageTerms) -> str:
    event = terms.on.event
    if not terms.invites or event in INVITING or event in program.events:
        return ""
    return f"who takes no part has no {event}: an invitation is on {', '.join(INVITING)} or an event of your own"


def _fault_of_reach(terms: MessageTerms) -> str:
    unasked = terms.within and terms.on.event != REWARD_IN_REACH
    return f"only a message on {REWARD_IN_REACH} asks how many points are missing" if unasked else ""


def _fault_of_digest(terms: MessageTerms) -> str:
    dated = terms.digest is not None and terms.on.is_dated
    return "what a day brings comes once: leave `digest` out" if dated else ""


def _faults_of_who(program: Program, terms: MessageTerms, place: tuple[str | int, ...]) -> Iterable[Fault]:
    tiers = tuple(program.tiers.levels) if program.tiers is not None else ()
    who = terms.who or Who()
    for key, names, known in (("tiers", who.tiers, tiers), ("segments", who.segments, tuple(program.segments))):
        for one in names:
            fault = fault_of_name(key.removesuffix("s"), one, known)
            if fault:
                yield (*place, "who", key), fault


def _fault_of_occasion(program: Program, terms: MessageTerms) -> str:
    event, days = terms.on.event, terms.on.days
    if days < 0:
        fault = fault_of_name("day to come before", event, AHEAD)
    elif days > 0:
        fault = fault_of_name("event to come after", event, BEHIND)
    elif event in OF_ORDERS:
        return f"it comes some days after: 1 day after {PURCHASE}; what an order pays at once is {POINTS_EARNED}"
    else:
        declared = (*HAPPENINGS, *(set(program.known_events) - {*HAPPENINGS, *OF_ORDERS}))
        fault = fault_of_name("event", event, declared)
    if not fault and event == BIRTHDAY and program.attributes.get(BIRTHDAY) != "date":
        return "nobody's birthday is known: declare it under attributes, birthday: date"
    if not fault and event == "program_ends" and program.ending is None:
        return "the program has no last days: add `ending`"
    return fault


def _faults_of_texts(program: Program, terms: MessageTerms, place: tuple[str | int, ...]) -> Iterable[Fault]:
    for language, text in terms.texts.items():
        if locale_of(language) is None:
            yield (*place, "texts", language), f"{language!r} is no language: write a code such as en, nl or ar"
        if terms.use is None and not text.text:
            yield (*place, "texts", language), "has no `text`"
        if terms.use is None and "email" in terms.channels and not text.subject:
            yield (*place, "texts", language), "a mail needs a `subject`"
    fallback = program.sending.language
    if terms.use is None and not terms.texts:
        yield place, f"says nothing: write `texts`, or `use` a ready-made text: {', '.join(READY)}"
    elif terms.use is None and fallback not in terms.texts:
        yield (
            (*place, "texts"),
            f"lacks {fallback!r}, the language for members whose own is missing (sending, language)",
        )
