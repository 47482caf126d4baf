"""From a stored row to our own events, without a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import structlog
from sqlalchemy import Row

from stampcard.applying.deliveries import Prepared
from stampcard.applying.resolving import customer_of
from stampcard.applying.unit import Sourced
from stampcard.domain.commands import OWN
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import Event, Own, Refetch, plain_numbers
from stampcard.domain.value import replace
from stampcard.errors import ConfigurationError, MalformedPayload, place_of
from stampcard.host.connecting import Connection
from stampcard.plugin.capabilities import WebhookSource
from stampcard.sealing import Sealer
from stampcard.storage.inboxing import delivery_of

log = structlog.get_logger()
_OWN = msgspec.json.Decoder(Own)


def prepare(
    claimed: Iterable[Row[Any]], connections: Mapping[str, Connection], sources: Mapping[str, str], sealer: Sealer
) -> list[Prepared]:
    """Decode claimed rows; what cannot be understood carries its reason instead of events.

    `sources`: connection → the connection that owns the references it reports, where that is another one.
    """
    return [
        _prepare(row, connections.get(row.connection), sources.get(row.connection, row.connection), sealer)
        for row in claimed
    ]


def _prepare(row: Row[Any], connection: Connection | None, source: str, sealer: Sealer) -> Prepared:
    prepared = Prepared(delivery=row.id, connection=row.connection, source=source, past=bool(row.past))
    if connection is not None and connection.capabilities is None:
        return replace(prepared, waits_for=f"connection {row.connection!r}: {connection.problem}")
    webhook = connection.capabilities.webhook if connection and connection.capabilities else None
    delivery: Delivery | None = None
    try:
        delivery = delivery_of(row, sealer)
        if delivery is None:
            detail = "the body was deleted after its time of keeping, or by an erasure"
            return replace(prepared, refusal=("body_deleted", detail))
        prepared = _sourced(prepared, _events(delivery, webhook), row, delivery.received_at)
    except ConfigurationError as error:
        prepared = replace(prepared, refusal=("unreadable", str(error)))
    except MalformedPayload as error:
        prepared = replace(prepared, refusal=("malformed", str(error)))
    except Exception as error:  # noqa: BLE001 - a plugin's mistake is its own
        log.error("decoding_failed", connection=row.connection, delivery=row.id, error=place_of(error))
        refusal = ("decoder_failed", f"{type(error).__name__} while decoding {row.topic!r}")
        prepared = replace(prepared, refusal=refusal)
    if delivery is None or webhook is None or any(customer_of(sourced) for sourced in prepared.events):
        return prepared
    return replace(prepared, subject=_subject(delivery, webhook, row))


def _events(delivery: Delivery, webhook: WebhookSource | None) -> list[Event | Refetch]:
    if delivery.connection == OWN:
        return [_OWN.decode(delivery.body)]
    if webhook is None:
        raise MalformedPayload(f"there is no connection {delivery.connection!r} any more that takes webhooks")
    return list(webhook.events(delivery))


def _subject(delivery: Delivery, webhook: WebhookSource, row: Row[Any]) -> str | None:
    """Whom a body tells about that names no customer in an event; a plugin that fails to tell stops nothing."""
    try:
        subject = webhook.subject(delivery)
        if subject:
            subject.encode()  # what is no text can have no fingerprint
    except Exception as error:  # noqa: BLE001 - a plugin's mistake is its own
        log.error("subject_failed", connection=row.connection, delivery=row.id, error=place_of(error))
        return None
    return subject or None


def _sourced(prepared: Prepared, found: Sequence[Any], row: Row[Any], received_at: Any) -> Prepared:
    return replace(
        prepared,
        events=tuple(
            Sourced(
                event=plain_numbers(event),
                connection=prepared.connection,
                source=prepared.source,
                received_at=received_at,
                delivery=row.id,
                past=prepared.past,
            )
            for event in found
            if not isinstance(event, Refetch)
        ),
        refetches=tuple(event for event in found if isinstance(event, Refetch)),
    )
