from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from stampcard.plugin import (
    ContactGone,
    CustomerErased,
    CustomersMerged,
    Delivery,
    Event,
    InvalidSignature,
    MalformedPayload,
    Refetch,
    UnverifiedRequest,
    VerifiedRequest,
    WebhookSource,
)
from stampcard_hubspot.decoding import contact_of, read
from stampcard_hubspot.payloads import Anything, Gone, Notice, Record
from stampcard_hubspot.reading import CONTACT, VANISHED
from stampcard_hubspot.settings import ContactMap
from stampcard_hubspot.signing import check

if TYPE_CHECKING:
    from stampcard_hubspot.settings import HubSpotSettings

#: The topic of a webhook that tells of several kinds of things; HubSpot's headers name none.
EVENTS = "events"
#: What happens to contacts, by either family of names, and what it means.
_VERBS = ("creation", "propertyChange", "restore", "deletion", "privacyDeletion", "merge")
CONTACTS = "0-1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOTICES: Mapping[str, str] = {f"{family}.{verb}": verb for family in ("contact", "object") for verb in _VERBS}
TOPICS = (*NOTICES, EVENTS, CONTACT, VANISHED)


class HubSpotWebhooks(WebhookSource):
    """HubSpot's webhooks: up to 100 notices at once, which say what happened, but hardly what is now: that is read then."""

    def __init__(self, settings: HubSpotSettings) -> None:
        self._settings, self._fields = settings, ContactMap(settings)
        self._secrets = [secret.get_secret_value().encode() for secret in settings.webhook_secrets]

    def verify(self, request: UnverifiedRequest) -> VerifiedRequest:
        if not request.body:
            raise InvalidSignature("the body is empty")
        check(self._secrets, request)
        return self.unchecked(request)

    def unchecked(self, request: UnverifiedRequest) -> VerifiedRequest:
        return VerifiedRequest(topic=_topic(request.body), body=request.body)

    def delivery_key(self, request: VerifiedRequest) -> str:
        """Made of what a notice is about: HubSpot's numbers of events are not unique, and a redelivery counts its attempts."""
        try:
            told = [_composite(notice) for notice in read(request.body, tuple[Notice, ...])]
        except MalformedPayload:
            return hashlib.sha256(request.body).hexdigest()
        return hashlib.sha256(msgspec.json.encode(told)).hexdigest()

    def events(self, delivery: Delivery) -> Iterable[Event | Refetch]:
        if delivery.topic in {CONTACT, VANISHED}:
            # A webhook may hold anything; only what we read ourselves has a time of reading.
            return tuple(self._read(delivery)) if delivery.read_at else ()
        if delivery.topic != EVENTS and delivery.topic not in NOTICES:
            return ()
        return tuple(self._told(read(delivery.body, tuple[Notice, ...]), delivery.received_at))

    def subject(self, delivery: Delivery) -> str | None:
        try:
            if delivery.topic == CONTACT:
                return read(delivery.body, Record).id
            if delivery.topic == VANISHED:
                return read(delivery.body, Gone).gone
            ids = {notice.object_id for notice in read(delivery.body, tuple[Notice, ...])}
        except MalformedPayload:
            return None
        return str(next(iter(ids))) if len(ids) == 1 and None not in ids else None

    def _read(self, delivery: Delivery) -> Iterator[Event]:
        if delivery.topic == CONTACT:
            yield contact_of(delivery, self._fields)
        else:
            yield ContactGone(reference=read(delivery.body, Gone).gone, occurred_at=delivery.received_at)

    def _told(self, notices: Sequence[Notice], received_at: datetime) -> Iterator[Event | Refetch]:
        """What the notices mean, in the order in which it happened; what is to be read is read once, and last."""
        batch = _Batch(received_at)
        for notice in sorted(filter(self._counts, notices), key=lambda notice: notice.occurred_at or 0):
            MEANINGS[NOTICES[notice.type]](notice, batch)
        yield from batch.events
        yield from (Refetch(kind="contact", reference=reference) for reference in batch.due)

    def _counts(self, notice: Notice) -> bool:
        """Whether a notice is of this account, of a contact, and of something that is read."""
        if notice.portal_id != self._settings.portal_id or notice.object_id is None or notice.type not in NOTICES:
            return False
        if notice.type.startswith("object.") and notice.object_type_id != CONTACTS:
            return False
        return NOTICES[notice.type] not in {"creation", "propertyChange"} or not self._is_idle(notice)

    def _is_idle(self, notice: Notice) -> bool:
        """Whether we wrote it ourselves, or it is about a property that means nothing here."""
        app = self._settings.app_id
        ours = app is not None and str(notice.source_id) == str(app) and notice.change_source == "INTEGRATION"
        is_watched = NOTICES[notice.type] == "creation" or notice.property_name in self._fields.watched
        return ours or not is_watched


class _Batch:
    """What a webhook comes to: events, and contacts to be read."""

    def __init__(self, received_at: datetime) -> None:
        self.events: list[Event] = []
        self.due: dict[str, None] = {}
        self._received_at = received_at

    def at(self, notice: Notice) -> datetime:
        """When it happened, as far as it can be true."""
        if notice.occurred_at is None:
            return self._received_at
        return min(_EPOCH + timedelta(milliseconds=notice.occurred_at), self._received_at)


def _changed(notice: Notice, batch: _Batch) -> None:
    batch.due[str(notice.object_id)] = None


def _deleted(notice: Notice, batch: _Batch) -> None:
    reference = str(notice.object_id)
    batch.due.pop(reference, None)
    batch.events.append(ContactGone(reference=reference, occurred_at=batch.at(notice)))


def _erased(notice: Notice, batch: _Batch) -> None:
    reference = str(notice.object_id)
    batch.due.pop(reference, None)
    batch.events.append(CustomerErased(reference=reference, occurred_at=batch.at(notice)))


def _merged(notice: Notice, batch: _Batch) -> None:
    """All become one, which may have a number of its own since 2025."""
    kept = notice.new_object_id or notice.primary_object_id or notice.object_id
    for gone in dict.fromkeys((notice.primary_object_id, *notice.merged_object_ids, notice.object_id)):
        if gone is not None and gone != kept:
            batch.due.pop(str(gone), None)
            batch.events.append(CustomersMerged(kept=str(kept), gone=str(gone), occurred_at=batch.at(notice)))
    batch.due[str(kept)] = None


MEANINGS: Mapping[str, Callable[[Notice, _Batch], None]] = {
    "creation": _changed,
    "propertyChange": _changed,
    "restore": _changed,
    "deletion": _deleted,
    "privacyDeletion": _erased,
    "merge": _merged,
}


def _topic(body: bytes) -> str:
    """What a body is about, as it says itself."""
    try:
        kinds = {notice.type for notice in read(body, tuple[Notice, ...])}
    except MalformedPayload:
        return _topic_of_object(body)
    known = next(iter(kinds)) if len(kinds) == 1 else EVENTS
    return known if known in NOTICES else EVENTS


def _topic_of_object(body: bytes) -> str:
    try:
        told = read(body, Anything)
    except MalformedPayload:
        return EVENTS
    return VANISHED if told.gone is not None else CONTACT if told.properties is not None else EVENTS


def _composite(notice: Notice) -> tuple[int | str | None, ...]:
    about = (notice.portal_id, notice.type, notice.object_id, notice.event_id, notice.occurred_at)
    return (*about, notice.property_name)
