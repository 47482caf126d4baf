"""The card of a program, as members have it in their phones and show it at the counter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, StringConstraints

from stampcard.domain.contacts import FIGURES
from stampcard.domain.passes import Barcode
from stampcard.domain.tills import Proof
from stampcard.program.faults import Fault, fault_of_name
from stampcard.program.messages import COLOUR, Language, PageField
from stampcard.program.parts import Part
from stampcard.program.templates import LANGUAGES, ready
from stampcard.program.texts import locale_of

if TYPE_CHECKING:
    from stampcard.program.model import Program

#: Figures that say nothing to a member, or are too much for a card.
_NOT_SHOWN = ("member_id", "status", "lifetime_value", "orders", "last_order_on", "rewards_value", "last_reward_on")
#: What a card can show.
SHOWN = tuple(name for name in FIGURES if name not in _NOT_SHOWN)
#: As a colour is written, or nothing.
NO_COLOUR = f"^$|{COLOUR}"
Short = Annotated[str, StringConstraints(min_length=1, max_length=100)]


def _by_name(written: Any) -> Any:
    return {"show": written} if isinstance(written, str) else written


class Shown(Part):
    """One figure on the card."""

    show: str = Field(description="which: points, tier, next_reward …")
    label: Mapping[Language, Short] = Field(default={}, description="what stands above it, by language")


ShownField = Annotated[Shown, BeforeValidator(_by_name, json_schema_input_type=Shown | str)]


class Card(Part):
    """What the card looks like, and what its code is."""

    name: Mapping[Language, Short] = Field(
        default={}, description="its title, by language; without it the program's name"
    )
    issuer: Mapping[Language, Short] = Field(
        default={}, description="whose card it is, by language; without it the program's name"
    )
    logo: PageField = Field(
        default="", max_length=500, description="the address of a square picture; without it that of `sending`"
    )
    banner: PageField = Field(default="", max_length=500, description="the address of a wide picture")
    colour: str = Field(default="", pattern=NO_COLOUR, description="of the card; without it that of `sending`")
    fields: tuple[ShownField, ...] = Field(
        default=(Shown(show="points"), Shown(show="tier"), Shown(show="next_reward")),
        min_length=1,
        max_length=8,
        json_schema_extra={"default": ["points", "tier", "next_reward"]},
        description="what it shows, the first the largest; people are told when that one changes",
    )
    code: Barcode = Field(default="qr", description="how its code is drawn")
    opens: bool = Field(
        default=True,
        description="whether the code is a link, which a phone at the counter opens with its camera; not as code_128",
    )
    rotates: bool = Field(
        default=False, description="whether the code is another one every 30 seconds, in wallets that can do that"
    )
    redeem: Proof = Field(
        default="any",
        description="what rewards are handed out for at the counter: any card, also one whose number was typed; scanned; "
        "fresh: a code that is of just now, so that a photograph of it is worth nothing",
    )
    offers: bool = Field(default=True, description="whether rewards that the member holds are on it")


def faults_of_cards(program: Program) -> Iterable[Fault]:
    """What a card says against the rest of the program."""
    card = program.card
    for place, texts in (("name", card.name), ("issuer", card.issuer)):
        yield from _faults_of_texts(("card", place), texts)
    for index, field in enumerate(card.fields):
        fault = fault_of_name("figure", field.show, SHOWN)
        if fault:
            yield ("card", "fields", index, "show"), fault
        yield from _faults_of_texts(("card", "fields", index, "label"), field.label)
    shown = [field.show for field in card.fields]
    for index, name in enumerate(shown):
        if name in shown[:index]:
            yield ("card", "fields", index, "show"), f"{name} is on the card already"
    if card.rotates and card.code == "code_128":
        yield ("card", "code"), "bars do not rotate: write qr, pdf417 or aztec"
    if card.redeem == "fresh" and card.code == "code_128":
        yield ("card", "redeem"), "a code of bars is never fresh: write qr, or redeem: scanned"


def _faults_of_texts(place: tuple[str | int, ...], texts: Mapping[str, str]) -> Iterable[Fault]:
    for language in texts:
        if locale_of(language) is None:
            yield (*place, language), f"{language!r} is no language: write a code such as en, nl or ar"


def label_of(field: Shown) -> dict[str, str]:
    """What stands above a figure, by language: the merchant's own words before ours."""
    own = {language: words[field.show] for language in LANGUAGES if field.show in (words := ready(language)["card"])}
    return {**own, **field.label}
