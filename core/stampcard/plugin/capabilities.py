"""What a connection can do: each capability optional, each handed over once by `connect`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Generic, TypeVar

from stampcard.domain.commands import BalancePush, Command
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import Event, Refetch
from stampcard.domain.members import Member
from stampcard.domain.value import Value
from stampcard.plugin.outcomes import Lookup, Outcome, Unknown
from stampcard.plugin.requests import Reply, UnverifiedRequest, VerifiedRequest

Item = TypeVar("Item", BalancePush, Command)


class WebhookSource(ABC):
    """Turns a vendor's webhooks into our events."""

    #: The body of our 200; some vendors want a certain one.
    ack: bytes = b""

    @abstractmethod
    def verify(self, request: UnverifiedRequest) -> VerifiedRequest | Reply:
        """Vouch for the raw bytes, in constant time, before anything is parsed.

        Raises InvalidSignature (answered 401) or CannotVerify (503), and nothing else, whatever the bytes.
        """

    @abstractmethod
    def delivery_key(self, request: VerifiedRequest) -> str:
        """What makes a redelivery the same; total: every verified request has one."""

    @abstractmethod
    def events(self, delivery: Delivery) -> Iterable[Event | Refetch]:
        """Decode a delivery. An unknown topic has no events; raises MalformedPayload and nothing else."""

    def subject(self, delivery: Delivery) -> str | None:  # noqa: ARG002 - a vendor's bodies may name nobody
        """The customer's reference that a body tells about, also where it leads to no event; None where it cannot be told.

        Asked only where no event names a customer, so that an erasure finds such a body too. Raises nothing, whatever the
        body.
        """
        return None


class Rate(Value, frozen=True):
    """A token bucket: so many calls a second, so many at once."""

    per_second: float
    burst: int


class RetryPolicy(Value, frozen=True):
    """How long to try before a person must look: waits in seconds between tries, each with full jitter."""

    waits: tuple[float, ...] = (5, 30, 300, 1800, 7200, 18000, 36000)

    @property
    def tries(self) -> int:
        """How often an item is sent at most."""
        return len(self.waits) + 1


class Sink(ABC, Generic[Item]):
    """Takes items of one kind to the vendor, `batch_size` at a time."""

    #: "balance" for state that is pushed, else the kind of the commands it takes.
    kind: str
    batch_size: int = 1
    rate: Rate | None = None
    retry: RetryPolicy = RetryPolicy()
    #: Whether the vendor takes the same command twice without a second effect.
    idempotent: bool = False
    #: After how long an effect is surely visible to `lookup`.
    visible_after: timedelta = timedelta(minutes=5)

    @abstractmethod
    async def deliver(self, items: Sequence[Item]) -> Sequence[Outcome]:
        """Send all items in one attempt; exactly one outcome per item, in order.

        An exception counts as RetryLater for state, as Unknown for a command that is not idempotent.
        """

    def pace(self) -> float:
        """Seconds that the vendor wants to pass before the next call, as its last answer told."""
        return 0.0

    async def lookup(self, command: Command) -> Lookup:
        """Find out whether a command of unknown outcome had its effect."""
        return Unknown(reason=f"{self.kind} has no way to find out about {command.key}")


Fetch = Callable[[Sequence[Refetch]], Awaitable[Sequence[Delivery]]]


class Health(Value, frozen=True):
    """What a connection says of itself; `problem` names what to change."""

    ok: bool
    problem: str = ""


class FactSource(ABC):
    """Knows something of the world that conditions may ask for, as ``facts.<name>``."""

    #: What conditions call it: lower-case letters, digits and _.
    name: str
    #: How long an answer counts.
    keep: timedelta = timedelta(minutes=10)

    @abstractmethod
    def key(self, event: Event, member: Member | None) -> str | None:
        """What the answer depends on, such as a place; None where there is nothing to ask by. Pure and quick.

        `member` is None for somebody who is new. Events with the same key share one answer.
        """

    @abstractmethod
    async def facts(self, key: str) -> Mapping[str, Any]:
        """What is known for a key: names to text, numbers, true or false. An exception means that it is not known now.

        All sources are asked at once and within two seconds, before anything is decided.
        """


class Capabilities(Value, frozen=True):
    """What one connection can do."""

    webhook: WebhookSource | None = None
    sinks: tuple[Sink[BalancePush] | Sink[Command], ...] = ()
    fetch: Fetch | None = None
    facts: tuple[FactSource, ...] = ()
    check_health: Callable[[], Awaitable[Health]] | None = None
