"""The part of Twilio's API of 2010-04-01 that makes and lists messages."""

from __future__ import annotations

import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from stampcard.plugin import Clock
from stampcard.testing.simulator import Tally
from stampcard_twilio.simulated_book import Book
from stampcard_twilio.simulated_faults import Faults, answer, refused

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_FORM = "application/x-www-form-urlencoded"
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_LONGEST, _LONGEST_VALIDITY, _MOST = 1600, 36_000, 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of somebody with good credentials."""

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]


class Api:
    """Serves the book to whoever has the account's token, or a key: which does not open the account itself."""

    def __init__(self, book: Book, tally: Tally, clock: Clock, faults: Faults, token: str) -> None:
        self.calls: list[Call] = []
        self.token = token
        self.keys: dict[str, str] = {}
        self.status = "active"
        self._book, self._tally, self._clock, self._faults = book, tally, clock, faults

    def application(self) -> web.Application:
        server, root = web.Application(middlewares=[self._guard]), "/2010-04-01/Accounts/{account}"
        server.add_routes(
            [
                web.post(f"{root}/Messages.json", self._send),
                web.get(f"{root}/Messages.json", self._list),
                web.get(f"{root}/Messages/{{sid}}.json", self._show),
                web.get(f"{root}.json", self._account),
            ]
        )
        return server

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Check the credentials; then fail, if it is to, before or after doing what is asked for."""
        name, _, secret = _basic(request.headers.get("Authorization", "")).partition(":")
        good = self.token if name == self._book.account else self.keys.get(name)
        is_account = request.path.count("/") == 3  # noqa: PLR2004 - nothing stands behind its SID
        if not secret or secret != good or (is_account and name in self.keys):
            return refused(401, 20003, "Authenticate")
        if request.match_info.get("account") != self._book.account:
            return refused(404, 20404, "The requested resource was not found")
        form = dict(parse_qsl((await request.read()).decode(), keep_blank_values=True))
        self.calls.append(Call(method=request.method, path=request.path, query=dict(request.query), form=form))
        fault = self._faults.next(request.method)
        if fault is not None and not fault.done:
            return answer(fault, request, self._tally)
        done = await handler(request)
        return done if fault is None else answer(fault, request, self._tally)

    async def _send(self, request: web.Request) -> web.StreamResponse:
        if request.content_type != _FORM:
            return refused(415, 20001, "Unsupported media type")
        form = self.calls[-1].form
        code = next((code for code, is_wrong in _WRONG.items() if is_wrong(form)), None)
        code = code or (21610 if form["To"] in self._book.stopped else self._book.refused.get(form["To"]))
        if code:
            return refused(400, code, f"The number {form.get('To')} was refused")
        made = self._book.make(form, self._clock.now())
        self._tally.pushes_received += 1
        return web.json_response(made.resource(), status=201)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        query = {name: text for name, text in request.query.items() if name not in {"Page", "PageToken"}}
        size, page = min(int(query.get("PageSize", 50)), _MOST), int(request.query.get("Page", 0))
        found = self._book.listed(query)
        shown = found[page * size : (page + 1) * size]
        is_last = (page + 1) * size >= len(found)
        return web.json_response(
            {
                "end": page * size + len(shown),
                "first_page_uri": self._uri(request, query, 0),
                "next_page_uri": None if is_last else self._uri(request, query, page + 1),
                "page": page,
                "page_size": size,
                "previous_page_uri": self._uri(request, query, page - 1) if page else None,
                "messages": [text.resource() for text in shown],
                "start": page * size,
                "uri": self._uri(request, query, page),
            }
        )

    async def _show(self, request: web.Request) -> web.StreamResponse:
        texts = (*self._book.messages, *self._book.received)
        found = next((text for text in texts if text.sid == request.match_info["sid"]), None)
        return refused(404, 20404) if found is None else web.json_response(found.resource())

    async def _account(self, _: web.Request) -> web.StreamResponse:
        sid = self._book.account
        told: dict[str, Any] = {"sid": sid, "owner_account_sid": sid, "auth_token": self.token, "status": self.status}
        told |= {"friendly_name": "simulated", "type": "Full", "uri": f"/2010-04-01/Accounts/{sid}.json"}
        return web.json_response(told)

    def _uri(self, request: web.Request, query: Mapping[str, str], page: int) -> str:
        token = {"PageToken": f"PA{page}"} if page else {}
        return f"{request.path}?{urlencode({**query, 'Page': page, **token})}"


def _is_no_validity(form: Mapping[str, str]) -> bool:
    told = form.get("ValidityPeriod", "1")
    return not told.isdecimal() or not 1 <= int(told) <= _LONGEST_VALIDITY


#: Codes of what is wrong with a form, in the order in which it is looked at.
_WRONG: Mapping[int, Callable[[Mapping[str, str]], bool]] = {
    21604: lambda form: not form.get("To"),
    21211: lambda form: not _PHONE.fullmatch(form["To"]),
    21603: lambda form: not form.get("From") and not form.get("MessagingServiceSid"),
    21602: lambda form: not form.get("Body"),
    21617: lambda form: len(form["Body"]) > _LONGEST,
    21609: lambda form: not form.get("StatusCallback", "http").startswith("http"),
    20422: _is_no_validity,
}


def _basic(header: str) -> str:
    try:
        return base64.b64decode(header.removeprefix("Basic "), validate=True).decode()
    except ValueError:
        return ""
