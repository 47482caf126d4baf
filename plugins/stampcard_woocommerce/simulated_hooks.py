"""Webhooks of the simulated shop: queued, built when they are sent, sent once, and switched off after failures."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import aiohttp

from stampcard.testing.simulator import SignedRequest
from stampcard_woocommerce.simulated_bodies import Body, times

#: One more failure after so many switches a webhook off.
_MOST_FAILURES = 5
#: Seconds that WooCommerce waits for an answer; here, so that a test ends.
_PATIENCE = 5.0
AGENT = "WooCommerce/10.4.2 Hookshot (WordPress/6.9)"


@dataclass(slots=True)
class Hook:
    """A webhook; `pending` are the numbers of records that it has to tell of, each once until it is sent."""

    id: int
    topic: str
    url: str
    secret: str
    status: str = "active"
    name: str = ""
    failures: int = 0
    pending: dict[int, None] = field(default_factory=dict)

    def body(self, at: datetime) -> Body:
        resource, _, event = self.topic.partition(".")
        told = {"id": self.id, "name": self.name, "status": self.status, "topic": self.topic, "resource": resource}
        return told | {"event": event, "hooks": [], "delivery_url": self.url, **times("date_created", at)}


def signed(topic: str, body: Body, secret: str, hook: int, at: datetime, source: str) -> SignedRequest:
    """A delivery as it goes over the wire: its id is the same for all of one webhook within a second."""
    raw = written(body)
    resource, _, event = topic.partition(".")
    return SignedRequest(
        headers={
            "Content-Type": "application/json",
            "User-Agent": AGENT,
            "X-WC-Webhook-Source": source.rstrip("/") + "/",
            "X-WC-Webhook-Topic": topic,
            "X-WC-Webhook-Resource": resource,
            "X-WC-Webhook-Event": event,
            "X-WC-Webhook-Signature": signature(secret, raw),
            "X-WC-Webhook-ID": str(hook),
            "X-WC-Webhook-Delivery-ID": hashlib.md5(f"{hook}{int(at.timestamp())}".encode()).hexdigest(),  # noqa: S324 - as WordPress does
        },
        body=raw,
    )


def written(body: Any) -> bytes:
    """As PHP writes JSON: slashes and all that is not ASCII escaped."""
    return json.dumps(body, separators=(",", ":")).encode().replace(b"/", b"\\/")


def signature(secret: str, raw: bytes) -> str:
    """WordPress takes entities out of the secret first."""
    for entity, letter in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#039;", "'"), ("&amp;", "&")):
        secret = secret.replace(entity, letter)
    return base64.b64encode(hmac.new(secret.encode(), raw, hashlib.sha256).digest()).decode()


class Hooks:
    """All webhooks of the shop; `build` makes the body of a record as it is now, or an error's."""

    def __init__(
        self, build: Callable[[str, int], Body], now: Callable[[], datetime], source: Callable[[], str]
    ) -> None:
        self.all: dict[int, Hook] = {}
        self.sent: list[SignedRequest] = []
        self.pings: list[int] = []
        self._build, self._now, self._source = build, now, source

    def tell(self, topic: str, record: int) -> None:
        """Queue it; nothing is told by a webhook that is switched off, also not later."""
        for hook in self.all.values():
            if hook.topic == topic and hook.status == "active":
                hook.pending[record] = None

    async def ping(self, hook: Hook) -> None:
        """Ask once, unsigned, whether anybody is there; nothing comes of the answer."""
        headers = {"Content-Type": "application/x-www-form-urlencoded", "User-Agent": AGENT}
        body = f"webhook_id={hook.id}".encode()
        self.pings.append(await self._post(hook.url, SignedRequest(headers=headers, body=body)))

    async def run(self) -> int:
        """Send all that is queued, once, as WP-Cron would; answers how many were taken."""
        taken = 0
        for hook in list(self.all.values()):
            pending, hook.pending = list(hook.pending), {}
            for record in pending:
                body = self._build(hook.topic, record)
                request = signed(hook.topic, body, hook.secret, hook.id, self._now(), self._source())
                self.sent.append(request)
                taken += self._note(hook, await self._post(hook.url, request))
        return taken

    def lose(self) -> int:
        """Let everything that is queued go nowhere, as when WP-Cron dies; answers how much that was."""
        lost = 0
        for hook in self.all.values():
            lost += len(hook.pending)
            hook.pending = {}
        return lost

    def _note(self, hook: Hook, status: int) -> bool:
        if 200 <= status < 303:  # noqa: PLR2004 - what WooCommerce takes for a success
            hook.failures = 0
            return True
        if hook.failures > _MOST_FAILURES:
            hook.status = "disabled"
        else:
            hook.failures += 1
        return False

    async def _post(self, url: str, request: SignedRequest) -> int:
        timeout = aiohttp.ClientTimeout(total=_PATIENCE)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(url, data=request.body, headers=dict(request.headers), allow_redirects=False) as answer,
            ):
                await answer.read()
                return answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return 0
