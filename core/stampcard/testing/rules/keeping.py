from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial

import httpx

from stampcard.domain.value import replace
from stampcard.plugin import Delivery, WebhookSource
from stampcard.testing.listening import Lines, listening
from stampcard.testing.rules.case import Vendor, Visit
from stampcard.testing.rules.configuring import ConfiguringRules


class KeepingRules(ConfiguringRules):
    """What is kept to itself: a secret leaves for the vendor only."""

    def test_no_secret_is_told(self) -> None:
        """No secret shows in a log line, an outcome, an error or a repr, not even if the vendor sends it back."""
        for vendor in (self.vendor, *_indiscreet(self.hidden())):
            for text in self.run(self._overheard(vendor)):
                for secret in self.hidden():
                    assert secret not in text, f"a secret shows in {text.replace(secret, '<secret>')[:300]}"

    async def _overheard(self, vendor: Vendor) -> list[str]:
        """Everything that a connection says while it is used, with this vendor."""
        said = Lines()
        with listening(said):
            async with self.visiting(vendor) as visit:
                said.append(repr(visit.capabilities))
                self._hear_webhooks(visit, said)
                for sink in visit.capabilities.sinks:
                    said.append(repr(sink))
                    await _hear_later(said, partial(sink.deliver, [self.item(sink.kind, 1)]))  # type: ignore[list-item]
                if visit.capabilities.check_health is not None:
                    await _hear_later(said, visit.capabilities.check_health)
        return [*said, *visit.lines]

    def _hear_webhooks(self, visit: Visit, said: Lines) -> None:
        source = visit.capabilities.webhook
        if source is None:
            return
        said.append(repr(source))
        for recording in self.recordings():
            genuine = self.request(recording.topic, recording.body)
            for request in (genuine, replace(genuine, body=b"{}"), replace(genuine, headers={})):
                _hear(said, partial(source.verify, request))
            for body in (recording.body, b"{}", b"{"):
                _hear(said, partial(_all, source, self.delivery(recording, body)))
                _hear(said, partial(source.subject, self.delivery(recording, body)))


def _all(source: WebhookSource, delivery: Delivery) -> list[object]:
    return list(source.events(delivery))


def _hear(said: Lines, call: Callable[[], object]) -> None:
    """Note what a call gives, or its error with all that it came from."""
    try:
        said.append(repr(call()))
    except Exception as error:  # noqa: BLE001 - its text is what matters here
        said.extend(traceback.format_exception(error))


async def _hear_later(said: Lines, call: Callable[[], Awaitable[object]]) -> None:
    try:
        said.append(repr(await call()))
    except Exception as error:  # noqa: BLE001 - its text is what matters here
        said.extend(traceback.format_exception(error))


def _indiscreet(secrets: Sequence[str]) -> Iterable[Vendor]:
    """Vendors that send back what they were sent, secrets first, and a network whose errors quote it."""

    def quoted(request: httpx.Request) -> str:
        parts = [str(request.url), *request.headers.values(), request.content.decode(errors="replace")]
        return " ".join(sorted(parts, key=lambda part: not any(secret in part for secret in secrets)))

    def answering(status: int) -> Vendor:
        return lambda request: httpx.Response(status, text=quoted(request))

    def failing(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout(quoted(request), request=request)

    return (*map(answering, (200, 400, 401, 403, 404, 422, 429, 500)), failing)
