"""The whole API: every route, and their description."""

from __future__ import annotations

from functools import cache

import msgspec
from aiohttp import web

from stampcard_webhooks import (
    alerts,
    backfills,
    campaigns,
    cards,
    carts,
    choosing,
    chronicling,
    connections,
    consents,
    contacts,
    counters,
    data_requests,
    deliveries,
    editing,
    events,
    explaining,
    holds,
    imports,
    links,
    members,
    memberships,
    merges,
    messages,
    openapi,
    orders,
    outgoing,
    parts,
    payments,
    perks,
    plans,
    plugging,
    points,
    portraying,
    programs,
    proofs,
    redemptions,
    rehearsing,
    reporting,
    rewards,
    segments,
    shopping,
    switches,
    tiers,
    tills,
    trying,
)
from stampcard_webhooks.problems import told
from stampcard_webhooks.routing import Route, add_routes

ROUTES: tuple[Route, ...] = (
    *members.ROUTES,
    *portraying.ROUTES,
    *chronicling.ROUTES,
    *editing.ROUTES,
    *points.ROUTES,
    *payments.ROUTES,
    *events.ROUTES,
    *links.ROUTES,
    *data_requests.ROUTES,
    *orders.ROUTES,
    *explaining.ROUTES,
    *trying.ROUTES,
    *rehearsing.ROUTES,
    *carts.ROUTES,
    *cards.ROUTES,
    *counters.ROUTES,
    *tills.ROUTES,
    *deliveries.ROUTES,
    *imports.ROUTES,
    *outgoing.ROUTES,
    *connections.ROUTES,
    *plugging.ROUTES,
    *backfills.ROUTES,
    *contacts.ROUTES,
    *programs.ROUTES,
    *parts.ROUTES,
    *switches.ROUTES,
    *alerts.ROUTES,
    *campaigns.ROUTES,
    *reporting.ROUTES,
    *rewards.ROUTES,
    *redemptions.ROUTES,
    *tiers.ROUTES,
    *holds.ROUTES,
    *memberships.ROUTES,
    *merges.ROUTES,
    *segments.ROUTES,
    *perks.ROUTES,
    *plans.ROUTES,
    *proofs.ROUTES,
    *consents.ROUTES,
    *messages.ROUTES,
    *choosing.ROUTES,
    *shopping.ROUTES,
)


def add_api(server: web.Application) -> None:
    """Add everything under /api/v1."""
    add_routes(server, ROUTES)
    server.router.add_route("GET", openapi.PATH, told(describe))


async def describe(_: web.Request) -> web.Response:
    """The OpenAPI document, for everybody."""
    return web.Response(body=_document(), content_type="application/json")


@cache
def _document() -> bytes:
    return msgspec.json.encode(openapi.document(ROUTES))
