"""What one transaction has loaded and changed, and how it is written."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection

from stampcard.applying.capping import Bases, Capping
from stampcard.applying.encountering import Encounters
from stampcard.applying.entitling import Entitling, Grants
from stampcard.applying.proving import Proving, Verdicts
from stampcard.applying.recording import event_row, impersonal
from stampcard.applying.rewarding import Rewarding, print_of
from stampcard.applying.segmenting import Crossings, Segmenting
from stampcard.applying.setting import Setting
from stampcard.applying.subscribing import Subscribing, Terms
from stampcard.applying.tiering import Moves, Tiering
from stampcard.applying.writing import Touched, write
from stampcard.clock import to_micros
from stampcard.domain.awards import Award
from stampcard.domain.consents import Consent, given
from stampcard.domain.decisions import Alert, Change, Reason
from stampcard.domain.events import ConsentChanged, CustomEvent, DayCame, Event, HoldChanged, MembershipChanged
from stampcard.domain.happenings import Happened
from stampcard.domain.ledger import Entry
from stampcard.domain.members import Held, Member
from stampcard.domain.rewards import CHOICE, Fulfiller, Redemption
from stampcard.domain.value import Value, replace
from stampcard.domain.wallets import Wallet
from stampcard.engine.automating import automate
from stampcard.engine.counting import MEMBERS, CounterKey
from stampcard.engine.describing import Past, purchase_of, taken_of
from stampcard.engine.rewarding import keys_of
from stampcard.engine.spending import Debit
from stampcard.engine.versions import LiveProgram
from stampcard.engine.world import NO_FACTS, AwardKey, Decision, Facts, Order, World
from stampcard.program.history import HISTORY, asks_for_rewards
from stampcard.storage import loading, rows, saving
from stampcard.storage.consenting import load_consents


class Sourced(Value, frozen=True):
    """An event with where it came from: `connection` brought it, `source` owns its references.

    `past`: a backfill brought it.
    """

    event: Event
    connection: str
    source: str
    received_at: datetime
    delivery: int | None = None
    facts: Facts = NO_FACTS
    past: bool = False


#: The parts of a unit that decisions change.
_DECIDED = (
    "members", "orders", "awards", "wallets", "loaded", "entries", "seen", "debits", "counters", "pasts", "alerts",
    "redemptions", "rewarding", "tiers", "crossings", "grants", "terms", "verdicts", "bases", "encounters", "touched",
)  # fmt: skip


@dataclass(slots=True)
class Unit:
    """What one transaction has loaded and changed. Decisions see it as a World; `absorb` takes their answers in.

    `silent`: nothing is paid for what happens from now on, and nobody is told of it, as with what comes from elsewhere. `quiet`:
    nothing is paid, but everybody is told.
    """

    connection: Connection
    setting: Setting
    now: datetime
    rewarding: Rewarding = field(init=False)
    members: dict[str, Member] = field(default_factory=dict)
    orders: dict[tuple[str, str], Order] = field(default_factory=dict)
    awards: dict[str, dict[AwardKey, Award]] = field(default_factory=dict)
    wallets: dict[tuple[str, str], Wallet] = field(default_factory=dict)
    loaded: dict[tuple[str, str], Wallet] = field(default_factory=dict)
    debits: dict[str, tuple[Debit, ...]] = field(default_factory=dict)
    counters: dict[CounterKey, int] = field(default_factory=dict)
    pasts: dict[str, Past] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    seen: dict[tuple[str, str], tuple[str, datetime]] = field(default_factory=dict)
    #: `former`: what units of work before this one changed in the same transaction.
    former: list[Change] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    reserved: frozenset[tuple[str, str]] = frozenset()
    redemptions: dict[str, Redemption] = field(default_factory=dict)
    fulfillers: dict[str, tuple[Fulfiller, ...]] = field(default_factory=dict)
    tiering: Tiering = field(init=False)
    tiers: Moves = field(default_factory=Moves)
    segmenting: Segmenting = field(init=False)
    crossings: Crossings = field(default_factory=Crossings)
    entitling: Entitling = field(init=False)
    grants: Grants = field(default_factory=Grants)
    subscribing: Subscribing = field(init=False)
    terms: Terms = field(default_factory=Terms)
    proving: Proving = field(init=False)
    verdicts: Verdicts = field(default_factory=Verdicts)
    capping: Capping = field(init=False)
    bases: Bases = field(default_factory=Bases)
    encounters: Encounters = field(default_factory=Encounters)
    touched: Touched = field(default_factory=Touched)
    silent: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        self.rewarding = Rewarding(self.connection, self.setting)
        self.tiering = Tiering(self)
        self.segmenting = Segmenting(self)
        self.entitling = Entitling(self)
        self.subscribing = Subscribing(self)
        self.proving = Proving(self)
        self.capping = Capping(self)

    @property
    def world(self) -> World:
        """What decisions may read."""
        hooks = self.setting.hooks
        return World(
            now=self.now,
            programs=self.setting.programs,
            members=self.members,
            orders=self.orders,
            awards=self.awards,
            wallets=self.wallets,
            debits=self.debits,
            counters=self.counters,
            pasts=self.pasts,
            bases={id_: self.bases.of(id_) for id_ in self.members} if self.bases.known else {},
            redemptions=self.redemptions,
            fulfillers=self.fulfillers,
            mint=self.rewarding.mint,
            automate=automate if self.setting.programs.automatic and not self.silent else None,
            price_of=hooks.reward_price if hooks.implements("reward_price") else None,
            veto=hooks.redemption_veto if hooks.implements("redemption_veto") else None,
            code_print=partial(print_of, self.setting),
            work_out=hooks.award_formula,
            adjust=hooks.award_adjustments if hooks.implements("award_adjustments") else None,
        )

    @property
    def pays(self) -> bool:
        """Whether rules pay for what happens to a member's tiers, segments, perks and plans."""
        return not (self.silent or self.quiet)

    @property
    def follows(self) -> bool:
        """Whether anything follows from what members do, beside points."""
        return bool(self.tiering.live or self.proving.live or self._is_judged)

    @property
    def _is_judged(self) -> bool:
        """Whether members have plans, segments or perks."""
        return bool(self.subscribing.live or self.segmenting.live or self.entitling.live)

    def lock(
        self,
        members: Collection[str],
        orders: Collection[tuple[str, str]] = (),
        *,
        attributes: bool,
        repeated: Collection[str] | None = None,
        recall: bool = False,
    ) -> None:
        """Lock and load members, then orders with their awards, then the wallets of all members concerned.

        With `repeated` (members whose orders come more than once in this unit) lots are read only where something may
        be taken: by them, by the owners of awards that stand already, and by time. `recall`: the members' past is asked for by
        conditions of rewards.
        """
        merchant, sealer = self.setting.merchant, self.setting.sealer
        automatic = bool(self.setting.programs.automatic)
        # A plugin sees the same member whatever else happens in the unit of work; so do conditions of rewards.
        attributes = (
            attributes
            or automatic
            or "member.attributes" in self.segmenting.reads | self.entitling.reads
            or any(map(self.setting.hooks.implements, ("award_adjustments", "outbound_commands")))
            or (self.setting.programs.gives and self.setting.hooks.implements("redemption_veto"))
        )
        self.members = loading.load_members(
            self.connection, merchant, members, sealer, attributes=attributes, lock=True
        )
        subjects: list[str] = []
        if orders:
            self._reserve(orders)
            self.orders = loading.load_orders(self.connection, merchant, orders, sealer, lock=True)
            subjects = [f"order:{source}:{reference}" for source, reference in orders]
            self.awards = loading.load_awards(self.connection, merchant, subjects)
        touching = None
        programs = self.setting.programs
        if repeated is not None and not (programs.slides or programs.follows or programs.closes or automatic):
            touching = {owner for of in self.awards.values() for owner, _, _ in of} | set(repeated)
        self.wallets = loading.load_wallets(self.connection, merchant, list(self.members), subjects, touching, self.now)
        self.debits = loading.load_debits(self.connection, merchant, subjects)
        for debit in (debit for of in self.debits.values() for debit in of):
            self.load_drawn(debit)
        self.loaded = dict(self.wallets)
        self._recall(recall=recall or automatic)
        if automatic or self.setting.programs.gives:
            self.fulfillers = self.rewarding.fulfillers(list(self.members))
        self.tiering.load()
        self.segmenting.load()
        self.entitling.load()
        self.subscribing.load()
        self.proving.load()
        self.capping.load()
        if automatic or (self.follows and self.setting.programs.counts):
            self.count(())
        self.tiering.settle()
        self.proving.settle()
        self.subscribing.settle()
        self.entitling.settle()

    def look(self, *members: str, also: LiveProgram | None = None) -> None:
        """Load members to look at, with wallets and past and what could be theirs, without locking anything.

        `also`: a program that is not valid, whose conditions are to be asked, too.
        """
        merchant, sealer = self.setting.merchant, self.setting.sealer
        self.members = loading.load_members(self.connection, merchant, members, sealer, attributes=True, lock=False)
        self.wallets = loading.load_wallets(self.connection, merchant, list(members))
        self.fulfillers = self.rewarding.fulfillers(members)
        self._recall(recall=True, reads=also.reads if also is not None else frozenset())
        self.tiering.load()
        self.segmenting.load()
        self.entitling.load()
        self.subscribing.load()
        self.proving.load()
        self.capping.load()
        self.tiering.fold()

    def load_drawn(self, debit: Debit) -> None:
        """Load the lots that a spend drew from, so that points can go back into them."""
        key = (debit.member, debit.wallet)
        if debit.left and key in self.wallets:
            wallet, numbers = self.wallets[key], [draw.lot for draw in debit.draws]
            lots = loading.load_lots(self.connection, self.setting.merchant, wallet, numbers)
            self.wallets[key] = replace(wallet, lots={**lots, **wallet.lots})
            before = self.loaded.get(key, wallet)
            self.loaded[key] = replace(before, lots={**lots, **before.lots})

    def _recall(self, *, recall: bool = False, reads: frozenset[str] = frozenset()) -> None:
        """Load what conditions ask of the members' past, and their names, where any program does."""
        programs, merchant = self.setting.programs, self.setting.merchant
        asked = (programs.reward_reads if recall or programs.gives else frozenset()) | reads
        if programs.recalls or asked & HISTORY.keys():
            reads = programs.reads | programs.reward_reads | reads
            asks_points = any(name.startswith("history.points") for name in reads)
            self.pasts = loading.load_pasts(
                self.connection, merchant, self.members, points=asks_points, rewards=asks_for_rewards(reads)
            )
        if "member.consents" in programs.reads | programs.reward_reads | reads:
            said = load_consents(self.connection, merchant, self.members, self.setting.sealer, evidence=False)
            for id_, history in said.items():
                self.members[id_] = replace(self.members[id_], consents=given(history))
        if programs.names_members:
            for id_, known in loading.load_identities_of(self.connection, merchant, list(self.members)).items():
                names = frozenset(f"{row.connection}:{row.reference}" for row in known)
                self.members[id_] = replace(self.members[id_], names=names)

    def know_rewards(
        self, *, ids: Collection[str] = (), prints: Collection[str] = (), subjects: Collection[str] = ()
    ) -> None:
        """Load redemptions of locked members with what they hold, and who could make rewards real for whom."""
        merchant = self.setting.merchant
        found = self.rewarding.find(ids=ids, prints=prints, subjects=subjects)
        chosen = {one.subject.removeprefix(CHOICE) for one in found.values() if one.subject.startswith(CHOICE)}
        picked = [f"{CHOICE}{one.id}" for one in found.values() if one.kind == "choice" and one.status == "used"]
        if chosen or picked:
            found = {**found, **self.rewarding.find(ids=chosen, subjects=picked)}
        self.redemptions |= {id_: one for id_, one in found.items() if one.member in self.members}
        keys = [one.debit_key for one in self.redemptions.values() if one.price]
        known = {debit.key for of in self.debits.values() for debit in of}
        for debit in loading.load_debits_of(self.connection, merchant, keys):
            if debit.key not in known:
                self.debits[debit.key] = (debit,)
                self.load_drawn(debit)
        self.fulfillers = self.rewarding.fulfillers(list(self.members))

    def count(self, keys: Collection[CounterKey], *, lock: bool = True) -> None:
        """Load and lock counters, after everything else: what the events at hand, and the awards and redemptions loaded, may
        touch.
        """
        programs = self.setting.programs
        if not programs.counts:
            return
        automatic = {
            key
            for live, of in programs.automatic
            for member in self.members
            for key in keys_of(live, of, member, self.now)
        }
        charged = {
            CounterKey(award.program, charge.scope, charge.period, charge.member)
            for of in self.awards.values()
            for award in of.values()
            for charge in award.charges
        }
        charged |= {
            CounterKey(one.program, charge.scope, charge.period, charge.member)
            for one in self.redemptions.values()
            for charge in one.charges
        }
        together = {key._replace(member="") for key in charged if f":{MEMBERS}" in key.scope}
        own = self.tiering.keys() | self.segmenting.keys() | self.entitling.keys()
        own |= self.subscribing.keys() | self.proving.keys()
        loaded = loading.load_counters(
            self.connection, self.setting.merchant, {*keys, *charged, *together, *automatic, *own}, lock=lock
        )
        self.counters = self.counters | loaded | self.touched.counters

    def _reserve(self, orders: Collection[tuple[str, str]]) -> None:
        """On PostgreSQL a row that does not exist cannot be locked: make it, so that two workers meet there."""
        if self.connection.dialect.name == "sqlite":
            return
        self.reserved = frozenset(orders)
        now = to_micros(self.now)
        saving.insert_new(
            self.connection,
            "order_state",
            [
                rows.order_row(
                    self.setting.merchant,
                    Order(source=source, reference=reference, first_seen_at=self.now),
                    now,
                    self.setting.sealer,
                )
                for source, reference in orders
            ],
        )

    def checkpoint(self) -> tuple[Any, ...]:
        """All that decisions have changed so far, to go back to when a later part of the same delivery fails."""
        values = (getattr(self, name) for name in _DECIDED)
        return tuple(value.copy() if isinstance(value, dict | list) else value.copied() for value in values)

    def restore(self, checkpoint: tuple[Any, ...]) -> None:
        """Forget what was decided since the checkpoint."""
        effects = self.touched.effects
        for name, value in zip(_DECIDED, checkpoint, strict=True):
            setattr(self, name, value)
        saving.forget_effects(self.connection, self.setting.merchant, effects[len(self.touched.effects) :])

    def absorb(self, decision: Decision, sourced: Sourced | None = None, member: str | None = None) -> None:
        """Take a decision in; the next decision of this unit sees it."""
        if sourced is not None and decision.refetch is not None and sourced.source in self.setting.fetching:
            self.touched.fetches.add((sourced.source, decision.refetch.kind, decision.refetch.reference))
        if not decision.changed:
            return
        days = self._count(decision)
        if decision.member is not None:
            self.keep_before(decision.member.id)
            before = self.members[decision.member.id]
            self.members[decision.member.id] = decision.member
            for program in sorted(before.programs & decision.member.programs):
                self._tell_state(decision.member, program, before.states.get(program))
        former = None
        if decision.order is not None:
            known = self.orders.get(decision.order.key)
            former = known.member if known is not None and known.member != decision.order.member else None
            self.orders[decision.order.key] = decision.order
            self.touched.orders.add(decision.order.key)
            if self.setting.programs.recalls:
                self._remember(decision.order, former)
        self._absorb_points(decision)
        if sourced is not None:
            self.record(sourced, decision.reasons, decision.order, member)
            if isinstance(sourced.event, CustomEvent) and member is not None:
                self.touched.heard.append((member, sourced.event))
        self._follow(decision, sourced, member, former, days)

    def _follow(
        self,
        decision: Decision,
        sourced: Sourced | None,
        member: str | None,
        former: str | None,
        days: dict[str, set[date]],
    ) -> None:
        """Let tiers, plans, segments and perks follow a decision."""
        for id_ in sorted(self.tiering.touched(decision, days)) if self.tiering.live else ():
            self.tiering.assess(id_, days.get(id_, ()))
        if decision.order is not None and self.capping.live:
            self.capping.take(decision.order)
        if self.subscribing.live:
            self._subscribe(decision, sourced, member)
        if self._is_judged:
            for id_ in sorted({*self.segmenting.touched(decision, former), *self.terms.moved} & self.members.keys()):
                self.judge_again(id_)

    def _subscribe(self, decision: Decision, sourced: Sourced | None, member: str | None) -> None:
        """Let paid memberships be what an order or an event says."""
        if decision.order is not None:
            self.subscribing.take(decision.order)
        if sourced is not None and isinstance(sourced.event, CustomEvent) and member is not None:
            self.subscribing.hear(sourced.event, member)

    def _count(self, decision: Decision) -> dict[str, set[date]]:
        """Move what counts towards tiers, by the order and the awards as they were before."""
        if not self.tiering.live:
            return {}
        order = self.orders.get(decision.order.key) if decision.order is not None else None
        return self.tiering.count(decision, order, self.awards)

    def keep_before(self, member: str) -> None:
        """Remember a member as they were before anything changed."""
        self.touched.before.setdefault(member, self.members[member])

    def _absorb_points(self, decision: Decision) -> None:
        for award in decision.awards:
            award_key = (award.member, award.program, award.rule)
            self.awards[award.subject] = {**self.awards.get(award.subject, {}), award_key: award}
            self.touched.awards[award.subject, award_key] = award
        for wallet in decision.wallets:
            self.wallets[wallet.member, wallet.name] = wallet
            self.touched.wallets.add((wallet.member, wallet.name))
        self.entries.extend(decision.entries)
        if self.setting.programs.recalls:
            self._remember_points(decision.entries)
        self.counters.update(decision.counters)
        self.touched.counters.update(decision.counters)
        self.alerts.extend(decision.alerts)
        self.touched.commands.extend(decision.commands)
        for redemption in decision.redemptions:
            self.redemptions[redemption.id] = self.touched.redemptions[redemption.id] = redemption
        for debit in decision.debits:
            self.touched.debits[debit.key] = rows.debit_row(self.setting.merchant, debit, to_micros(self.now))
            self._keep_debit(debit)
        if self.pasts:
            self._remember_rewards(decision)

    def _keep_debit(self, debit: Debit) -> None:
        """Let the next decisions of this unit see a debit as it is now, wherever it was kept before."""
        for kept, of in list(self.debits.items()):
            if kept != debit.subject and any(one.key == debit.key for one in of):
                self.debits[kept] = tuple(one for one in of if one.key != debit.key)
        where = debit.subject or debit.key
        others = (one for one in self.debits.get(where, ()) if one.key != debit.key)
        self.debits[where] = (*others, debit)

    def _remember(self, order: Order, former: str | None) -> None:
        """Let the next decisions of this unit see the order in its member's past, and in nobody else's."""
        left = self.pasts.get(former or "")
        if left is not None:
            others = {key: one for key, one in left.purchases.items() if key != order.key}
            self.pasts[former or ""] = replace(left, purchases=others)
        purchase = purchase_of(order.state)
        past = self.pasts.get(order.member or "")
        if past is not None:
            others = {key: one for key, one in past.purchases.items() if key != order.key}
            mine = {order.key: purchase} if purchase is not None else {}
            self.pasts[order.member or ""] = replace(past, purchases={**others, **mine})

    def _remember_points(self, entries: Iterable[Entry]) -> None:
        """Let the next decisions of this unit see what was earned."""
        for entry in entries:
            past, issued = self.pasts.get(entry.member), entry.postings.get("issued")
            if past is not None and issued:
                earned = (entry.occurred_at, entry.wallet, -issued)
                self.pasts[entry.member] = replace(past, points=(*past.points, earned))

    def _remember_rewards(self, decision: Decision) -> None:
        """Let the next decisions of this unit see which rewards were taken, and what they still cost."""
        returned = {debit.key: debit.returned for of in self.debits.values() for debit in of}
        for one in decision.redemptions:
            past = self.pasts.get(one.member)
            if past is not None:
                taken = taken_of(one, returned.get(one.debit_key, 0))
                others = {id_: of for id_, of in past.taken.items() if id_ != one.id}
                mine = {one.id: taken} if taken is not None else {}
                self.pasts[one.member] = replace(past, taken={**others, **mine})
        for debit in decision.debits:
            past, id_ = self.pasts.get(debit.member), debit.key.removeprefix("redemption:")
            if past is not None and id_ in past.taken:
                now = replace(past.taken[id_], points=debit.amount - debit.returned)
                self.pasts[debit.member] = replace(past, taken={**past.taken, id_: now})

    def record(self, sourced: Sourced, reasons: Sequence[Reason], order: Order | None, member: str | None) -> None:
        """Keep an applied event with its reasons, as long as the ledger."""
        subject = order.subject if order else f"member:{member}"
        row = self._row(impersonal(sourced.event), subject, order.member if order else member, reasons)
        self.touched.events.append({**row, "connection": sourced.connection, "delivery": sourced.delivery})

    def record_day(self, came: DayCame, member: str, reasons: Sequence[Reason]) -> None:
        """Keep what a day of the calendar paid, and why it did not."""
        self.touched.events.append(self._row(came, f"member:{member}", member, reasons))

    def set_held(self, member: str, held: Held | None) -> None:
        """Put a member on hold, or let them go on."""
        self.keep_before(member)
        self.members[member] = replace(self.members[member], held=held)
        changed = HoldChanged(held=held is not None, occurred_at=self.now)
        self.touched.events.append(self._row(changed, f"member:{member}", member, ()))

    def _tell_state(self, member: Member, program: str, before: str | None) -> None:
        state = member.states.get(program)
        if state != before:
            changed = MembershipChanged(program=program, state=state or "active", occurred_at=self.now)
            self.record_own(changed, member.id, ())

    def judge_again(self, member: str) -> None:
        """Let a member's plans, segments and perks follow what changed, each behind what it may hang on."""
        if self.subscribing.live:
            self.subscribing.assess(member)
        if self.segmenting.live:
            self.segmenting.assess(member)
        if self.entitling.live:
            self.entitling.assess(member)

    def set_consents(self, member: str, consents: frozenset[str], said: Consent) -> None:
        """Let conditions see what a member agrees to now, and others know that something was said."""
        self.keep_before(member)
        self.members[member] = replace(self.members[member], consents=consents)
        self.touched.said.append(member)
        if said.state == "pending":
            self.touched.asked.append((member, said))
        told = ConsentChanged(channel=said.channel, purpose=said.purpose, state=said.state, occurred_at=said.at)
        self.touched.events.append(self._row(told, f"member:{member}", member, ()))
        self.judge_again(member)

    def record_own(self, happened: Happened, member: str, reasons: Sequence[Reason]) -> None:
        """Keep what no source told, and what was paid for it."""
        self.touched.events.append(self._row(happened, f"member:{member}", member, reasons))

    def _row(
        self,
        event: Event | Happened,
        subject: str,
        member: str | None,
        reasons: Sequence[Reason],
    ) -> dict[str, Any]:
        setting = self.setting
        return event_row(setting.merchant, setting.numbering.next(self.now), self.now, event, subject, member, reasons)

    def save(self) -> list[Change]:
        """Write everything that changed; answers what changed for whom."""
        self.changes = [*self.former, *write(self)]
        return self.changes

    def scale_of(self, wallet: str) -> int:
        """Decimal places of a wallet's figures."""
        live = self.setting.programs.of_wallet(wallet)
        return live.program.wallets[wallet].scale if live else 0
