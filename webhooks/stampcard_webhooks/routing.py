"""The route table of the API: each route says what it takes, what it gives and which scope it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import msgspec
from aiohttp import web
from pydantic import BaseModel
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from stampcard.app import Application
from stampcard.applying.requests import Answer, Once, Show, Work, answer, stored
from stampcard.applying.setting import Setting, Stale
from stampcard.errors import NotFound
from stampcard.storage.keys import ApiKey
from stampcard_webhooks.asking import MAX_BODY, Nothing, Query, body_of, once_of, query_of
from stampcard_webhooks.keys import APPLICATION, AUTHORISING
from stampcard_webhooks.problems import Refused, told

PREFIX = "/api/v1"
CSV = "text/csv"

T = TypeVar("T")
Q = TypeVar("Q", bound=BaseModel)
B = TypeVar("B", bound=BaseModel)

_MOST_ID = 2**63 - 1
_DIGITS = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[Q, B]):
    """One authorised and understood request; whatever it reads or writes is its key's merchant's."""

    application: Application
    server: web.Application
    key: ApiKey
    setting: Setting
    now: datetime
    path: Mapping[str, str]
    query: Q
    body: B
    once: Once | None
    accepts: str = ""

    @property
    def merchant(self) -> str:
        """The key's."""
        return self.key.merchant

    @property
    def is_at_home(self) -> bool:
        """Whether the connections of this installation are the key's merchant's."""
        return self.merchant == self.application.setting.merchant

    def number(self, name: str, what: str) -> int:
        """A numeric id of the path; raises NotFound for what cannot be one."""
        text = self.path[name]
        if not (text.isascii() and text.isdigit()) or len(text) > _DIGITS or int(text) > _MOST_ID:
            raise NotFound(what, text)
        return int(text)

    def source(self, name: str) -> str:
        """The connection that owns the references which the named one reports."""
        return self.application.sources.get(name, name) if self.is_at_home else name

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Read in one transaction."""
        return await self.application.database.read(work)

    async def write(self, work: Work, show: Show = lambda _, given: given) -> Answer:
        """One unit of work, done once for an Idempotency-Key; `show` completes the answer when all is written."""
        application, clock = self.application, self.application.clock
        again = True
        while True:
            setting = await application.setting_for(self.merchant)
            try:
                given, changes = await application.database.write(
                    lambda connection: answer(connection, setting, self.once, clock.now(), work, show)  # noqa: B023 - runs before the next turn
                )
                break
            except Stale:
                await application.refresh()
            except IntegrityError:
                # Somebody made the same thing at the same time; now it is there to be seen.
                if not again:
                    raise
                again = False
        await application.announce(changes)
        return given

    async def write_in_steps(self, step: Callable[[Connection, T], tuple[int, T]], start: T) -> Answer:
        """Many rows, a chunk per transaction, until a step finds none; doing them twice must do no harm.

        `step(connection, place)` answers how many rows it changed and the place to go on from.
        """
        once, setting = self.once, self.setting
        before = await self.read(lambda connection: stored(connection, setting, once)) if once else None
        if before is not None:
            return before
        total, place, count = 0, start, 1
        while count:
            count, place = await self.application.database.write(lambda connection: step(connection, place))  # noqa: B023
            total += count
        self.application.wake()
        return await self.write(lambda _: Answer(status=200, body={"count": total}))


def call_of(
    request: web.Request,
    setting: Setting,
    who: str,
    now: datetime,
    *,
    scopes: tuple[str, ...] = (),
    once: Once | None = None,
) -> Call[Query, Nothing]:
    """A page's own call, in the name of whoever may open it (`who`: as the log and notes have it)."""
    return Call(
        application=request.app[APPLICATION],
        server=request.app,
        key=ApiKey(merchant=setting.merchant, id=who, name=who, scopes=scopes, created_at=now),
        setting=setting,
        now=now,
        path=request.match_info,
        query=Query(),
        body=Nothing(),
        once=once,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """An answer for a spreadsheet, and the name of its file."""

    text: str
    name: str


Handler = Callable[[Any], Awaitable[BaseModel | Answer | Sheet]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One operation; `gives` None means an answer without a body, `as_csv` that it can be a spreadsheet too, `largest` the body's bytes."""

    method: str
    path: str
    scope: str
    summary: str
    handler: Handler
    gives: type[BaseModel] | None
    query: type[BaseModel] = Query
    takes: type[BaseModel] = Nothing
    status: int = 200
    as_csv: bool = False
    largest: int = MAX_BODY

    @property
    def writes(self) -> bool:
        """Whether it changes anything, so that an Idempotency-Key means something."""
        return self.method != "GET"


def add_routes(server: web.Application, routes: Iterable[Route]) -> None:
    """Add routes to a server."""
    for route in routes:
        server.router.add_route(route.method, PREFIX + route.path, told(_handling(route)))


def given(view: BaseModel, member: str | None = None, status: int = 200) -> Answer:
    """The answer of a write; `member` is whom it tells about, so that it can be erased with them."""
    return Answer(status=status, body=view.model_dump(mode="json"), member=member)


def _handling(route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        key = await request.app[AUTHORISING].authorise(request, route.scope)
        if any("\x00" in part for part in request.match_info.values()):
            raise Refused(404, "there is nothing of this name", code="not_found")
        return response_of(await route.handler(await _call(request, route, key)))

    return handle


async def _call(request: web.Request, route: Route, key: ApiKey) -> Call[Any, Any]:
    application = request.app[APPLICATION]
    raw, body = await body_of(request, route.takes, route.largest) if route.writes else (b"", Nothing())
    return Call(
        application=application,
        server=request.app,
        key=key,
        setting=await application.setting_for(key.merchant),
        now=application.clock.now(),
        path=request.match_info,
        query=query_of(request, route.query),
        body=body,
        once=once_of(request, key, raw) if route.writes else None,
        accepts=request.headers.get("Accept", ""),
    )


def response_of(given: BaseModel | Answer | Sheet) -> web.Response:
    """What a handler gave, as JSON or CSV."""
    if isinstance(given, Sheet):
        headers = {"Content-Disposition": f'attachment; filename="{given.name}"'}
        return web.Response(text=given.text, content_type=CSV, charset="utf-8", headers=headers)
    if isinstance(given, BaseModel):
        return web.Response(text=given.model_dump_json(by_alias=True), content_type="application/json")
    if given.status == web.HTTPNoContent.status_code:
        return web.Response(status=given.status)
    body = msgspec.json.encode(given.body)
    return web.Response(body=body, status=given.status, content_type="application/json")
