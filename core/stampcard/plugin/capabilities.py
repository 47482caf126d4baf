"""What a connection can do: each capability optional, each handed over once by `connect`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Generic, Literal, TypeVar

from stampcard.domain.audiences import AudiencePush
from stampcard.domain.commands import BalancePush, Command, TagPush
from stampcard.domain.contacts import ContactPush
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import Event, Refetch
from stampcard.domain.members import Member
from stampcard.domain.messages import Message
from stampcard.domain.passes import PassPush
from stampcard.domain.rewards import RewardKind, Voucher
from stampcard.domain.value import Value
from stampcard.errors import CannotVerify
from stampcard.plugin.channels import Channel
from stampcard.plugin.contacts import Contacts
from stampcard.plugin.orders import OrderHistory, OrderList
from stampcard.plugin.outcomes import Lookup, Outcome, Rejected, Unknown
from stampcard.plugin.rates import Rate, RetryPolicy
from stampcard.plugin.requests import Reply, Route, UnverifiedRequest, VerifiedRequest
from stampcard.plugin.subscriptions import Subscriptions

Item = TypeVar("Item", BalancePush, TagPush, ContactPush, AudiencePush, PassPush, Command, Message)


class WebhookSource(ABC):
    """Turns a vendor's webhooks into our events."""

    #: The body of our 200, and its content type; some vendors want certain ones.
    ack: bytes = b""
    ack_type: str = ""

    @abstractmethod
    def verify(self, request: UnverifiedRequest) -> VerifiedRequest | Reply:
        """Vouch for the raw bytes, in constant time, before anything is parsed.

        Raises InvalidSignature (answered 401) or CannotVerify (503), and nothing else, whatever the bytes.
        """

    def unchecked(self, request: UnverifiedRequest) -> VerifiedRequest:  # noqa: ARG002 - a vendor may put all into its signature
        """What `verify` would vouch for, of a request that nobody signed: only ever to try out what a body would do.

        Raises CannotVerify where nothing can be read without a signature, and nothing else.
        """
        raise CannotVerify("this plugin reads nothing without its signature")

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


class Sink(ABC, Generic[Item]):
    """Takes items of one kind to the vendor, `batch_size` at a time."""

    #: "balance", "tags", "audience" or "pass" for state that is pushed, else the kind of the commands it takes.
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
    """What a connection says of itself; `problem` names what to change, soon where it is `ok` as yet.

    `open`: the address that a person opens in a browser to set it right, where that is the way.
    """

    ok: bool
    problem: str = ""
    open: str = ""


class FactSource(ABC):
    """Knows something of the world that conditions may ask for, as ``facts.<name>``."""

    #: What conditions call it: lower-case letters, digits and _.
    name: str
    #: How long an answer counts.
    keep: timedelta = timedelta(minutes=10)

    @abstractmethod
    def key(self, event: Event, member: Member | None) -> str | None:
        """What the answer depends on, such as a place; None where there is nothing to ask by. Pure and quick.

        `member` is None for somebody who is new. Events with the same key share one answer. Where a member looks at
        rewards, the event is a custom one named ``reward``; a member's day is one named ``birthday`` or ``anniversary``.
        """

    @abstractmethod
    async def facts(self, key: str) -> Mapping[str, Any]:
        """What is known for a key: names to text, numbers, true or false. An exception means that it is not known now.

        All sources are asked at once and within two seconds, before anything is decided.
        """


class Support(Value, frozen=True):
    """Whether a vendor can do something; a `caveat` and a `no` say in `note` what to expect instead."""

    level: Literal["yes", "no", "caveat"]
    note: str = ""


#: What a voucher may carry beyond its kind, and what may be done to one later.
Feature = Literal[
    "member_only",
    "minimum",
    "products",
    "collections",
    "at_most",
    "dates",
    "uses",
    "combining",
    "withdraw",
    "restore",
    "seen_when_used",
    "bulk",
]


