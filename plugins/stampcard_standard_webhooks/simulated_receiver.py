"""Where the simulated till is told its customers' figures: it believes what is signed, and fails as planned."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from stampcard.plugin import Clock
from stampcard.testing.simulator import Tally
from stampcard_standard_webhooks.simulated_book import Book
from stampcard_standard_webhooks.simulated_signing import ID, doubt
from stampcard_standard_webhooks.simulated_trade import TillPlan

PATH = "/figures"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a customer sees."""

    version: int
    active: int


class Receiver:
    """Takes `member.balance` in. `strangers`: whom the till never heard of; `doubts`: why it did not believe a call."""

    def __init__(
        self, book: Book, tally: Tally, plan: TillPlan, clock: Clock, secrets: Collection[str], chance: random.Random
    ) -> None:
        self._book, self._tally, self._plan, self._clock, self._chance = book, tally, plan, clock, chance
        self._secrets = tuple(secrets)
        self._shown: dict[str, Shown] = {}
        self._troubled: set[str] = set()
        self._bodies: dict[str, Any] = {}
        self.strangers: set[str] = set()
        self.doubts: list[str] = []

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_post(PATH, self._take)
        return application

    @property
    def shown(self) -> dict[str, Shown]:
        """By the customer's reference; nothing of who was erased."""
        return {reference: one for reference, one in self._shown.items() if reference not in self._book.erased}

    async def _take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): text for name, text in request.headers.items()}
        self._tally.push_calls += 1
        why = doubt(headers, body, self._secrets, self._clock.now().timestamp())
        told = json.loads(body) if not why else {}
        if why or told["type"] != "member.balance" or not self._is_same(headers[ID], told["data"]):
            self.doubts.append(why or "another type, or another body under the same id")
            return web.Response(status=401)
        reference = str(told["data"]["reference"])
        trouble = self._trouble(reference)
        if trouble is not None:
            return await self._fail(request, trouble)
        self._show(reference, told["data"])
        return web.Response(status=204)

    def _is_same(self, id_: str, data: Any) -> bool:
        """Whether a repeated id says what it said before."""
        return bool(self._bodies.setdefault(id_, data) == data)

    def _show(self, reference: str, data: Any) -> None:
        if reference not in self._book.customers and reference not in self._book.erased:
            self.strangers.add(reference)
        self._tally.pushes_received += 1
        before = self._shown.get(reference)
        if before is not None and data["version"] < before.version:
            self._tally.regressions += 1
            return
        self._shown[reference] = Shown(data["version"], data["balances"]["points"]["active"])

    def _trouble(self, reference: str) -> int | None:
        """The status of what goes wrong now, 0 for no answer at all; None: nothing does."""
        if reference in self._troubled:
            self._troubled.discard(reference)
            return None
        plan, chance = self._plan, self._chance.random()
        for share, status in (
            (plan.api_failures, self._chance.choice((500, 502, 503))),
            (plan.throttles, 429),
            (plan.gone, 410),
            (plan.hangs, 0),
        ):
            if chance < share:
                self._troubled.add(reference)
                return status
            chance -= share
        return None

    async def _fail(self, request: web.Request, status: int) -> web.StreamResponse:
        throttled = status == web.HTTPTooManyRequests.status_code
        self._tally.throttled += throttled
        self._tally.failures_injected += not throttled
        if status == 0:
            await asyncio.sleep(self._plan.hang)
            if request.transport is not None:
                request.transport.close()
        return web.Response(status=status or 500, headers={"Retry-After": str(self._plan.retry_after)}, text="busy")
