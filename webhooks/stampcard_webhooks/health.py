"""Health for machines: /livez, /readyz, /metrics; and the proof that an address leads to this installation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
from aiohttp import web
from prometheus_client import generate_latest
from sqlalchemy import text

from stampcard.app import Application
from stampcard.errors import Unavailable
from stampcard.storage import migrating
from stampcard_webhooks.examining import Finding, examine
from stampcard_webhooks.keys import APPLICATION, AUTHORISING
from stampcard_webhooks.problems import problem, told

#: A loop that has not ticked for so long is stuck.
STUCK = timedelta(seconds=30)


def add_health(server: web.Application) -> None:
    """Add the routes."""
    server.router.add_get("/livez", told(livez))
    server.router.add_get("/readyz", told(readyz))
    server.router.add_get("/metrics", told(metrics))
    # Below what a proxy lets through in any case; no connection can have this name.
    server.router.add_get("/webhooks/-/{challenge:[0-9a-f]{32}}", told(challenged))


async def livez(_: web.Request) -> web.Response:
    """The event loop answers; nothing else is asked."""
    return web.json_response({"status": "ok"})


async def challenged(request: web.Request) -> web.Response:
    """What only this installation can answer: `stampcard doctor` asks it from outside."""
    setting = request.app[APPLICATION].setting
    return web.json_response({"answer": setting.sealer.answer(f"{setting.merchant}:{request.match_info['challenge']}")})


async def readyz(request: web.Request) -> web.Response:
    """Whether work can be taken: the database answers, has our shape, and the loops tick. A vendor's trouble is not ours.

    With `verbose`, and a key that may, everything else that somebody should look at.
    """
    application = request.app[APPLICATION]
    more: dict[str, Any] = {}
    if "verbose" in request.query:
        key = await request.app[AUTHORISING].authorise(request, "health:read")
        checks = await check(application)
        found = [Finding(name=name, ok=not wrong, detail=wrong) for name, wrong in checks.items()]
        if key.merchant == application.setting.merchant and not checks["database"]:
            found += await examine(application)
        more = {"checks": [msgspec.structs.asdict(one) for one in found]}
    else:
        checks = await check(application)
    failed = [name for name, wrong in checks.items() if wrong]
    if failed:
        return problem(503, f"not ready: {', '.join(failed)}", headers={"Retry-After": "5"}, **more)
    return web.json_response({"status": "ok", **more})


async def check(application: Application) -> dict[str, str]:
    """Check → what is wrong with it, empty when nothing is."""
    checks = {"database": "", "migrations": "", "timers": ""}
    try:
        await application.database.read(lambda connection: connection.execute(text("SELECT 1")))
        found = await application.database.read(migrating.current)
        if found != migrating.head():
            checks["migrations"] = f"shape {found}, needed {migrating.head()}"
    except Unavailable as error:
        checks["database"] = str(error)
    ticked = application.timer.ticked_at
    if ticked is None or application.clock.now() - ticked > STUCK:
        checks["timers"] = "the timers have not ticked lately"
    return checks


async def metrics(request: web.Request) -> web.Response:
    """Everything counted, as Prometheus reads it."""
    application = request.app[APPLICATION]
    await application.measure()
    return web.Response(body=generate_latest(application.metrics.registry), content_type="text/plain", charset="utf-8")
