"""What a decision reads and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from stampcard.domain.awards import Adjustment, Award
from stampcard.domain.decisions import Reason
from stampcard.domain.events import Event, Refetch
from stampcard.domain.ledger import Entry
from stampcard.domain.members import Member
from stampcard.domain.orders import EMPTY, OrderState
from stampcard.domain.value import Value
from stampcard.domain.wallets import Wallet
from stampcard.engine.dating import lifetime
from stampcard.engine.refunding import Lifetime
from stampcard.engine.settling import settle
from stampcard.engine.spending import Debit
from stampcard.engine.versions import LiveProgram, Programs

#: (member, program, rule)
AwardKey = tuple[str, str, str]
Adjuster = Callable[[Event, Member, Award, Mapping[str, Any]], Sequence[Adjustment]]


class Pin(Value, frozen=True):
    """What an order keeps of the moment when a program first decided it.

    `version` 0 with `refused` means: this program never awards the order, for that reason. `member` holds the variables
    of `owner` as the conditions saw them; an order that changes hands keeps the version and sees its new owner.
    """

    version: int
    refused: str = ""
    owner: str = ""
    member: Mapping[str, Any] = {}


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


class World(Value, frozen=True):
    """All that one unit of work has loaded; decisions read it and never change it."""

    now: datetime
    programs: Programs
    members: Mapping[str, Member] = {}
    orders: Mapping[tuple[str, str], Order] = {}
    awards: Mapping[str, Mapping[AwardKey, Award]] = {}
    wallets: Mapping[tuple[str, str], Wallet] = {}
    adjust: Adjuster | None = None


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
    debit: Debit | None = None
    reasons: tuple[Reason, ...] = ()
    refetch: Refetch | None = None


class Draft:
    """Collects the changed values while one decision is made; wallets come out of it settled."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.member: Member | None = None
        self.reasons: list[Reason] = []
        self._wallets: dict[tuple[str, str], Wallet] = {}
        self._awards: dict[tuple[str, AwardKey], Award] = {}
        self._entries: list[Entry] = []
        self._lifetimes: dict[tuple[str, int, str, datetime], Lifetime] = {}

    def wallet(self, member: str, name: str) -> Wallet:
        """A member's wallet, settled up to now; a new one if there is none yet."""
        key = (member, name)
        known = self._wallets.get(key)
        if known is not None:
            return known
        now = self.world.now
        wallet, entries = settle(self.world.wallets.get(key) or Wallet(member=member, name=name, booked_to=now), now)
        self.keep(wallet, *entries)
        return wallet

    def keep(self, wallet: Wallet, *entries: Entry) -> None:
        """Remember a wallet's new value and what led to it."""
        self._wallets[wallet.member, wallet.name] = wallet
        self._entries.extend(entries)

    def lifetime(self, live: LiveProgram, wallet: str, occurred_at: datetime) -> Lifetime:
        """Dates of what is earned at that moment; all rules of an order share one answer."""
        key = (live.program.program, live.number, wallet, occurred_at)
        known = self._lifetimes.get(key)
        if known is None:
            terms = live.program.wallets[wallet]
            available_from, expires_at = lifetime(terms, live.program.zone, occurred_at)
            if terms.pending is None:  # a source whose clock is ahead of ours must not make points wait
                available_from = min(available_from, self.world.now)
            known = Lifetime(available_from=available_from, expires_at=expires_at, program_version=live.number)
            self._lifetimes[key] = known
        return known

    def award(self, award: Award) -> None:
        """Remember an award's new value."""
        self._awards[award.subject, (award.member, award.program, award.rule)] = award

    def decision(
        self, order: Order | None = None, debit: Debit | None = None, refetch: Refetch | None = None
    ) -> Decision:
        """The decision; lots that were credited for days long past are settled once more."""
        for wallet in list(self._wallets.values()):
            settled, entries = settle(wallet, self.world.now)
            self.keep(settled, *entries)
        return Decision(
            order=order,
            member=self.member,
            wallets=tuple(self._wallets.values()),
            awards=tuple(self._awards.values()),
            entries=tuple(self._entries),
            debit=debit,
            reasons=tuple(self.reasons),
            refetch=refetch,
        )
