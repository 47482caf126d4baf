"""Webhooks: verify the raw bytes, store them, answer; nothing else happens before the answer."""

from __future__ import annotations

from datetime import datetime

import structlog
from aiohttp import hdrs, web

from stampcard.app import Application
from stampcard.domain.deliveries import Delivery
from stampcard.errors import CannotVerify, InvalidSignature, Unavailable, place_of
from stampcard.host.connecting import Connection
from stampcard.plugin.requests import Reply, UnverifiedRequest, VerifiedRequest
from stampcard_webhooks.keys import APPLICATION
from stampcard_webhooks.problems import Handler, of_error, problem

log = structlog.get_logger()

_PLAIN = {"", "identity"}


def receiving(name: str) -> Handler:
    """POST /webhooks/{name} of a connection that is known: a route of its own is found sooner than one with a pattern.

    200 only once the delivery is stored durably; 401 for a signature that does not fit, 413 and 415 for bodies we do not
    read, 503 with Retry-After when nothing can be promised now.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        return await _receive(request, name)

    return handle


async def receive(request: web.Request) -> web.StreamResponse:
    """POST /webhooks/{connection} of whichever connection: 404 where it is unknown."""
    return await _receive(request, request.match_info["connection"])


async def _receive(request: web.Request, name: str) -> web.StreamResponse:
    application = request.app[APPLICATION]
    connection = application.connections.get(name) or await application.find(name)
    if connection is None:
        return problem(404, f"there is no connection {name!r}")
    response, outcome = await _answer(application, connection, request)
    application.metrics.count_received(name, outcome)
    return response


async def _answer(application: Application, connection: Connection, request: web.Request) -> tuple[web.Response, str]:
    try:
        body = await _body(application, request)
        received_at = application.clock.now()
        verified = _verify(application, connection, request, body, received_at)
        if isinstance(verified, Reply):
            reply = web.Response(body=verified.body, status=verified.status, content_type=verified.content_type)
            return reply, "replied"
        await store(application, connection, verified, received_at)
        return _acknowledged(connection), "stored"
    except web.HTTPException as error:
        return problem(error.status, error.text or ""), "body"
    except InvalidSignature as error:
        log.info("webhook_refused", connection=connection.name, reason=str(error))
        return problem(401, error.reason), "signature"
    except (CannotVerify, Unavailable) as error:
        log.warning("webhook_postponed", connection=connection.name, reason=str(error))
        return of_error(error), "postponed"


async def _body(application: Application, request: web.Request) -> bytes:
    """The raw bytes; raises 413 for more than we read, as soon as that is known, and 415 for what is packed."""
    most = application.settings.http.max_body
    encoding = request.headers.get(hdrs.CONTENT_ENCODING)
    if encoding is not None and encoding.strip().lower() not in _PLAIN:
        raise web.HTTPUnsupportedMediaType(text="send the body without a content encoding")
    length = request.content_length
    try:
        if length is None or length <= most:
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        pass
    raise web.HTTPRequestEntityTooLarge(
        max_size=most, actual_size=most + 1, text=f"the body is larger than {most} bytes (http.max_body)"
    )


def _verify(
    application: Application, connection: Connection, request: web.Request, body: bytes, received_at: datetime
) -> VerifiedRequest | Reply:
    """What the plugin says of the bytes; whatever it raises beyond its contract means that it cannot tell."""
    if connection.capabilities is None or connection.capabilities.webhook is None:
        raise CannotVerify(f"the connection {connection.name} is not ready")
    unverified = UnverifiedRequest(
        url=application.public_url + request.path_qs,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        received_at=received_at,
    )
    try:
        return connection.capabilities.webhook.verify(unverified)
    except (InvalidSignature, CannotVerify):
        raise
    except Exception as error:
        log.error("verify_failed", connection=connection.name, error=place_of(error))
        raise CannotVerify(f"the plugin of {connection.name} failed") from error


def _acknowledged(connection: Connection) -> web.Response:
    assert connection.capabilities is not None
    webhook = connection.capabilities.webhook
    assert webhook is not None
    return web.Response(body=webhook.ack, headers={hdrs.CONTENT_TYPE: webhook.ack_type} if webhook.ack_type else None)


async def store(
    application: Application, connection: Connection, verified: VerifiedRequest, received_at: datetime
) -> None:
    """Store what a plugin vouches for; returns once it is committed, raises Unavailable otherwise."""
    assert connection.capabilities is not None
    webhook = connection.capabilities.webhook
    assert webhook is not None
    await application.receive(
        Delivery(
            connection=connection.name,
            key=webhook.delivery_key(verified),
            topic=verified.topic,
            body=verified.body,
            received_at=received_at,
            headers=verified.headers,
        )
    )
