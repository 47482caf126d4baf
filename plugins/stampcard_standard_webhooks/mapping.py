"""Tables of the settings that say what somebody else's JSON means in our words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from decimal import Decimal
from difflib import get_close_matches
from fnmatch import fnmatchcase
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from msgspec.structs import fields
from pydantic import AfterValidator, BeforeValidator, Field, create_model, model_validator

from stampcard.plugin import MalformedPayload, PluginSettings
from stampcard_standard_webhooks.converting import (
    NOTHING,
    AnyReading,
    CountReading,
    FlagReading,
    MomentReading,
    MoneyReading,
    OnePath,
    Reading,
    TextReading,
    TextsReading,
    text_of,
)
from stampcard_standard_webhooks.messages import (
    MOST_PARTS,
    Consented,
    Customer,
    Erased,
    Happened,
    Merged,
    Order,
    Refund,
    Requested,
    Told,
)
from stampcard_standard_webhooks.paths import found, parsed

EVERY_OTHER = "*"
#: Tables whose events forget or move what is there.
DRASTIC = ("erased", "merged")
_READINGS: Mapping[Any, type[Reading]] = {
    str: TextReading,
    int: CountReading,
    bool: FlagReading,
    Decimal: MoneyReading,
    dt.datetime: MomentReading,
}


class Table(PluginSettings):
    """Where the fields of one thing of ours stand; made for each from its struct."""

    shape: ClassVar[type[Told]]
    needed: ClassVar[frozenset[str]]

    def read(self, body: Any, here: Any) -> dict[str, Any]:
        """The thing as JSON of ours; raises MalformedPayload."""
        named = [name for name in type(self).model_fields if name in self.model_fields_set and name != "each"]
        read = {name: _read(getattr(self, name), body, here) for name in named}
        return {name: value for name, value in read.items() if value is not NOTHING}

    @model_validator(mode="before")
    @classmethod
    def _known(cls, written: Any) -> Any:
        unknown = [name for name in written if name not in cls.model_fields] if isinstance(written, Mapping) else []
        if unknown:
            close = get_close_matches(unknown[0], cls.model_fields, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(cls.model_fields)}"
            raise ValueError(f"there is no field {unknown[0]!r}; {hint}")
        return written


class Listed(Table):
    """A table of which there are many: one for each that `each` leads to."""

    each: OnePath = Field(description="where the list stands")

    def read_all(self, body: Any, here: Any) -> list[dict[str, Any]]:
        """Each of them."""
        parts = [part for one in found(self.each, body, here) for part in (one if isinstance(one, list) else [one])]
        if not all(isinstance(part, dict) for part in parts):
            raise MalformedPayload(f"at {self.each.text!r} stands something else than a list of tables")
        if len(parts) > MOST_PARTS:
            raise MalformedPayload(f"at {self.each.text!r} stand more than {MOST_PARTS} tables")
        return [self.read(body, part) for part in parts]


def _read(place: Any, body: Any, here: Any) -> Any:
    if isinstance(place, Listed):
        return place.read_all(body, here)
    if isinstance(place, Table):
        told = place.read(body, here)
        # A guest's order has nobody: then there is nothing, and not a customer without a name.
        return told if told.keys() >= place.needed else NOTHING
    if isinstance(place, Mapping):
        read = {name: reading.read(body, here) for name, reading in place.items()}
        return {name: value for name, value in read.items() if value is not NOTHING}
    return place.read(body, here)


def table_of(shape: type[Told], base: type[Table] = Table) -> type[Table]:
    """The table that says where the fields of a struct stand."""
    hints = get_type_hints(shape)
    places: dict[str, Any] = {
        field.name: (kind, ...) if field.required else (kind | None, None)
        for field in fields(shape)
        for kind in [_kind(hints[field.name])]
    }
    made = create_model(f"{shape.__name__}Table", __base__=base, **places)
    made.shape, made.needed = shape, frozenset(field.name for field in fields(shape) if field.required)
    return made


def _kind(hint: Any) -> Any:
    """What reads a field of that type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        (hint,) = (one for one in arguments if one is not NoneType)
        return _kind(hint)
    if origin is Literal:
        return TextReading
    if origin is tuple:
        inner = arguments[0]
        return table_of(inner, Listed) if isinstance(inner, type) and issubclass(inner, Told) else TextsReading
    if origin is not None:
        return dict[str, AnyReading]
    return table_of(hint) if issubclass(hint, Told) else _READINGS[hint]


def _texts(written: Any) -> Any:
    return [text_of(one) for one in (written if isinstance(written, list | tuple) else [written])]


def _path(text: str) -> str:
    parsed(text)
    return text


