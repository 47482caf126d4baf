"""What a CRM can do, and the settings that every connection to one has.

The core keeps the map of fields, compares, matches and decides; a plugin reads and writes contacts, and knows its vendor.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from stampcard.domain.contacts import CONSENT, FIGURES, HOLD, ContactPush, FieldKind, FieldOwner, FieldPair, Person
from stampcard.domain.deliveries import Delivery
from stampcard.domain.value import Value
from stampcard.plugin.manifest import PluginSettings
from stampcard.plugin.outcomes import Outcome
from stampcard.plugin.rates import Rate, RetryPolicy

_OURS = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){0,2}$"
Theirs = Annotated[str, Field(min_length=1, max_length=200)]
SegmentName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class FieldChoice(BaseModel):
    """One entry of the map: their field, whose value counts, and whether theirs says the contrary."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: Theirs
    owner: FieldOwner | None = None
    opposite: bool = False


class ContactCondition(BaseModel):
    """What a field of a contact must be for the contact to take part."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    field: Theirs
    is_: Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1, alias="is")]


Choice = Literal[False] | Theirs | FieldChoice


class ContactSettings(PluginSettings):
    """The settings of a connection to a CRM, whichever vendor it is of."""

    fields: dict[Annotated[str, Field(pattern=_OURS)], Choice] = Field(
        default={},
        description="which of their fields shows which of ours, beside what the plugin has by default: a name, or a table with "
        "`field`, `owner` (`ours`, `theirs`, `newest`, `most_restrictive`) and `opposite`; `false` leaves one out",
    )
    program: str = Field(default="", description="the program whose figures are shown, where there are several")
    make_contacts: str = Field(
        default="all",
        pattern=r"^(all|none|segment:[a-z][a-z0-9_-]*)$",
        description="for whom a contact is made where none is there: `all` members, `none`, or those of `segment:NAME`",
    )
    make_members: bool = Field(
        default=False, description="whether contacts who take part and are nobody's become members"
    )
    only: tuple[ContactCondition, ...] = Field(
        default=(),
        description="which contacts take part: each with a `field`, and what it `is`, one text or several; all must hold",
    )
    match: Annotated[tuple[Literal["email", "phone"], ...], BeforeValidator(_as_list)] = Field(
        default=("email", "phone"), description="by which addresses contacts are found to be members, the surest first"
    )
    trust_addresses: bool = Field(
        default=False,
        description="whether an address that no shop verified is enough; otherwise a person decides about those",
    )
    lists: dict[SegmentName, Theirs] = Field(
        default={}, description="segments whose members are kept in a list there: the segment, and the list's name"
    )
    segments: dict[SegmentName, Theirs] = Field(
        default={}, description="static segments that are made of a list there: the segment, and the list's id"
    )
    hold_lists: Annotated[tuple[Theirs, ...], BeforeValidator(_as_list)] = Field(
        default=(), description="ids of lists there whose members are on hold here"
    )
    erase_contacts: bool = Field(
        default=False, description="whether somebody who is erased here is to be forgotten there, too, for good"
    )

    @model_validator(mode="after")
    def _figures_are_ours(self) -> Self:
        for ours, choice in self.fields.items():
            owner = choice.owner if isinstance(choice, FieldChoice) else None
            if ours in FIGURES and owner not in {None, "ours"}:
                raise ValueError(f"fields: {ours} is known here alone, so that its owner is ours")
            if ours == HOLD and owner not in {None, "theirs"}:
                raise ValueError(f"fields: {ours} is said there, so that its owner is theirs")
            if owner == "most_restrictive" and not ours.startswith(CONSENT):
                raise ValueError(f"fields: {ours}: most_restrictive is for consents")
            if ours.startswith(CONSENT) and ours.count(".") != 2:  # noqa: PLR2004 - channel and purpose
                raise ValueError("fields: write a consent as consent.CHANNEL.PURPOSE, such as consent.email.marketing")
        return self

    def pairs(self, defaults: Mapping[str, Choice]) -> tuple[FieldPair, ...]:
        """The map of fields that a connection with these settings has, by our names."""
        chosen = {ours: choice for ours, choice in {**defaults, **self.fields}.items() if choice is not False}
        return tuple(_pair(ours, choice, is_default=ours not in self.fields) for ours, choice in sorted(chosen.items()))

    def to_read(self, defaults: Mapping[str, Choice]) -> tuple[str, ...]:
        """Every field of theirs that has to be read: those of the map, and those that say who takes part."""
        names = {pair.theirs for pair in self.pairs(defaults)} | {one.field for one in self.only}
        return tuple(sorted(names))


def _pair(ours: str, choice: Any, *, is_default: bool) -> FieldPair:
    of = FieldChoice(field=choice) if isinstance(choice, str) else choice
    figure = FIGURES.get(ours)
    return FieldPair(
        ours=ours,
        theirs=of.field,
        owner=of.owner or _owner(ours),
        kind=figure.kind if figure is not None else _kind(ours),
        opposite=of.opposite,
        made=figure is not None and is_default,
        label=figure.label if figure is not None else "",
        unique=figure is not None and figure.unique,
    )


def _kind(ours: str) -> FieldKind:
    if ours == "country":
        return "country"
    return "truth" if ours.startswith(CONSENT) else "text"


def _owner(ours: str) -> FieldOwner:
    if ours in FIGURES or ours == "email":
        return "ours"
    return "most_restrictive" if ours.startswith(CONSENT) else "theirs"


class ContactPage(Value, frozen=True):
    """Contacts as fetched deliveries (`read_at` is set), and where to go on; an empty place if that was all."""

    deliveries: tuple[Delivery, ...] = ()
    place: str = ""


class MemberPage(Value, frozen=True):
    """Contacts in a list, by their references, and where to go on."""

    references: tuple[str, ...] = ()
    place: str = ""


class Contacts(ABC):
    """A CRM's records of people. Values are text in the forms of `FieldKind`; each method is one to a few calls.

    Methods that answer no outcomes raise PluginError where the vendor does not answer, with what to change. A fetched
    contact is decoded to ContactSeen by the connection's webhook source, and has the same key each time that it is the same.
    """

    #: Our names of fields to theirs: the map where the settings say nothing else.
    defaults: Mapping[str, Choice]
    batch_size: int = 100
    rate: Rate | None = None
    retry: RetryPolicy = RetryPolicy()
    #: How often the vendor is asked what changed, beside what its webhooks tell.
    every: timedelta = timedelta(minutes=5)
    #: After how long a change is surely found by `changed`.
    lag: timedelta = timedelta(minutes=2)

    @abstractmethod
    async def prepare(self, pairs: Sequence[FieldPair], *, dry_run: bool = False) -> Sequence[str]:
        """Make the fields that are missing, of those that are `made`; answers what was made, in words.

        `dry_run`: only look, and answer what would be made.
        PluginError for one that is missing and not ours to make, or of which theirs is of another kind. Done twice it
        changes nothing.
        """

    @abstractmethod
    async def write(self, items: Sequence[ContactPush]) -> Sequence[Outcome]:
        """Show what is new; exactly one outcome for each, in order.

        ``Delivered(result={"reference": …, "fields": {…}, "changed_at": …})``: the contact, the written fields as the vendor
        shows them now, and, where it tells that, when it changed by that, in ISO 8601: what was read before is not heard then.
        Fields that it does not take are left out, and told in ``"refused": {field: why}``; all others are shown. An item without a reference makes a contact, or finds the one that an attempt of unknown outcome made, by the
        member's id, which is among the fields. One that is in the vendor's way because it has the same address is
        ``Delivered(result={"reference": …, "found": True})``, and nothing was written then.
        """

    @abstractmethod
    async def find(self, people: Sequence[Person]) -> Sequence[Sequence[Delivery]]:
        """For each, in order, the contacts that have one of the addresses, as far as the vendor can tell."""

    @abstractmethod
    async def changed(self, since: datetime, place: str = "") -> ContactPage:
        """The next contacts that changed since a moment, behind a place, in an order that changes do not disturb."""

    @abstractmethod
    async def read(self, place: str = "") -> ContactPage:
        """The next of all contacts, behind a place."""

    @abstractmethod
    async def count(self) -> int | None:
        """How many contacts there are; None where the vendor does not say."""

    @abstractmethod
    async def remove(self, references: Sequence[str]) -> Sequence[Outcome]:
        """Put contacts away, so that people there can still get them back; one that is gone already is Delivered."""

    @abstractmethod
    async def erase(self, references: Sequence[str]) -> Sequence[Outcome]:
        """Forget contacts for good, as the law has it; one that is gone already is Delivered."""

    async def in_list(self, list_id: str, place: str = "") -> MemberPage:  # noqa: ARG002 - not every vendor has lists
        """The next contacts in a list, behind a place."""
        return MemberPage()

    def pace(self) -> float:
        """Seconds that the vendor wants to pass before the next call, as its last answer told."""
        return 0.0


__all__ = ["ContactPage", "ContactSettings", "Contacts", "FieldChoice", "FieldKind", "MemberPage", "Person"]
