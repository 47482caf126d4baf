"""The aiohttp application and its life on a socket."""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import hdrs, web

from stampcard.app import Application
from stampcard.errors import ConfigurationError
from stampcard.listening import Listening
from stampcard.settings.model import HttpSettings
from stampcard_webhooks.answering import add_answering
from stampcard_webhooks.api import add_api
from stampcard_webhooks.authorising import Authorising
from stampcard_webhooks.counter_pages import add_counter
from stampcard_webhooks.health import add_health
from stampcard_webhooks.identifying import Identifying
from stampcard_webhooks.joining import add_joining
from stampcard_webhooks.keys import APPLICATION, AUTHORISING, IDENTIFYING, WELLBEING
from stampcard_webhooks.links import add_links
from stampcard_webhooks.mine import add_mine
from stampcard_webhooks.pages import add_pages
from stampcard_webhooks.passes import add_passes
from stampcard_webhooks.problems import nothing, told
from stampcard_webhooks.receiving import receive, receiving
from stampcard_webhooks.shopping import add_shopping
from stampcard_webhooks.visiting import add_visiting
from stampcard_webhooks.wellbeing import Wellbeing

#: How long (seconds) requests under way may take when the server stops.
SHUTDOWN = 10.0


def build(application: Application) -> web.Application:
    """All routes over one running application."""
    server = web.Application(client_max_size=application.settings.http.max_body)
    server[APPLICATION] = application
    server[AUTHORISING] = Authorising(application)
    server[WELLBEING] = Wellbeing()
    server[IDENTIFYING] = Identifying(application)
    server.on_response_prepare.append(_secure)
    for name in application.connections:
        server.router.add_post(f"/webhooks/{name}", told(receiving(name)))
    server.router.add_post("/webhooks/{connection}", told(receive))
    add_health(server)
    add_api(server)
    add_shopping(server)
    add_pages(server)
    add_answering(server)
    add_mine(server)
    add_passes(server)
    add_joining(server)
    add_counter(server)
    add_links(server)
    add_visiting(server)
    server.router.add_route("*", "/{path:.*}", told(nothing))
    return server


async def _secure(_: web.Request, response: web.StreamResponse) -> None:
    """Nothing that we answer is to be guessed at or kept on the way, and what we run on is nobody's business."""
    headers = response.headers
    headers[hdrs.SERVER] = "stampcard"
    headers[hdrs.X_CONTENT_TYPE_OPTIONS] = "nosniff"
    headers.setdefault(hdrs.CACHE_CONTROL, "no-store")


def _unbound(http: HttpSettings, error: OSError) -> ConfigurationError:
    if error.errno == errno.EADDRINUSE:
        remedy = "Say another, such as STAMPCARD_HTTP__PORT=8081; for a demo --port 8081"
        return ConfigurationError("http.port", f"{http.port} is in use by another program", remedy)
    elsewhere = error.errno in {None, errno.EADDRNOTAVAIL} or isinstance(error, socket.gaierror)
    setting = "http.host" if elsewhere else "http.port"
    return ConfigurationError(setting, f"{http.host}:{http.port} cannot be opened: {error.strerror or error}")


@asynccontextmanager
async def serving(application: Application) -> AsyncIterator[str]:
    """Serve while the context lasts; yields the address that was bound. Raises ConfigurationError for one that cannot be."""
    http = application.settings.http
    try:
        listening = await Listening.at(build(application), http.host, http.port, patience=SHUTDOWN, backlog=1024)
    except OSError as error:
        raise _unbound(http, error) from None
    try:
        host, port = listening.address
        yield f"http://{host}:{port}"
    finally:
        await listening.end()
