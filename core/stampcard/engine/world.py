"""What a decision reads and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from stampcard.domain.awards import Adjustment, Award
from stampcard.domain.bases import BaseUse
from stampcard.domain.commands import Command
from stampcard.domain.decisions import Alert, Reason
from stampcard.domain.events import Event, Refetch
from stampcard.domain.ledger import Entry
from stampcard.domain.members import Member
from stampcard.domain.orders import EMPTY, OrderState
from stampcard.domain.rewards import Fulfiller, Minted, Redemption
from stampcard.domain.value import Value
from stampcard.domain.wallets import Wallet
from stampcard.engine.counting import CounterKey, Counters
from stampcard.engine.dating import Lifetime, lifetime
from stampcard.engine.describing import Past
from stampcard.engine.gauging import tier_name
from stampcard.engine.settling import settle
from stampcard.engine.spending import Debit
from stampcard.engine.versions import LiveProgram, Offer, Programs
from stampcard.program.enrolment import CONFIRMED
from stampcard.program.lifetimes import UntilEvent

#: (member, program, rule)
AwardKey = tuple[str, str, str]
Adjuster = Callable[[Event, Member, Award, Mapping[str, Any]], Sequence[Adjustment]]
#: (name, event, member, base, facts) → points
FormulaWorker = Callable[[str, Event, Member, Decimal, Mapping[str, Any]], Decimal]
#: (formula, reward, member, facts) → points
Pricer = Callable[[str, str, Member, Mapping[str, Any]], Decimal]
#: (reward, program, member, facts) → why not, or nothing
Vetoing = Callable[[str, str, Member, Mapping[str, Any]], str]
#: (program, reward, who makes it real, prefix) → an id and a code, or nothing when the codes have run out
Minting = Callable[[str, str, str, str], Minted | None]
#: A command with the connection that it is for.
Sent = tuple[str, Command]


class Facts(Value, frozen=True):
    """What plugins know for one event, and, for what they do not, why."""

    known: Mapping[str, Any] = {}
    lacking: Mapping[str, str] = {}


NO_FACTS = Facts()


class Pin(Value, frozen=True, omit_defaults=True):
    """What an order keeps of the moment when a program first decided it.

    `version` 0 with `refused` means: this program never awards the order, for that reason. `member` holds the variables
    of `owner` as the conditions saw them, with history, facts and zone; an order that changes hands keeps the version
    and sees its new owner. `stopped`: what was switched off; `lacking`: facts that were not known, and why. `offset`: see
    OrderSnapshot.utc_offset.
    """

    version: int
    refused: str = ""
    owner: str = ""
    member: Mapping[str, Any] = {}
    stopped: tuple[str, ...] = ()
    lacking: Mapping[str, str] = {}
    offset: int | None = None


class Order(Value, frozen=True):
    """An order as the ledger knows it; `undecided` names rules whose condition failed, as ``program/rule``."""

    source: str
    reference: str
    first_seen_at: datetime
    state: OrderState = EMPTY
    member: str | None = None
    pins: Mapping[str, Pin] = {}
    undecided: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """What its awards are keyed by."""
        return f"order:{self.source}:{self.reference}"

    @property
    def key(self) -> tuple[str, str]:
        """(source, reference)."""
        return self.source, self.reference


class World(Value, frozen=True):
    """All that one unit of work has loaded; decisions read it and never change it."""

    now: datetime
    programs: Programs
    members: Mapping[str, Member] = {}
    orders: Mapping[tuple[str, str], Order] = {}
    awards: Mapping[str, Mapping[AwardKey, Award]] = {}
    wallets: Mapping[tuple[str, str], Wallet] = {}
    debits: Mapping[str, tuple[Debit, ...]] = {}
    counters: Mapping[CounterKey, int] = {}
    pasts: Mapping[str, Past] = {}
    bases: Mapping[str, tuple[BaseUse, ...]] = {}
    adjust: Adjuster | None = None
    work_out: FormulaWorker | None = None
    redemptions: Mapping[str, Redemption] = {}
    fulfillers: Mapping[str, tuple[Fulfiller, ...]] = {}
    mint: Minting | None = None
    price_of: Pricer | None = None
    automate: Callable[[Draft, str, str], None] | None = None
    veto: Vetoing | None = None
    #: What an order that is kept shows instead of a code.
    code_print: Callable[[str], str] = str


class Decision(Value, frozen=True):
    """The new values of everything that one event changes, the entries to append, and why.

    `changed` is False when the event told nothing new. `refetch` asks to read the record at its source.
    """

    changed: bool = True
    order: Order | None = None
    member: Member | None = None
    wallets: tuple[Wallet, ...] = ()
    awards: tuple[Award, ...] = ()
    entries: tuple[Entry, ...] = ()
    counters: Mapping[CounterKey, int] = {}
    alerts: tuple[Alert, ...] = ()
    debits: tuple[Debit, ...] = ()
    redemptions: tuple[Redemption, ...] = ()
    commands: tuple[Sent, ...] = ()
    moments: Mapping[tuple[str, str], datetime] = {}
    reasons: tuple[Reason, ...] = ()
    refetch: Refetch | None = None

    @property
    def debit(self) -> Debit | None:
        """The one that was asked for."""
        return self.debits[0] if self.debits else None


class Draft:
    """Collects the changed values while one decision is made; wallets come out of it settled."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.member: Member | None = None
        self.reasons: list[Reason] = []
        self.debits: list[Debit] = []
        self.commands: list[Sent] = []
        self._redemptions: dict[str, Redemption] = {}
        self.counters = Counters(world.counters)
        #: Budgets that this decision counts against: counter → limit, in the counter's unit.
        self.budgets: dict[CounterKey, int] = {}
        self._wallets: dict[tuple[str, str], Wallet] = {}
        self._awards: dict[tuple[str, AwardKey], Award] = {}
        self._entries: list[Entry] = []
        self._lifetimes: dict[tuple[int, str, datetime, str], Lifetime] = {}
        #: When what was paid happened, by program and subject of the awards; an order knows it itself.
        self.moments: dict[tuple[str, str], datetime] = {}

    def wallet(self, member: str, name: str) -> Wallet:
        """A member's wallet, settled up to now; a new one if there is none yet."""
        key = (member, name)
        known = self._wallets.get(key)
        if known is not None:
            return known
        now, automate = self.world.now, self.world.automate
        loaded = self.world.wallets.get(key) or Wallet(member=member, name=name, booked_to=now)

        def between(wallet: Wallet, entries: tuple[Entry, ...]) -> Wallet:
            self.keep(wallet, *entries)
            if automate is not None:
                automate(self, member, name)
            return self._wallets[key]

        wallet, entries = settle(loaded, now, between if automate is not None else None)
        self.keep(wallet, *entries)
        return wallet

    def keep(self, wallet: Wallet, *entries: Entry) -> None:
        """Remember a wallet's new value and what led to it."""
        self._wallets[wallet.member, wallet.name] = wallet
        self._entries.extend(entries)

    def knows(self, member: str, name: str) -> bool:
        """Whether this decision has a member's wallet in hand already."""
        return (member, name) in self._wallets

    def lifetime(self, live: LiveProgram, offer: Offer, occurred_at: datetime, member: str) -> Lifetime:
        """Dates of what a rule pays a member for that moment; rules with the wallet's own terms share one answer."""
        by_tier = offer.terms.expire_by_tier if "expire" not in offer.rule.overrides else {}
        tier = self.tier(live, member) if by_tier else ""
        confirm = live.program.enrolment.confirm
        waits = confirm is not None and self.person(member).states.get(live.name) == "unconfirmed"
        key = (live.number, f"{offer.dates} unconfirmed" if waits else offer.dates, occurred_at, tier)
        known = self._lifetimes.get(key)
        if known is None:
            expire = by_tier.get(tier, offer.expire)
            pending = UntilEvent(event=CONFIRMED, period=confirm) if waits and confirm is not None else offer.pending
            known = lifetime(expire, pending, live.program.zone, occurred_at, live.number)
            if pending is None and known.available_from > self.world.now:
                # A source whose clock is ahead of ours must not make points wait.
                known = Lifetime(
                    available_from=self.world.now,
                    expires_at=known.expires_at,
                    program_version=live.number,
                    slides=known.slides,
                )
            self._lifetimes[key] = known
        return known

    def given(self, live: LiveProgram, member: str, wallet: str) -> Lifetime:
        """Dates of what a member gets now without a rule, usable at once."""
        expire = live.program.wallets[wallet].expire_for(self.tier(live, member))
        return lifetime(expire, None, live.program.zone, self.world.now, live.number)

    def tier(self, live: LiveProgram, member: str) -> str:
        """The tier that a member has by now; empty for none."""
        known = self.member is not None and self.member.id == member
        return tier_name(self.person(member), live.name) if known or member in self.world.members else ""

    def person(self, member: str) -> Member:
        """A member as this decision has it by now."""
        if self.member is not None and self.member.id == member:
            return self.member
        return self.world.members[member]

    def award(self, award: Award) -> None:
        """Remember an award's new value."""
        self._awards[award.subject, (award.member, award.program, award.rule)] = award

    def redemption(self, redemption: Redemption) -> None:
        """Remember a redemption's new value."""
        self._redemptions[redemption.id] = redemption

    def decision(self, order: Order | None = None, refetch: Refetch | None = None) -> Decision:
        """The decision; lots that were credited for days long past are settled once more."""
        now, automate = self.world.now, self.world.automate
        if automate is not None:
            for member, name in list(self._wallets):
                automate(self, member, name)
        for wallet in list(self._wallets.values()):
            if wallet.next_change_at is not None and wallet.next_change_at <= now:
                settled, entries = settle(wallet, now)
                self.keep(settled, *entries)
        return Decision(
            order=order,
            member=self.member,
            wallets=tuple(self._wallets.values()),
            awards=tuple(self._awards.values()),
            entries=tuple(self._entries),
            counters=self.counters.changed,
            alerts=self.counters.alerts(self.budgets) if self.budgets else (),
            debits=tuple(self.debits),
            redemptions=tuple(self._redemptions.values()),
            commands=tuple(self.commands),
            moments=self.moments,
            reasons=tuple(self.reasons),
            refetch=refetch,
        )
