"""Program versions ready for use: read, compiled, found by moment or number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal

from stampcard.domain.decisions import Reason
from stampcard.domain.value import Value
from stampcard.engine.gauging import Ladder, ladder_of
from stampcard.program.amounts import Multiplier, RewardAward
from stampcard.program.campaigns import Campaign
from stampcard.program.conditions import (
    ConditionSet,
    compile_conditions,
    compile_message_conditions,
    compile_perk_conditions,
    compile_reward_conditions,
    compile_segment_conditions,
)
from stampcard.program.events import OF_ORDERS
from stampcard.program.lifetimes import Expiry, Pending, Sliding
from stampcard.program.limits import Limit
from stampcard.program.model import Program
from stampcard.program.rewards import FixedPrice, Reward
from stampcard.program.rules import Base, Rule
from stampcard.program.wallets import WalletTerms

#: What the counter of a reward's stock is called.
STOCK = "stock"


class Bound(Value, frozen=True):
    """A limit with what it limits: ``rule:<id>``, ``group:<name>`` or ``campaign:<name>``, and what it measures."""

    scope: str
    limit: Limit


class Offer(Value, frozen=True):
    """A rule with all that the rest of its program says about it. Rules with equal bases have the same object as `base`.

    `plain`: nothing but its condition decides whether and what it pays, and nothing limits it. `dates`: rules for which
    this is the same give points the same dates. `given`: the limits of the rewards that it gives.
    """

    rule: Rule
    base: Base
    terms: WalletTerms
    expire: Expiry | None
    pending: Pending | None
    campaign: Campaign | None
    bounds: tuple[Bound, ...]
    plain: bool
    dates: str
    given: tuple[Bound, ...] = ()

    @property
    def given_rewards(self) -> tuple[str, ...]:
        """The rewards that the rule may give."""
        return _given(self.rule)


class Matched(Value, frozen=True):
    """A rule that pays, or one that does not, with the reason; `undecided` when its condition failed."""

    offer: Offer
    reason: Reason | None = None
    undecided: bool = False


class Catalogued(Value, frozen=True):
    """A reward with all that the rest of its program says about it; its stock is one of its `bounds`."""

    name: str
    reward: Reward
    campaign: Campaign | None
    bounds: tuple[Bound, ...]


class LiveProgram(Value, frozen=True):
    """One version of a program, valid from a moment on until the next version is."""

    number: int
    valid_from: datetime
    program: Program
    conditions: Mapping[str, ConditionSet]
    reward_conditions: ConditionSet
    segment_conditions: ConditionSet
    perk_conditions: ConditionSet
    #: Event → the conditions of the messages that are on it, or on a day before or after.
    message_conditions: Mapping[str, ConditionSet]
    #: For each rule of an event type, by priority: what it comes to when its condition is true, and when it is not.
    verdicts: Mapping[str, tuple[tuple[Matched, Matched], ...]] = {}
    #: Every rule by its id.
    offers: Mapping[str, Offer] = {}
    #: Wallet → the rewards that are taken by themselves as soon as it has their price, the dearest first.
    automatic: Mapping[str, tuple[Catalogued, ...]] = {}
    #: Every reward by its name.
    rewards: Mapping[str, Catalogued] = {}
    #: Every variable that any condition reads, and those that conditions on orders read.
    reads: frozenset[str] = frozenset()
    order_reads: frozenset[str] = frozenset()
    #: The wallets with points whose expiry slides.
    sliding: frozenset[str] = frozenset()
    #: The wallets with points whose dates follow their member's tier.
    following: frozenset[str] = frozenset()
    #: Whether any condition asks for a member's past, anything is limited, anything is for members whom it names.
    recalls: bool = False
    counts: bool = False
    #: Whether any rule gives a reward, and whether limits count what percentages take off.
    gives: bool = False
    discounts: bool = False
    #: Its tiers, if it has any.
    ladder: Ladder | None = None
    names_members: bool = False

    @property
    def name(self) -> str:
        """The program's."""
        return self.program.program

    @property
    def slides(self) -> bool:
        """Whether the expiry of any points slides."""
        return bool(self.sliding)


