"""A Twilio account that exists only here: it takes messages, reports on them, and people write back.

It shares no code with the plugin, so that each proves the other.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from aiohttp import web

from stampcard.plugin import Clock
from stampcard.testing.simulator import SignedRequest, Simulator
from stampcard_twilio.simulated_api import Api, Call
from stampcard_twilio.simulated_book import Book, Text
from stampcard_twilio.simulated_faults import Fault, Faults
from stampcard_twilio.simulated_forging import forged
from stampcard_twilio.simulated_hooks import Hooks, inbound_of, signed, status_of

#: Our topic to a status with its code, or to what somebody writes.
_REPORTS: Mapping[str, tuple[str, int | None]] = {
    "message.sent": ("sent", None),
    "message.delivered": ("delivered", None),
    "message.undelivered": ("undelivered", 30005),
    "message.failed": ("failed", 30008),
}
_TEXTS: Mapping[str, str] = {"text.received": "How many points do I have?", "text.stop": "STOP", "text.start": "START"}
_SOMEBODY = "+14155550123"
_NOWHERE = "https://simulated.example/webhooks/twilio"


def build(seed: int) -> TwilioSimulator:
    """The simulator behind the entry point."""
    return TwilioSimulator(seed)


class TwilioSimulator(Simulator):
    """One account with one number; nothing is told by itself: `deliver` and `report` send reports, `say` sends replies.

    `target_url` is where the number's replies go; reports go where each message says.
    """

    def __init__(self, seed: int, clock: Clock | None = None) -> None:
        super().__init__(seed, clock)
        chance = random.Random(f"secrets {seed}")
        self.number = f"+1415555{chance.randrange(1000, 10_000)}"
        self._token = f"{chance.getrandbits(128):032x}"
        self.book = Book(f"AC{chance.getrandbits(128):032x}", self.number, seed)
        self.hooks = Hooks()
        self._faults = Faults(self.tally)
        self._api = Api(self.book, self.tally, self.clock, self._faults, self._token)
        self._samples = Book(self.book.account, self.number, seed + 1)
        self._chance = random.Random(f"order {seed}")

    def settings(self) -> dict[str, object]:
        told: dict[str, object] = {"account_sid": self.book.account, "auth_token": [self._token], "sender": self.number}
        return {**told, "api_url": self.api_url} if self.is_serving else told

    def topics(self) -> Sequence[str]:
        return (*_REPORTS, *_TEXTS)

    def sample(self, topic: str, *, settings: Mapping[str, object] | None = None) -> SignedRequest:
        told = settings or self.settings()
        tokens = told["auth_token"]
        token = str(tokens[0] if isinstance(tokens, list | tuple) else tokens)
        at = self.clock.now()
        self._samples.account = str(told["account_sid"])
        if topic in _REPORTS:
            status, code = _REPORTS[topic]
            text = self._samples.make({"To": _SOMEBODY, "From": self.number, "Body": "You have 12 points."}, at)
            text.code = code
            return signed(status_of(text, status), self._target(), token)
        if topic in _TEXTS:
            return signed(inbound_of(self._samples.hear(_SOMEBODY, _TEXTS[topic], at)), self._target(), token)
        message = f"no sample of {topic!r}; there are {', '.join(self.topics())}"
        raise ValueError(message)

    def forge(self, request: SignedRequest, chance: random.Random) -> SignedRequest:
        return forged(request, self._target(), chance)

    def application(self) -> web.Application:
        return self._api.application()

    @property
    def messages(self) -> list[Text]:
        """What was taken, the newest last."""
        return self.book.messages

    @property
    def calls(self) -> list[Call]:
        """Every call that somebody with good credentials made."""
        return self._api.calls

    def new_key(self) -> tuple[str, str]:
        """Another API key, and its secret."""
        sid, secret = f"SK{self._chance.getrandbits(128):032x}", f"{self._chance.getrandbits(128):032x}"
        self._api.keys[sid] = secret
        return sid, secret

    def close(self, status: str = "suspended") -> None:
        """Let the account be no longer active."""
        self._api.status = status

    def refuse(self, number: str, code: int) -> None:
        """Let messages to that number be refused with that code; 0: no more."""
        self.book.refused[number] = code

    def lose(self, number: str, code: int) -> None:
        """Let messages to that number be taken, and fail later with that code."""
        self.book.undelivered[number] = code

    def fail(
        self, method: str = "POST", status: int = 0, *, code: int = 0, retry_after: int = 0, done: bool = False,
        times: int = 1,
    ) -> None:  # fmt: skip
        """Let the next calls fail; status 0: no answer at all. `done`: what is asked for happens all the same."""
        self._faults.plan(method, Fault(status, code, retry_after, done), times)

    async def deliver(self, *, shuffled: bool = False, doubled: bool = False) -> int:
        """Report how each message fared that has not come to its end; answers how many reports were taken.

        `shuffled`: in any order. `doubled`: each of them twice.
        """
        due = [(text, status) for text in self.messages if not _is_over(text) for status in self._way(text)]
        reports = due * 2 if doubled else due
        if shuffled:
            self._chance.shuffle(reports)
        taken = [await self._tell(text, status) for text, status in reports]
        for text, status in due:
            self._turn(text, status)
        return taken.count(200)

    async def report(self, text: Text, *statuses: str, code: int | None = None) -> list[int]:
        """Report these statuses of a message, one after the other; answers what was answered."""
        answers = []
        for status in statuses:
            text.code = code or text.code
            self._turn(text, status)
            answers.append(await self._tell(text, status))
        return answers

    async def say(self, number: str, text: str) -> int:
        """Somebody writes to our number; answers what was answered, 0 where nothing was."""
        heard = self.book.hear(number, text, self.clock.now())
        return await self.hooks.post(inbound_of(heard), self._target(), self._token)

    def tell_to(self, target_url: str, *, route: str = "") -> None:
        """Send replies there; `route`: where that address and those of the reports really lead, if elsewhere."""
        self.target_url, self.hooks.route = target_url, route

    def _way(self, text: Text) -> tuple[str, ...]:
        text.code = self.book.undelivered.get(text.to)
        return ("queued", "sent", "undelivered" if text.code else "delivered")

    def _turn(self, text: Text, status: str) -> None:
        text.status = status
        if status == "sent":
            text.sent = self.clock.now().replace(microsecond=0)

    async def _tell(self, text: Text, status: str) -> int:
        text.told.append(status)
        if not text.callback:
            return 0
        return await self.hooks.post(status_of(text, status), text.callback, self._token)

    def _target(self) -> str:
        return self.target_url or _NOWHERE


def _is_over(text: Text) -> bool:
    return text.status in {"delivered", "undelivered", "failed", "canceled"}
