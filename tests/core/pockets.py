"""A phone's wallet in memory whose phones ask us for their cards, as Apple's do: they register, are told, and fetch."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from stampcard.domain.deliveries import Delivery
from stampcard.plugin import (
    Capabilities,
    ConnectionContext,
    Delivered,
    Event,
    InvalidSignature,
    MalformedPayload,
    Outcome,
    PassPush,
    PassRemoved,
    PassSaved,
    PassSettings,
    PassSink,
    PluginManifest,
    Rejected,
    Reply,
    RetryLater,
    RetryPolicy,
    Route,
    UnverifiedRequest,
    VerifiedRequest,
    WebhookSource,
    hookimpl,
)

MAGIC = "open sesame"


class Pocket(PassSink):
    """Keeps what it was told of each pass, and refuses what a test wants it to refuse."""

    title = "Pocket"
    notices = 2
    rotates = True
    retry = RetryPolicy(waits=(1.0, 1.0))

    def __init__(self, batch_size: int = 10) -> None:
        self.batch_size = batch_size
        self.shown: dict[str, PassPush] = {}
        self.calls: list[list[PassPush]] = []
        self.ended: list[str] = []
        self.outcomes: list[Outcome | Exception] = []

    async def deliver(self, items: Sequence[PassPush]) -> Sequence[Outcome]:
        assert 0 < len(items) <= self.batch_size
        self.calls.append(list(items))
        return [self._take(item) for item in items]

    def _take(self, item: PassPush) -> Outcome:
        outcome = self.outcomes.pop(0) if self.outcomes else Delivered()
        if isinstance(outcome, Exception):
            raise outcome
        if isinstance(outcome, Delivered):
            self.shown[item.serial] = item
        return outcome

    async def link(self, item: PassPush, *, is_there: bool) -> str:
        return f"https://pocket.example/{item.serial}?{'there' if is_there else 'new'}"

    async def end(self, serials: Sequence[str]) -> Sequence[Outcome]:
        self.ended += serials
        return [Delivered() for _ in serials]

    def told(self) -> list[PassPush]:
        """Everything since the last time."""
        calls, self.calls = self.calls, []
        return [one for items in calls for one in items]


class Registrations(WebhookSource):
    """What phones tell by the plugin's own routes; nobody sends webhooks."""

    def verify(self, request: UnverifiedRequest) -> VerifiedRequest | Reply:  # noqa: ARG002 - whatever it is
        raise InvalidSignature("this wallet sends no webhooks")

    def delivery_key(self, request: VerifiedRequest) -> str:
        return request.body.decode()

    def events(self, delivery: Delivery) -> Iterable[Event]:
        try:
            told = json.loads(delivery.body)
            saved, serial = told["what"] == "saved", told["serial"]
        except (ValueError, KeyError, TypeError) as error:
            raise MalformedPayload("not what a phone tells") from error
        at = delivery.received_at
        yield PassSaved(serial=serial, occurred_at=at) if saved else PassRemoved(serial=serial, occurred_at=at)


@dataclass
class Pockets:
    """The plugin; one sink for all its connections."""

    sink: Pocket = field(default_factory=Pocket)
    phones: dict[str, set[str]] = field(default_factory=dict)

    @hookimpl
    def plugin_manifest(self) -> PluginManifest:
        return PluginManifest(name="pocket", summary="for tests", settings=PassSettings)

    @hookimpl
    async def connect(self, context: ConnectionContext[PassSettings]) -> Capabilities:
        async def register(request: UnverifiedRequest) -> Reply:
            self._check(request)
            serial, device = request.path["serial"], request.path["device"]
            if await context.passes.find(serial) is None:
                return Reply(status=404)
            known = self.phones.setdefault(serial, set())
            if device in known:
                return Reply(status=200)
            known.add(device)
            return Reply(status=201, stores=_told("saved", serial, device, request))

        async def forget(request: UnverifiedRequest) -> Reply:
            self._check(request)
            serial, device = request.path["serial"], request.path["device"]
            known = self.phones.get(serial, set())
            known.discard(device)
            return Reply(status=200, stores=None if known else _told("removed", serial, device, request))

        async def fetch(request: UnverifiedRequest) -> Reply:
            self._check(request)
            card = await context.passes.find(request.path["serial"])
            if card is None:
                return Reply(status=404)
            body = json.dumps({field.name: field.text for field in card.fields}).encode()
            tag = f'"{hashlib.sha256(body).hexdigest()}"'
            if request.header("if-none-match") == tag:
                return Reply(status=304, headers={"ETag": tag})
            return Reply(body=body, content_type="application/json", headers={"ETag": tag, "X-Secret": "never"})

        place = "v1/devices/{device}/passes/{serial}"
        return Capabilities(
            webhook=Registrations(),
            sinks=(self.sink,),
            routes=(
                Route(method="POST", path=place, handler=register),
                Route(method="DELETE", path=place, handler=forget),
                Route(method="GET", path="v1/passes/{serial}", handler=fetch),
            ),
        )

    def _check(self, request: UnverifiedRequest) -> None:
        if request.header("authorization") != f"Pocket {MAGIC}":
            raise InvalidSignature("not a phone of ours")


def _told(what: str, serial: str, device: str, request: UnverifiedRequest) -> VerifiedRequest:
    body = {"what": what, "serial": serial, "device": device, "at": request.received_at.isoformat()}
    return VerifiedRequest(topic="phone", body=json.dumps(body).encode())


async def turn(application: Any, name: str = "pocket") -> None:
    """Let the dispatcher of a connection send what is due."""
    dispatcher = application.dispatchers[name]
    for _ in range(3):
        await dispatcher.turn()
        while dispatcher._flights:
            await asyncio.gather(*dispatcher._flights)


BUSY, REFUSED = RetryLater(reason="busy"), Rejected(reason="no")