def compiled(program: Program, number: int, valid_from: datetime) -> LiveProgram:
    """A version with its conditions compiled."""
    conditions = compile_conditions(program)
    bases: dict[Base, Base] = {}
    offers = {rule.id: _offer(program, rule, bases.setdefault(rule.base, rule.base)) for rule in program.rules}
    verdicts = {
        on: tuple((Matched(offer=offers[id_]), _not_true(program, offers[id_])) for id_ in of.ids)
        for on, of in conditions.items()
    }
    reward_conditions = compile_reward_conditions(program)
    segment_conditions = compile_segment_conditions(program)
    perk_conditions = compile_perk_conditions(program)
    message_conditions = compile_message_conditions(program)
    reads = segment_conditions.reads.union(
        perk_conditions.reads, *(of.reads for of in (*conditions.values(), *message_conditions.values()))
    )
    rewards = {name: _catalogued(program, name) for name in program.rewards}
    return LiveProgram(
        number=number,
        valid_from=valid_from,
        program=program,
        conditions=conditions,
        reward_conditions=reward_conditions,
        segment_conditions=segment_conditions,
        perk_conditions=perk_conditions,
        message_conditions=message_conditions,
        verdicts=verdicts,
        offers=offers,
        rewards=rewards,
        automatic=_automatic(rewards.values()),
        reads=reads,
        order_reads=frozenset[str]().union(*(of.reads for on, of in conditions.items() if on in OF_ORDERS)),
        following=frozenset(name for name, terms in program.wallets.items() if terms.when_tier_changes == "follow"),
        sliding=frozenset(
            {name for name, terms in program.wallets.items() if terms.sliding}
            | {rule.wallet for rule in program.rules if isinstance(rule.expire, Sliding)}
        ),
        recalls=any(name.startswith("history.") for name in reads),
        counts=any(offer.bounds or offer.rule.cooldown for offer in offers.values())
        or any(reward.bounds for reward in rewards.values()),
        gives=any(map(_given, program.rules)),
        discounts=any(map(_counts_discounts, rewards.values())),
        ladder=ladder_of(program),
        names_members=program.names_members,
    )


def _offer(program: Program, rule: Rule, base: Base) -> Offer:
    # A rule that gives a reward pays into no wallet, and need not name one.
    terms = program.wallets[rule.wallet or next(iter(program.wallets))]
    campaign = program.campaigns.get(rule.campaign)
    holders = [(f"rule:{rule.id}", rule.limits)]
    holders += [(f"group:{name}", program.groups[name].limits) for name in rule.groups]
    holders += [(f"campaign:{rule.campaign}", campaign.limits)] if campaign else []
    bounds = tuple(Bound(scope=f"{scope}:{limit.name}", limit=limit) for scope, limits in holders for limit in limits)
    conditioned = campaign or rule.during or rule.who or rule.values or rule.cooldown or rule.stack != "add"
    return Offer(
        rule=rule,
        base=base,
        terms=terms,
        expire=rule.expire if "expire" in rule.overrides else terms.expire,
        pending=rule.pending if "pending" in rule.overrides else terms.pending,
        campaign=campaign,
        bounds=bounds,
        plain=not (conditioned or bounds or isinstance(rule.award, Multiplier)) and rule.enabled,
        dates=f"{rule.wallet}/{rule.id}" if rule.overrides else rule.wallet,
        given=tuple(bound for name in _given(rule) for bound in _catalogued(program, name).bounds),
    )


def _given(rule: Rule) -> tuple[str, ...]:
    """The rewards that a rule may give."""
    awards = (rule.award, *(value.award for value in rule.values))
    return tuple(dict.fromkeys(award.reward for award in awards if isinstance(award, RewardAward)))


def _counts_discounts(of: Catalogued) -> bool:
    """Whether a limit of money counts a percentage."""
    is_percentage = any(gift.percent is not None for gift in of.reward.gifts)
    return is_percentage and any(bound.limit.measure == "money" for bound in of.bounds)


def _automatic(rewards: Iterable[Catalogued]) -> dict[str, tuple[Catalogued, ...]]:
    found: dict[str, list[Catalogued]] = {}
    for of in rewards:
        if of.reward.automatic is not None and of.reward.enabled:
            found.setdefault(of.reward.wallet, []).append(of)
    return {wallet: tuple(sorted(of, key=_dearest_first)) for wallet, of in found.items()}


def _dearest_first(of: Catalogued) -> tuple[Decimal, str]:
    price = of.reward.price
    return (-price.points if isinstance(price, FixedPrice) else Decimal(0), of.name)


def _catalogued(program: Program, name: str) -> Catalogued:
    reward = program.rewards[name]
    campaign = program.campaigns.get(reward.campaign)
    holders = [(f"reward:{name}", reward.limits)]
    holders += [(f"campaign:{reward.campaign}", campaign.limits)] if campaign else []
    bounds = [Bound(scope=f"{scope}:{limit.name}", limit=limit) for scope, limits in holders for limit in limits]
    if reward.stock is not None:
        stock = Limit(most=Decimal(reward.stock), measure="times", per="ever", in_all=True)
        bounds.insert(0, Bound(scope=f"reward:{name}:{STOCK}", limit=stock))
    if reward.automatic is not None:
        a_day = Limit(most=Decimal(reward.automatic), measure="times", per="day")
        bounds.append(Bound(scope=f"reward:{name}:automatic", limit=a_day))
    return Catalogued(name=name, reward=reward, campaign=campaign, bounds=tuple(bounds))


def _not_true(program: Program, offer: Offer) -> Matched:
    rule, name = offer.rule, program.program
    detail = f"not true: {rule.when}"
    reason = Reason(rule=rule.id, outcome="not_matched", code="condition", detail=detail, program=name)
    return Matched(offer=offer, reason=reason)