OrderTable, RefundTable, CustomerTable = table_of(Order), table_of(Refund), table_of(Customer)
ConsentTable, EventTable = table_of(Consented), table_of(Happened)
ErasedTable, MergedTable, RequestedTable = table_of(Erased), table_of(Merged), table_of(Requested)


class Topic(PluginSettings):
    """What a topic means: one event of ours, or several."""

    root: OnePath | None = Field(default=None, description="where all other paths begin; by default the whole body")
    when: dict[Annotated[str, AfterValidator(_path)], Annotated[tuple[str, ...], BeforeValidator(_texts)]] = Field(
        default={},
        description="path → what must stand there, one or several, or * for anything; other bodies are ignored",
    )
    order: OrderTable | None = None  # type: ignore[valid-type]
    refund: RefundTable | None = None  # type: ignore[valid-type]
    customer: CustomerTable | None = None  # type: ignore[valid-type]
    consent: ConsentTable | None = None  # type: ignore[valid-type]
    erased: ErasedTable | None = None  # type: ignore[valid-type]
    merged: MergedTable | None = None  # type: ignore[valid-type]
    requested: RequestedTable | None = None  # type: ignore[valid-type]
    event: EventTable | None = None  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _something(self) -> Topic:
        if not self.tables:
            raise ValueError(f"say what it becomes: a table {', '.join(TABLES)}")
        if len(self.tables) > 1 and any(getattr(self, name) is not None for name in DRASTIC):
            raise ValueError(f"what it becomes by {' or '.join(DRASTIC)} must be all that it becomes")
        return self

    @property
    def tables(self) -> list[Table]:
        return [table for name in TABLES if (table := getattr(self, name)) is not None]

    def read(self, body: Any) -> list[tuple[type[Told], dict[str, Any]]]:
        """What the body says in our JSON, each with its shape; raises MalformedPayload."""
        here = body
        if self.root is not None:
            here = next(iter(found(self.root, body, body)), None)
            if here is None:
                raise MalformedPayload(f"there is nothing at {self.root.text!r}, where the mapping begins")
        if not all(_fits(path, wanted, body, here) for path, wanted in self.when.items()):
            return []
        return [(table.shape, table.read(body, here)) for table in self.tables]


TABLES = ("customer", "order", "refund", "consent", "erased", "merged", "requested", "event")


class Mapped(PluginSettings):
    """Which topics there are, and what each means."""

    topic: OnePath | None = Field(default=None, description="where in the body the topic stands")
    topic_header: str = Field(
        default="", pattern=r"^([A-Za-z0-9-]{1,60})?$", description="or the header that names it; nobody signs it"
    )
    customer: OnePath | None = Field(
        default=None, description="where bodies name the customer that lead to no event, so that an erasure finds them"
    )
    topics: dict[str, Topic] = Field(
        min_length=1,
        description="what each topic means: by its name, or by a pattern such as order.*; the first that fits counts. * alone where "
        "nothing names topics",
    )

    @model_validator(mode="after")
    def _named(self) -> Mapped:
        if self.topic is not None and self.topic_header:
            raise ValueError("give topic or topic_header, not both")
        if self.topic is None and not self.topic_header and set(self.topics) != {EVERY_OTHER}:
            raise ValueError(
                f"say where the topic stands by topic or topic_header, or let topics have {EVERY_OTHER!r} alone"
            )
        return self

    @property
    def drastic(self) -> list[str]:
        """The topics that forget or move what is there."""
        return [name for name, topic in self.topics.items() if any(getattr(topic, of) is not None for of in DRASTIC)]

    def read(self, body: Any, told: str) -> list[tuple[type[Told], dict[str, Any]]]:
        """What the body says in our JSON; `told`: the topic that a header names. Raises MalformedPayload."""
        name = self._topic(body, told)
        fitting = (topic for pattern, topic in self.topics.items() if fnmatchcase(name, pattern))
        topic = self.topics.get(name) or next(fitting, None)
        return [] if topic is None else topic.read(body)

    def named(self, body: Any) -> str | None:
        """The customer whom a body names."""
        there = found(self.customer, body, body) if self.customer is not None else []
        return next((text_of(one) for one in there if not isinstance(one, dict | list)), None)

    def _topic(self, body: Any, told: str) -> str:
        if self.topic is None:
            return told if self.topic_header else EVERY_OTHER
        there = [one for one in found(self.topic, body, body) if not isinstance(one, dict | list)]
        if not there:
            raise MalformedPayload(f"there is no topic at {self.topic.text!r} (check mapping.topic)")
        return text_of(there[0])


def _fits(path: str, wanted: Collection[str], body: Any, here: Any) -> bool:
    there = found(parsed(path), body, here)
    if EVERY_OTHER in wanted:
        return bool(there)
    return any(text_of(one) in wanted for one in there if not isinstance(one, dict | list))
