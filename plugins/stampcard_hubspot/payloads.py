"""The parts of HubSpot's payloads that we read; other fields are ignored."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Raw, Struct

Id = Annotated[int, Meta(ge=1, lt=2**63 - 1)]
IdText = Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,18}$")]
#: Milliseconds since 1970, within the calendar.
Millis = Annotated[int, Meta(ge=0, lt=253_402_300_800_000)]


class Payload(Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class Notice(Payload, frozen=True):
    """One thing that happened, in a webhook; its type stands under either name."""

    subscription_type: str | None = None
    event_type: str | None = None
    portal_id: Id | None = None
    object_id: Id | None = None
    object_type_id: str | None = None
    event_id: int | str | None = None
    occurred_at: Millis | None = None
    property_name: str | None = None
    change_source: str | None = None
    source_id: int | str | None = None
    primary_object_id: Id | None = None
    merged_object_ids: tuple[Id, ...] = ()
    new_object_id: Id | None = None

    @property
    def type(self) -> str:
        return self.subscription_type or self.event_type or ""


class Record(Payload, frozen=True):
    """A contact as the API gives it; what it has no value for is null."""

    id: IdText
    properties: dict[str, str | None]
    updated_at: str | None = None


class Gone(Payload, frozen=True):
    """What we note ourselves of a contact that is not there any more."""

    gone: IdText


class Trouble(Payload, frozen=True):
    """An error of a whole call, or of one input of a batch. Any of it may be missing, and its message may quote anybody."""

    category: Any = ""
    sub_category: Any = ""
    message: Any = ""
    policy_name: Any = ""
    context: Any = None
    errors: Any = None


class Next(Payload, frozen=True):
    after: str


class Paging(Payload, frozen=True):
    next: Next | None = None


class Paged(Payload, frozen=True, kw_only=True):
    """One page of something."""

    paging: Paging | None = None

    @property
    def after(self) -> str:
        """Where to go on; empty if this was all."""
        return self.paging.next.after if self.paging is not None and self.paging.next is not None else ""


class Found(Paged, frozen=True, kw_only=True):
    """Contacts that were asked for."""

    results: tuple[Raw, ...]
    errors: tuple[Trouble, ...] = ()
    total: int | None = None


class Written(Payload, frozen=True):
    """A contact as it is after a write."""

    id: IdText
    properties: dict[str, str | None] = {}
    updated_at: str | None = None
    object_write_trace_id: str | None = None


class WrittenAll(Payload, frozen=True):
    results: tuple[Written, ...]
    errors: tuple[Trouble, ...] = ()


class Metadata(Payload, frozen=True):
    read_only_value: bool = False


class Property(Payload, frozen=True):
    """What kind of thing a property is."""

    name: str
    type: str
    has_unique_value: bool | None = None
    modification_metadata: Metadata | None = None


class Properties(Payload, frozen=True):
    results: tuple[Property, ...]


class ListHead(Payload, frozen=True):
    list_id: IdText
    processing_type: str = ""


class Listed(Payload, frozen=True):
    list: ListHead


class Membership(Payload, frozen=True):
    record_id: IdText


class Memberships(Paged, frozen=True, kw_only=True):
    results: tuple[Membership, ...]


class Account(Payload, frozen=True):
    portal_id: Id


class Anything(Payload, frozen=True):
    """A body that is an object: which of ours it is."""

    gone: Any = None
    properties: Any = None
