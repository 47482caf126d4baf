"""From a stored row to our own events, without a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import Row

from stampcard.applying.deliveries import Prepared
from stampcard.applying.unit import Sourced
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import Event, Refetch
from stampcard.domain.value import replace
from stampcard.errors import ConfigurationError, MalformedPayload, place_of
from stampcard.host.connecting import Connection
from stampcard.sealing import Sealer
from stampcard.storage.inboxing import delivery_of

log = structlog.get_logger()


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
    prepared = Prepared(delivery=row.id, connection=row.connection, source=source)
    if connection is not None and connection.capabilities is None:
        return replace(prepared, waits_for=f"connection {row.connection!r}: {connection.problem}")
    try:
        delivery = delivery_of(row, sealer)
        if delivery is None:
            detail = "the body was deleted after its time of keeping, or by an erasure"
            return replace(prepared, refusal=("body_deleted", detail))
        return _sourced(prepared, _events(delivery, connection), row, delivery.received_at)
    except ConfigurationError as error:
        refusal = ("unreadable", str(error))
    except MalformedPayload as error:
        refusal = ("malformed", str(error))
    except Exception as error:  # noqa: BLE001 - a plugin's mistake is its own
        log.error("decoding_failed", connection=row.connection, delivery=row.id, error=place_of(error))
        refusal = ("decoder_failed", f"{type(error).__name__} while decoding {row.topic!r}")
    return replace(prepared, refusal=refusal)


def _events(delivery: Delivery, connection: Connection | None) -> list[Event | Refetch]:
    webhook = connection.capabilities.webhook if connection and connection.capabilities else None
    if webhook is None:
        raise MalformedPayload(f"there is no connection {delivery.connection!r} any more that takes webhooks")
    return list(webhook.events(delivery))


def _sourced(prepared: Prepared, found: Sequence[Any], row: Row[Any], received_at: Any) -> Prepared:
    return Prepared(
        delivery=prepared.delivery,
        connection=prepared.connection,
        source=prepared.source,
        events=tuple(
            Sourced(
                event=event,
                connection=prepared.connection,
                source=prepared.source,
                received_at=received_at,
                delivery=row.id,
            )
            for event in found
            if not isinstance(event, Refetch)
        ),
        refetches=tuple(event for event in found if isinstance(event, Refetch)),
    )
