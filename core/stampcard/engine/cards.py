"""What a member's card shows: the design of its program, and figures as the member reads them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from hashlib import sha256

import msgspec
from babel.dates import format_date
from babel.numbers import format_decimal

from stampcard.domain.contacts import FIGURES
from stampcard.domain.passes import CardDesign, CardField, PassPush, Texts
from stampcard.domain.value import replace
from stampcard.engine.versions import LiveProgram
from stampcard.program.cards import label_of
from stampcard.program.texts import locale_of


def design_of(live: LiveProgram) -> CardDesign:
    """What all cards of a program look like."""
    program, card = live.program, live.program.card
    language, plain = program.sending.language, program.name or program.program
    return CardDesign(
        program=program.program,
        language=language,
        name=_texts(card.name, language, plain),
        issuer=_texts(card.issuer, language, plain),
        logo=card.logo or program.sending.logo,
        banner=card.banner,
        colour=card.colour or program.sending.colour,
        page=program.sending.page,
        barcode=card.code,
        labels={field.show: _texts(label_of(field), language, field.show) for field in card.fields},
    )


def title_of(live: LiveProgram, language: str) -> str:
    """What the cards of a program are called, in a language or else in the program's own."""
    design = design_of(live)
    return design.name.get(language) or design.name[design.language]


def _texts(written: Mapping[str, str], language: str, otherwise: str) -> Texts:
    """The texts with one in the program's own language, as people would expect it."""
    if language in written:
        return written
    main = written.get(language.partition("-")[0]) or written.get("en") or next(iter(written.values()), otherwise)
    return {**written, language: main}


def fields_of(live: LiveProgram, texts: Mapping[str, str], language: str) -> tuple[CardField, ...]:
    """The figures of one member that are known, in the order of the card; `texts`: as both sides of a CRM would write them."""
    names = [field.show for field in live.program.card.fields]
    return tuple(_field(live, name, texts[name], language) for name in names if texts.get(name))


def _field(live: LiveProgram, name: str, text: str, language: str) -> CardField:
    locale = locale_of(language) or locale_of("en")
    match FIGURES[name].kind:
        case "number":
            try:
                return CardField(name=name, text=str(format_decimal(Decimal(text), locale=locale)), number=text)
            except InvalidOperation:
                return CardField(name=name, text=text)
        case "date":
            return CardField(name=name, text=format_date(date.fromisoformat(text), "medium", locale=locale))
    return CardField(name=name, text=_named(live, name, text))


def _named(live: LiveProgram, figure: str, name: str) -> str:
    """The name that people see, of what has one."""
    if figure == "next_reward" and name in live.program.rewards:
        return live.program.rewards[name].name or name
    if figure in {"tier", "next_tier"} and live.program.tiers is not None and name in live.program.tiers.levels:
        return live.program.tiers.levels[name].name or name
    return name


def digest_of(push: PassPush) -> str:
    """Of all that a pass shows: what is delivered with the same one changes nothing."""
    bare = replace(push, version=0, notify=False)
    return sha256(msgspec.json.encode(bare, order="deterministic")).hexdigest()[:32]
