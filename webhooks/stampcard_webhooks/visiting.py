"""The addresses that a connection's plugin has for itself: a vendor's installation flow, say, which browsers walk through."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import structlog
from aiohttp import hdrs, web

from stampcard.errors import CannotVerify, InvalidSignature, MalformedPayload, PluginError, Unavailable, place_of
from stampcard.plugin.rates import Rate
from stampcard.plugin.requests import METHODS, REPLY_HEADERS, Reply, Route, UnverifiedRequest
from stampcard_webhooks.keys import APPLICATION, IDENTIFYING
from stampcard_webhooks.problems import Refused, told
from stampcard_webhooks.receiving import store

log = structlog.get_logger()

PATH = "/connections/{connection}/{path:.+}"
#: The largest body that is read, in bytes.
MOST = 64 * 1024
#: Requests from one address.
VISITS = Rate(per_second=0.5, burst=20)


def add_visiting(server: web.Application) -> None:
    """The routes of all connections, also of those that are added later."""
    for method in METHODS:
        server.router.add_route(method, PATH, told(visit))


async def visit(request: web.Request) -> web.StreamResponse:
    """Let the plugin answer; whatever it raises beyond its contract is told to the log alone."""
    name, application = request.match_info["connection"], request.app[APPLICATION]
    request.app[IDENTIFYING].pace_visitor("visits", request, VISITS)
    connection = application.connections.get(name) or await application.find(name)
    routes = connection.capabilities.routes if connection is not None and connection.capabilities is not None else ()
    route, parts = _route(routes, request.method, request.match_info["path"])
    unverified = UnverifiedRequest(
        url=application.public_url + request.raw_path,
        headers={header.lower(): value for header, value in request.headers.items()},
        body=await _body(request),
        received_at=application.clock.now(),
        path=parts,
    )
    try:
        reply = await route.handler(unverified)
        if reply.stores is not None and connection is not None:
            await store(application, connection, reply.stores, unverified.received_at)
        if reply.resumes:
            await application.resume(name)
        return _response(reply)
    except InvalidSignature as error:
        log.info("visit_refused", connection=name, path=route.path, reason=str(error))
        raise Refused(401, error.reason, code="not_recognised") from None
    except MalformedPayload as error:
        raise Refused(400, str(error), code="malformed") from None
    except (PluginError, CannotVerify, Unavailable) as error:
        log.warning("visit_failed", connection=name, path=route.path, reason=str(error))
        raise Refused(503, str(error), code="not_now") from None
    except Exception as error:
        log.error("visit_failed", connection=name, path=route.path, error=place_of(error))
        raise Refused(503, "the plugin failed; the log has the details", code="not_now") from error


def _route(routes: tuple[Route, ...], method: str, path: str) -> tuple[Route, Mapping[str, str]]:
    """The route for a path with what stands in its open parts; one that names more of the path comes first."""
    fitting = [(route, parts) for route in routes if (parts := _parts(route, path)) is not None]
    for route, parts in sorted(fitting, key=lambda one: len(one[1])):
        if route.method == method:
            return route, parts
    if fitting:
        raise Refused(405, "", headers={hdrs.ALLOW: ", ".join(sorted({route.method for route, _ in fitting}))})
    raise Refused(404, "")


def _parts(route: Route, path: str) -> dict[str, str] | None:
    """What stands in the open parts of a route's path; None for another path."""
    wanted, given = route.path.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    found = {name[1:-1]: text for name, text in zip(wanted, given, strict=True) if name.startswith("{")}
    fits = all(name.startswith("{") or name == text for name, text in zip(wanted, given, strict=True))
    return found if fits and all(found.values()) else None


async def _body(request: web.Request) -> bytes:
    if (request.content_length or 0) > MOST:
        raise Refused(413, f"the body is larger than {MOST} bytes")
    body = b""
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MOST:
            raise Refused(413, f"the body is larger than {MOST} bytes")
    return body


def _response(reply: Reply) -> web.Response:
    """The plugin's answer, in which nothing runs and which no stranger's page shows."""
    frames = " ".join(reply.frames) or "'none'"
    headers = {
        "Content-Security-Policy": f"default-src 'none'; form-action 'none'; frame-ancestors {frames}",
        "Referrer-Policy": "no-referrer",
    }
    headers |= {name: value for name, value in reply.headers.items() if name.lower() in REPLY_HEADERS}
    if reply.location:
        headers[hdrs.LOCATION] = reply.location
    status = HTTPStatus(reply.status)
    if status in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
        return web.Response(status=status, headers=headers)
    return web.Response(body=reply.body, status=status, content_type=reply.content_type, headers=headers)