class Fulfilment(ABC):
    """Makes rewards real at a vendor: codes of its shop, store credit, gift cards.

    Each method gets up to `batch_size` vouchers and answers exactly one outcome for each, in order. What is sent twice
    under one `key` must not have its effect twice if `idempotent` says so; otherwise an attempt of unknown outcome is
    settled by `lookup` alone.
    """

    #: The kinds of reward that it makes real, and how well; a kind that is left out is refused.
    kinds: Mapping[RewardKind, Support]
    #: What it can enforce of a voucher; what is left out counts as no.
    features: Mapping[Feature, Support] = {}
    batch_size: int = 1
    #: How many codes `fill` takes at once.
    fill_size: int = 100
    rate: Rate | None = None
    retry: RetryPolicy = RetryPolicy()
    #: Whether issuing, withdrawing and restoring may be repeated without a second effect.
    idempotent: bool = False
    #: After how long an effect is surely visible to `lookup`.
    visible_after: timedelta = timedelta(minutes=5)

    @abstractmethod
    async def issue(self, vouchers: Sequence[Voucher]) -> Sequence[Outcome]:
        """Make rewards real; ``Delivered(result)`` may carry another ``code``, and the vendor's ``id``."""

    @abstractmethod
    async def withdraw(self, vouchers: Sequence[Voucher]) -> Sequence[Outcome]:
        """Make rewards worth nothing again, as far as they are unused; one that is gone already is Delivered."""

    async def restore(self, vouchers: Sequence[Voucher]) -> Sequence[Outcome]:
        """Let withdrawn rewards be used again."""
        return [Rejected(reason="what was withdrawn here cannot be restored")] * len(vouchers)

    async def fill(self, voucher: Voucher, codes: Sequence[str]) -> Outcome:  # noqa: ARG002 - others need them
        """Make many codes of one discount for everybody, to be given out later without a call.

        `voucher` has the terms: its `reference` is empty, `uses` count for each code, `code` is the first code of all
        that this discount is to have, the same in each of its batches. `codes`, up to `fill_size` of them, all work once
        it is Delivered, and none is ever made twice, however often it is asked for: what was not told, or was made in
        part, is asked for again with the same codes.

        ``Delivered(result)`` may carry an ``id`` for what they are a part of. It is the `batch` of the vouchers that
        withdraw and restore single ones of them, when one is revoked or ends for instance; without it, the first code is.
        """
        return Rejected(reason="codes cannot be made in bulk here")

    async def lookup(self, voucher: Voucher, action: Literal["issue", "withdraw", "restore"]) -> Lookup:
        """Find out whether an action of unknown outcome had its effect."""
        return Unknown(reason=f"there is no way to find out about {action} {voucher.key}")

    def pace(self) -> float:
        """Seconds that the vendor wants to pass before the next call, as its last answer told."""
        return 0.0


class ShopperSource(ABC):
    """Vouches for a shopper whose browser or app asks for something through the shop."""

    #: Origins (``https://shop.example``) from which browsers may ask directly; a request that the shop's own server
    #: passes on needs none.
    origins: tuple[str, ...] = ()

    @abstractmethod
    def identify(self, request: UnverifiedRequest) -> str | None:
        """The customer's reference; None for a visitor whom the shop vouches for but who is not logged in.

        Raises InvalidSignature, and nothing else, whatever the request.
        """


class Storefront(ABC):
    """The shop as people see it."""

    @abstractmethod
    def landing(self, code: str) -> str:
        """The https address where a friend arrives whom a code sent, with the code applied as far as the shop can."""


class Cleaner(ABC):
    """Takes away what we show at a vendor, when its connection is removed."""

    #: What it takes away, in words that follow "Take away": shown before, and told as staying where it cannot be.
    what: str
    batch_size: int = 1

    @abstractmethod
    async def clean(self, references: Sequence[str]) -> Sequence[Outcome]:
        """Take it away from these customers; exactly one outcome for each, in order. Done twice it does no harm."""

    def pace(self) -> float:
        """Seconds that the vendor wants to pass before the next call, as its last answer told."""
        return 0.0


class Capabilities(Value, frozen=True):
    """What one connection can do."""

    webhook: WebhookSource | None = None
    subscriptions: Subscriptions | None = None
    sinks: tuple[Sink[BalancePush] | Sink[TagPush] | Sink[AudiencePush] | Sink[PassPush] | Sink[Command], ...] = ()
    fetch: Fetch | None = None
    orders: OrderList | None = None
    history: OrderHistory | None = None
    contacts: Contacts | None = None
    channels: tuple[Channel, ...] = ()
    facts: tuple[FactSource, ...] = ()
    fulfil: Fulfilment | None = None
    shopper: ShopperSource | None = None
    storefront: Storefront | None = None
    clean: Cleaner | None = None
    routes: tuple[Route, ...] = ()
    check_health: Callable[[], Awaitable[Health]] | None = None
