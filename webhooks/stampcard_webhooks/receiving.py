"""Webhooks: verify the raw bytes, store them, answer; nothing else happens before the answer."""

from __future__ import annotations

import structlog
from aiohttp import web

from stampcard.app import Application
from stampcard.domain.deliveries import Delivery
from stampcard.errors import CannotVerify, InvalidSignature, Unavailable, place_of
from stampcard.host.connecting import Connection
from stampcard.plugin.requests import Reply, UnverifiedRequest, VerifiedRequest
from stampcard_webhooks.keys import APPLICATION
from stampcard_webhooks.problems import of_error, problem

log = structlog.get_logger()

_PLAIN = {"", "identity"}


async def receive(request: web.Request) -> web.StreamResponse:
    """POST /webhooks/{connection}: 200 only once the delivery is stored durably.

    401 for a signature that does not fit, 404 for an unknown connection, 413 and 415 for bodies we do not read, 503 with
    Retry-After when nothing can be promised now.
    """
    application = request.app[APPLICATION]
    name = request.match_info["connection"]
    connection = await application.find(name)
    if connection is None:
        return problem(404, f"there is no connection {name!r}")
    response, outcome = await _answer(application, connection, request)
    application.metrics.count_received(name, outcome)
    return response


async def _answer(application: Application, connection: Connection, request: web.Request) -> tuple[web.Response, str]:
    try:
        body = await _body(application, request)
        verified = _verify(application, connection, request, body)
        if isinstance(verified, Reply):
            reply = web.Response(body=verified.body, status=verified.status, content_type=verified.content_type)
            return reply, "replied"
        return web.Response(body=await _store(application, connection, verified)), "stored"
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
    if request.headers.get("Content-Encoding", "").strip().lower() not in _PLAIN:
        raise web.HTTPUnsupportedMediaType(text="send the body without a content encoding")
    try:
        if request.content_length is None or request.content_length <= most:
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        pass
    raise web.HTTPRequestEntityTooLarge(
        max_size=most, actual_size=most + 1, text=f"the body is larger than {most} bytes (http.max_body)"
    )


def _verify(
    application: Application, connection: Connection, request: web.Request, body: bytes
) -> VerifiedRequest | Reply:
    """What the plugin says of the bytes; whatever it raises beyond its contract means that it cannot tell."""
    if connection.capabilities is None or connection.capabilities.webhook is None:
        raise CannotVerify(f"the connection {connection.name} is not ready")
    unverified = UnverifiedRequest(
        url=application.public_url + request.path_qs,
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        received_at=application.clock.now(),
    )
    try:
        return connection.capabilities.webhook.verify(unverified)
    except (InvalidSignature, CannotVerify):
        raise
    except Exception as error:
        log.error("verify_failed", connection=connection.name, error=place_of(error))
        raise CannotVerify(f"the plugin of {connection.name} failed") from error


async def _store(application: Application, connection: Connection, verified: VerifiedRequest) -> bytes:
    assert connection.capabilities is not None
    webhook = connection.capabilities.webhook
    assert webhook is not None
    await application.receive(
        Delivery(
            connection=connection.name,
            key=webhook.delivery_key(verified),
            topic=verified.topic,
            body=verified.body,
            received_at=application.clock.now(),
            headers=verified.headers,
        )
    )
    return webhook.ack
