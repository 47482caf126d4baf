"""The whole API: every route, and their description."""

from __future__ import annotations

from aiohttp import web

from stampcard_webhooks import editing, events, members, points
from stampcard_webhooks.routing import Route, add_routes

ROUTES: tuple[Route, ...] = (
    *members.ROUTES,
    *editing.ROUTES,
    *points.ROUTES,
    *events.ROUTES,
)


def add_api(server: web.Application) -> None:
    """Add everything under /api/v1."""
    add_routes(server, ROUTES)