class Programs(Value, frozen=True):
    """Every version of every program of a merchant, each program's versions in ascending order.

    `stopped`: what was switched off: ``program:<id>``, ``rule:<program>/<id>``, ``campaign:<program>/<id>``,
    ``plugin:<name>``.
    """

    revision: int = 0
    versions: Mapping[str, tuple[LiveProgram, ...]] = {}
    stopped: frozenset[str] = frozenset()

    @property
    def reads(self) -> frozenset[str]:
        """Every variable that any condition of any version reads."""
        return frozenset[str]().union(*(live.reads for versions in self.versions.values() for live in versions))

    def asks(self, on: str, variable: str) -> bool:
        """Whether any version's condition for an event reads a variable."""
        found = (live.conditions.get(on) for versions in self.versions.values() for live in versions)
        return any(of is not None and variable in of.reads for of in found)

    @property
    def recalls(self) -> bool:
        """Whether any condition asks for a member's past."""
        return any(live.recalls for versions in self.versions.values() for live in versions)

    @property
    def counts(self) -> bool:
        """Whether anything is limited."""
        return any(live.counts for versions in self.versions.values() for live in versions)

    @property
    def automatic(self) -> tuple[tuple[LiveProgram, Catalogued], ...]:
        """Every reward of any version that is taken by itself."""
        return tuple(
            (live, of)
            for versions in self.versions.values()
            for live in versions
            for rewards in live.automatic.values()
            for of in rewards
        )

    @property
    def reward_reads(self) -> frozenset[str]:
        """Every variable that any reward's condition reads."""
        return frozenset[str]().union(
            *(live.reward_conditions.reads for versions in self.versions.values() for live in versions)
        )

    @property
    def gives(self) -> bool:
        """Whether any rule gives a reward."""
        return any(live.gives for versions in self.versions.values() for live in versions)

    @property
    def discounts(self) -> bool:
        """Whether any limit counts what percentages take off orders."""
        return any(live.discounts for versions in self.versions.values() for live in versions)

    def ladders(self, now: datetime) -> tuple[Ladder, ...]:
        """The tiers of every program that has any now."""
        return tuple(live.ladder for live in self.current(now) if live.ladder is not None)

    @property
    def follows(self) -> bool:
        """Whether the dates of any points follow their member's tier."""
        return any(live.following for versions in self.versions.values() for live in versions)

    @property
    def slides(self) -> bool:
        """Whether the expiry of any points slides."""
        return any(live.slides for versions in self.versions.values() for live in versions)

    @property
    def lasting(self) -> bool:
        """Whether any version has perks, plans or verifications, which end by themselves."""
        return any(
            live.program.perks or live.program.plans or live.program.proofs
            for of in self.versions.values()
            for live in of
        )

    @property
    def closes(self) -> bool:
        """Whether leaving a segment closes anybody's part in a program, whose points expire then."""
        return any(live.program.enrolment.leaving == "close" for of in self.versions.values() for live in of)

    def speaks(self, now: datetime) -> bool:
        """Whether any program tells its members anything now."""
        return any(live.program.messages for live in self.current(now))

    @property
    def names_members(self) -> bool:
        """Whether any program is for members whom it names."""
        return any(live.names_members for versions in self.versions.values() for live in versions)

    @property
    def tags(self) -> frozenset[str]:
        """Everything that any version of any program marks members with at the shop."""
        return frozenset(
            perk.tag
            for versions in self.versions.values()
            for live in versions
            for perk in live.program.perks.values()
            if perk.tag
        )

    def valid_at(self, program: str, moment: datetime) -> LiveProgram | None:
        """The version that was valid at that moment, or None before the first."""
        return next((v for v in reversed(self.versions[program]) if v.valid_from <= moment), None)

    def numbered(self, program: str, number: int) -> LiveProgram | None:
        """A version by its number."""
        versions = self.versions.get(program, ())
        if 0 < number <= len(versions) and versions[number - 1].number == number:
            return versions[number - 1]
        return next((v for v in versions if v.number == number), None)

    def current(self, now: datetime) -> tuple[LiveProgram, ...]:
        """The version of each program that is valid now, by program; a program that only begins later has none."""
        return tuple(live for versions in self.versions.values() if (live := _valid(versions, now)) is not None)

    def of_wallet(self, wallet: str, now: datetime | None = None) -> LiveProgram | None:
        """The newest version that has a wallet, of those that have begun by `now`; a wallet is of one program only."""
        newest_first = (v for versions in self.versions.values() for v in reversed(versions))
        having = (v for v in newest_first if wallet in v.program.wallets)
        return next((v for v in having if now is None or v.valid_from <= now), None)


def _valid(versions: tuple[LiveProgram, ...], now: datetime) -> LiveProgram | None:
    newest = versions[-1]
    return newest if newest.valid_from <= now else next((v for v in reversed(versions) if v.valid_from <= now), None)


def assembled(versions: Iterable[LiveProgram], revision: int, stopped: frozenset[str] = frozenset()) -> Programs:
    """Versions grouped by program."""
    grouped: dict[str, list[LiveProgram]] = {}
    for live in sorted(versions, key=lambda live: (live.name, live.number)):
        grouped.setdefault(live.name, []).append(live)
    return Programs(revision=revision, versions={name: tuple(of) for name, of in grouped.items()}, stopped=stopped)
