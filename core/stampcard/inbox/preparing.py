"""From a stored row to our own events, without a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import Row

from stampcard.applying.deliveries import Prepared
from stampcard.applying.unit import Sourced
from stampcard.domain.events import Refetch
from stampcard.errors import MalformedPayload
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
    delivery = delivery_of(row, sealer)
    prepared = Prepared(delivery=row.id, connection=row.connection, source=source)
    if delivery is None:
        return _refused(prepared, "body_deleted", "the body was deleted after its time of keeping, or by an erasure")
    webhook = connection.capabilities.webhook if connection and connection.capabilities else None
    if webhook is None:
        reason = connection.problem if connection else f"there is no connection {row.connection!r} any more"
        return _refused(prepared, "connection_unusable", reason)
    try:
        found = list(webhook.events(delivery))
    except MalformedPayload as error:
        return _refused(prepared, "malformed", str(error))
    except Exception as error:
        log.exception("decoding_failed", connection=row.connection, delivery=row.id, topic=row.topic)
        return _refused(prepared, "decoder_failed", f"{type(error).__name__} while decoding {row.topic!r}")
    return _sourced(prepared, found, row, delivery.received_at)


def _refused(prepared: Prepared, code: str, detail: str) -> Prepared:
    return Prepared(
        delivery=prepared.delivery, connection=prepared.connection, source=prepared.source, refusal=(code, detail)
    )


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
