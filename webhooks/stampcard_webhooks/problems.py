"""Errors as problem documents of RFC 9457; the only table from errors to statuses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from aiohttp import web
from pydantic import BaseModel, Field

from stampcard.errors import (
    CannotVerify,
    Conflict,
    EventRefused,
    InsufficientPoints,
    InvalidSignature,
    ItemsRefused,
    NotFound,
    PluginSuspended,
    Problem,
    ProgramError,
    RequestRefused,
    StampcardError,
    Unavailable,
    place_of,
    trace_of,
)

log = structlog.get_logger()

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ProblemPart(BaseModel):
    """One thing that is wrong, with its place."""

    path: str
    message: str
    line: int | None = Field(default=None, description="Of a program's text, counted from 1.")
    column: int | None = None


class ProblemView(BaseModel):
    """What went wrong: `code` for machines, `detail` for people."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str | None = None
    code: str | None = None
    scope: str | None = None
    errors: list[ProblemPart] | None = None


class Refused(Exception):
    """A request that is answered with this problem document, whatever was under way."""

    def __init__(
        self, status: int, detail: str, *, code: str = "", headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        self.status = status
        self.detail = detail
        self.code = code
        self.headers = headers
        self.more = more
        super().__init__(status, detail)

    def response(self) -> web.Response:
        """The document."""
        return problem(self.status, self.detail, code=self.code, headers=self.headers, **self.more)


_STATUS: tuple[tuple[type[StampcardError], int], ...] = (
    (InvalidSignature, 401),
    (CannotVerify, 503),
    (NotFound, 404),
    (Conflict, 409),
    (InsufficientPoints, 409),
    (RequestRefused, 422),
    (EventRefused, 422),
    (ProgramError, 422),
    (Unavailable, 503),
    (PluginSuspended, 503),
)


def problem(
    status: int, detail: str = "", *, code: str = "", headers: dict[str, str] | None = None, **more: Any
) -> web.Response:
    """A problem document; `code` is for machines, `detail` for people."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    if detail:
        body["detail"] = detail
    if code:
        body["code"] = code
    return web.Response(
        body=msgspec.json.encode({**body, **more}),
        status=status,
        content_type="application/problem+json",
        headers=headers,
    )


def of_error(error: StampcardError) -> web.Response:
    """The problem document of one of our own errors."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    headers = {}
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        headers["Retry-After"] = str(max(1, round(retry_after)))
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("request_failed", error=type(error).__name__, detail=str(error))
        return problem(500, "something went wrong here; the log has the details")
    if isinstance(error, ProgramError):
        errors = list(map(_place, error.problems))
        detail = f"the program {error.name!r} would be wrong in {len(errors)} place{'s' * (len(errors) != 1)}"
        return problem(status, detail, code="program_wrong", errors=errors)
    more = {"errors": [_item(*item) for item in error.items]} if isinstance(error, ItemsRefused) else {}
    return problem(status, str(error), code=getattr(error, "code", ""), headers=headers, **more)


def _place(one: Problem) -> dict[str, Any]:
    place = {"line": one.line, "column": one.column} if one.line else {}
    return {"path": one.path, "message": one.message, **place}


def _item(index: int, error: RequestRefused) -> dict[str, str]:
    return {"path": f"items.{index}", "message": str(error)}


def told(handler: Handler) -> Handler:
    """The handler, with whatever it raises turned into a problem document that tells nothing of our inside.

    A middleware would do it for all at once, and cost each webhook several times as much.
    """

    @wraps(handler)
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except StampcardError as error:
            return of_error(error)
        except Refused as error:
            return error.response()
        except web.HTTPException as error:
            if error.status < HTTPStatus.BAD_REQUEST:
                raise
            return problem(error.status)
        except Exception as error:  # noqa: BLE001 - whatever it is, the server goes on
            route = request.match_info.route.resource
            log.error("request_failed", path=route and route.canonical, error=place_of(error), trace=trace_of(error))
            return problem(500, "something went wrong here; the log has the details")

    return handle


async def nothing(request: web.Request) -> web.StreamResponse:
    """What is answered where no route fits: 405 where one fits another method, else 404."""
    allowed: set[str] = set()
    for resource in request.app.router.resources():
        if resource is not request.match_info.route.resource:
            allowed |= (await resource.resolve(request))[1]
    return problem(405, headers={"Allow": ",".join(sorted(allowed))}) if allowed else problem(404)
