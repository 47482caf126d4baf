"""A shop or till without a plugin of its own that exists only here: it sends and takes signed Standard Webhooks.

It tells in the schema that Stampcard publishes, and shares no code with the plugin, so that each proves the other.
"""

from __future__ import annotations

import base64
import hmac
import random
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from aiohttp import web

from stampcard.plugin import Clock
from stampcard.testing.simulator import ShopSimulator, SignedRequest
from stampcard_standard_webhooks.simulated_bodies import written
from stampcard_standard_webhooks.simulated_book import Book
from stampcard_standard_webhooks.simulated_forging import Forger
from stampcard_standard_webhooks.simulated_receiver import PATH, Receiver
from stampcard_standard_webhooks.simulated_sampling import TOPICS, Sampling
from stampcard_standard_webhooks.simulated_signing import ID, Keys, content, envelope, secret_of, v1
from stampcard_standard_webhooks.simulated_trade import TillPlan, Trade

_PUBLIC = "whpk_"


def build(seed: int) -> TillSimulator:
    """The simulator behind the entry point."""
    return TillSimulator(seed)


class TillSimulator(ShopSimulator):
    """One till with its customers and orders, and its receiver of figures."""

    def __init__(self, seed: int, plan: TillPlan | None = None, clock: Clock | None = None) -> None:
        self._plan = plan or TillPlan()
        super().__init__(seed, self._plan, clock)
        made_up = random.Random(f"secrets {seed}")
        self.book = Book()
        self._keys = Keys(made_up)
        self._forger = Forger(self._keys)
        self._theirs = [secret_of(made_up.randbytes(32)), secret_of(made_up.randbytes(32))]
        # It has not heard of the newer one yet, as while a secret is rotated.
        chance = random.Random(f"receiver {seed}")
        self.receiver = Receiver(self.book, self.tally, self._plan, self.clock, self._theirs[1:], chance)
        self._trade = Trade(self.book, self.tally, self._plan, random.Random(f"history {seed}"))
        self._sampling = Sampling(self._plan, random.Random(f"samples {seed}"))
        self._envelopes = random.Random(f"envelopes {seed}")

    def settings(self) -> dict[str, object]:
        told: dict[str, object] = {"webhook_secrets": self._keys.known()}
        if self.is_serving:
            told |= {"state_url": f"{self.api_url}{PATH}", "secrets": list(self._theirs)}
        return told

    def unfit(self, settings: Mapping[str, object]) -> str:
        secrets = _texts(settings.get("webhook_secrets"))
        if not secrets:
            return "takes no webhooks in: it has no webhook_secrets"
        if settings.get("mapping"):
            return "has a mapping, and samples are in our own schema alone"
        if _way(settings) == "standard" and all(secret.startswith(_PUBLIC) for secret in secrets):
            return "has public keys alone as webhook_secrets, with which nobody can sign"
        return ""

    def topics(self) -> Sequence[str]:
        return TOPICS

    def sample(self, topic: str, *, settings: Mapping[str, object] | None = None) -> SignedRequest:
        given = self.settings() if settings is None else settings
        if why := self.unfit(given):
            message = f"the connection {why}"
            raise ValueError(message)
        body = written(self._sampling.make(topic, self.clock.now()))
        secrets, way = _texts(given["webhook_secrets"]), _way(given)
        if way != "standard":
            return _plainly_signed(way, str(given["signature_header"]), secrets[0], body)
        secret = next(one for one in secrets if not one.startswith(_PUBLIC))
        id_, at = self._id(), self._now()
        return envelope(id_, at, body, v1(secret, content(id_, at, body)))

    def history(self, orders: int) -> Iterator[SignedRequest]:
        for told in self._trade.steps(orders, self.clock.now()):
            for body in told:
                yield self._keys.seal(self._id(), self._now(), written(body))

    def renewed(self, request: SignedRequest) -> SignedRequest:
        """Under the same id, signed for the moment in which it leaves."""
        return self._keys.seal(request.headers[ID], self._now(), request.body)

    def forge(self, request: SignedRequest, chance: random.Random) -> SignedRequest:
        return self._forger.forge(request, chance)

    def application(self) -> web.Application:
        return self.receiver.application()

    def expected(self, points_per_unit: Decimal, welcome: int) -> dict[str, int]:
        return self.book.expected(points_per_unit, welcome, self._plan.event_points)

    def shown(self) -> dict[str, int]:
        return {reference: shown.active for reference, shown in self.receiver.shown.items()}

    def shown_versions(self) -> dict[str, int]:
        return {reference: shown.version for reference, shown in self.receiver.shown.items()}

    def _id(self) -> str:
        return f"evt_{self._envelopes.getrandbits(96):024x}"

    def _now(self) -> int:
        return int(self.clock.now().timestamp())


def _texts(told: object) -> list[str]:
    """One text or several."""
    return [told] if isinstance(told, str) else [str(one) for one in told] if isinstance(told, list | tuple) else []


def _way(settings: Mapping[str, object]) -> str:
    return str(settings.get("signature", "standard"))


def _plainly_signed(way: str, header: str, secret: str, body: bytes) -> SignedRequest:
    """As systems do that know nothing of Standard Webhooks: a token, or an HMAC of the body alone."""
    digest = hmac.digest(secret.encode(), body, "sha256")
    ways = {"token": secret, "hmac-sha256-hex": digest.hex(), "hmac-sha256-base64": base64.b64encode(digest).decode()}
    return SignedRequest(headers={"Content-Type": "application/json", header: ways[way]}, body=body)
