"""The addresses that a connection's plugin has for itself: a vendor's installation flow, say, which browsers walk through."""

from __future__ import annotations

from http import HTTPStatus

import structlog
from aiohttp import hdrs, web

from stampcard.errors import CannotVerify, InvalidSignature, MalformedPayload, PluginError, place_of
from stampcard.plugin.rates import Rate
from stampcard.plugin.requests import Reply, Route, UnverifiedRequest
from stampcard_webhooks.keys import APPLICATION, IDENTIFYING
from stampcard_webhooks.problems import Refused, told

log = structlog.get_logger()

PATH = "/connections/{connection}/{path}"
#: The largest body that is read, in bytes.
MOST = 64 * 1024
#: Requests from one address.
VISITS = Rate(per_second=0.5, burst=20)


def add_visiting(server: web.Application) -> None:
    """The routes of all connections, also of those that are added later."""
    for method in ("GET", "POST"):
        server.router.add_route(method, PATH, told(visit))


async def visit(request: web.Request) -> web.StreamResponse:
    """Let the plugin answer; whatever it raises beyond its contract is told to the log alone."""
    name, application = request.match_info["connection"], request.app[APPLICATION]
    request.app[IDENTIFYING].pace_visitor("visits", request, VISITS)
    connection = application.connections.get(name) or await application.find(name)
    routes = connection.capabilities.routes if connection is not None and connection.capabilities is not None else ()
    route = _route(routes, request.method, request.match_info["path"])
    unverified = UnverifiedRequest(
        url=application.public_url + request.raw_path,
        headers={header.lower(): value for header, value in request.headers.items()},
        body=await _body(request),
        received_at=application.clock.now(),
    )
    try:
        reply = await route.handler(unverified)
        if reply.resumes:
            await application.resume(name)
        return _response(reply)
    except InvalidSignature as error:
        log.info("visit_refused", connection=name, path=route.path, reason=str(error))
        raise Refused(401, error.reason, code="not_recognised") from None
    except MalformedPayload as error:
        raise Refused(400, str(error), code="malformed") from None
    except (PluginError, CannotVerify) as error:
        log.warning("visit_failed", connection=name, path=route.path, reason=str(error))
        raise Refused(503, str(error), code="not_now") from None
    except Exception as error:
        log.error("visit_failed", connection=name, path=route.path, error=place_of(error))
        raise Refused(503, "the plugin failed; the log has the details", code="not_now") from error


def _route(routes: tuple[Route, ...], method: str, path: str) -> Route:
    fitting = [route for route in routes if route.path == path]
    for route in fitting:
        if route.method == method:
            return route
    if fitting:
        raise Refused(405, "", headers={hdrs.ALLOW: ", ".join(sorted(route.method for route in fitting))})
    raise Refused(404, "")


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
    if reply.location:
        headers[hdrs.LOCATION] = reply.location
    status = HTTPStatus(reply.status)
    return web.Response(body=reply.body, status=status, content_type=reply.content_type, headers=headers)
