"""The REST API of the simulated HubSpot: who may call what, how often, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from stampcard.testing.simulator import Tally
from stampcard_hubspot.simulated_batches import Answer
from stampcard_hubspot.simulated_bodies import Asked, number_of_inputs
from stampcard_hubspot.simulated_book import Writer
from stampcard_hubspot.simulated_errors import Refusal, answered, unreadable
from stampcard_hubspot.simulated_faults import Fault, Faults, Quota, failed
from stampcard_hubspot.simulated_routes import DATED, Route
from stampcard_hubspot.simulated_tokens import Token, Tokens

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Call:
    """One call that somebody with a good token made."""

    method: str
    path: str
    inputs: int


@dataclass(slots=True)
class Api:
    """Serves the routes to whoever has a token; `private` and `public` are the quotas of the two kinds of apps."""

    routes: Iterable[Route]
    tokens: Tokens
    faults: Faults
    private: Quota
    public: Quota
    tally: Tally
    writer: Writer
    calls: list[Call] = field(default_factory=list)

    def application(self) -> web.Application:
        server = web.Application(middlewares=[_unknown], client_max_size=8 * 1024 * 1024)
        for route in self.routes:
            server.router.add_route(route.method, route.path, self._guarded(route))
        for version in ("v1", "v3", DATED):
            server.router.add_post(f"/oauth/{version}/token", self._unguarded(self.tokens.token))
        server.router.add_get("/oauth/authorize", self._unguarded(self.tokens.authorize))
        return server

    def _guarded(self, route: Route) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            headers: dict[str, str] = {}
            try:
                token = self.tokens.known(request.headers.get("Authorization", ""))
                quota = self.public if token.ends else self.private
                asked = Asked(request.match_info, request.query, _parsed(await request.read()), self.writer)
                self.calls.append(Call(request.method, request.path, number_of_inputs(asked.body)))
                try:
                    quota.take(search=route.search)
                finally:
                    headers = {} if route.search else quota.headers(daily=not token.ends)
                answer, fault = self._worked(route, token, asked, request.path)
            except Refusal as refusal:
                self.tally.throttled += refusal.status == 429  # noqa: PLR2004 - too many requests
                return answered(refusal, headers)
            if fault is not None:
                return failed(fault, request, self.tally)
            status, body = answer
            if body is None:
                return web.Response(status=status, headers=headers)
            return web.json_response(body, status=status, headers=headers)

        return handle

    def _worked(self, route: Route, token: Token, asked: Asked, path: str) -> tuple[Answer, Fault | None]:
        """Check the scope; then fail, if it is to, before or after doing what is asked for."""
        if route.scope not in token.scopes:
            raise _lacking(route.scope)
        fault = self.faults.next(path)
        if fault is None or fault.done:
            return route.work(asked), fault
        return (fault.status, None), fault

    def _unguarded(self, handler: Callable[[web.Request], Awaitable[web.Response]]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            fault = self.faults.next(request.path)
            if fault is not None and not fault.done:
                return failed(fault, request, self.tally)
            try:
                done = await handler(request)
            except Refusal as refusal:
                return answered(refusal)
            return done if fault is None else failed(fault, request, self.tally)

        return handle


@web.middleware
async def _unknown(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed) as error:
        return answered(Refusal(error.status, "resource not found"))


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        raise unreadable("it is no JSON") from None


def _lacking(scope: str) -> Refusal:
    told = {"message": "One or more of the following scopes are required."}
    message = "This app hasn't been granted all required scopes to make this call."
    errors = [told | {"context": {"requiredGranularScopes": [scope]}}]
    return Refusal(403, message, "MISSING_SCOPES", errors=errors)
