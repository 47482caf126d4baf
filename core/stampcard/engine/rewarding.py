"""What a reward is for one member now: its price, what it gives, and everything that stands against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from stampcard.domain.members import Member
from stampcard.domain.orders import OrderSnapshot
from stampcard.domain.rewards import Fulfiller
from stampcard.domain.value import Value
from stampcard.engine.capping import base_left
from stampcard.engine.counting import FINE, CounterKey, Counters, key_of
from stampcard.engine.dating import expiry_of
from stampcard.engine.describing import Past, history_variables, member_variables, order_variables, rate_of
from stampcard.engine.limiting import most_of
from stampcard.engine.matching import Occasion, campaign_refusal, closed_to, fits, is_open, not_redeeming
from stampcard.engine.pinning import stopped_of
from stampcard.engine.versions import Bound, Catalogued, LiveProgram
from stampcard.engine.world import NO_FACTS, Facts, World
from stampcard.errors import RequestRefused
from stampcard.program.conditions import ConditionError, Verdict, value_key
from stampcard.program.gifts import Gift
from stampcard.program.lifetimes import Expiry
from stampcard.program.rewards import MANUAL, OWN, POOL, SHOP, FixedPrice, ForSome, Price

_OURS = frozenset({"", OWN, POOL, MANUAL})


class Refusal(Value, frozen=True):
    """Why a reward cannot be had now: `code` for machines, `detail` for people."""

    code: str
    detail: str


class Asking(Value, frozen=True):
    """Around what a reward is looked at: what plugins know, and the cart.

    `at`: the connection that the member asks through; it comes before all others. `counted_at`: the day that limits
    count it on, if not today. `counted`: scopes of limits that the rule which gives it counted already.
    `handed_out`: people at the counter make it real at once, whoever else would.
    """

    facts: Facts = NO_FACTS
    cart: OrderSnapshot | None = None
    at: str = ""
    counted_at: datetime | None = None
    counted: frozenset[str] = frozenset()
    handed_out: bool = False


PLAIN = Asking()
#: What stands against a reward that a rule gives, or that is picked from a choice; to whom it goes was decided there.
_BINDING = frozenset(
    {"on_hold", "stopped", "draft", "program_ended", "sold_out", "limit", "not_at_shop", "shop_cannot"}
)


class Standing(Value, frozen=True):
    """A reward as it stands for one member.

    `price` and `missing` in the smallest unit of its wallet; without a price nobody can ask for it. `by`: who would make
    it real, as in Redemption. `left`: what is left of its stock, where that ends. `base_left`: for goods of how much its
    percentage still counts, where that is capped.
    """

    live: LiveProgram
    of: Catalogued
    gift: Gift
    valid: Expiry | None
    price: int | None = None
    missing: int = 0
    by: str = ""
    reference: str = ""
    left: int | None = None
    base_left: Decimal | None = None
    refusals: tuple[Refusal, ...] = ()

    def valid_until(self, now: datetime) -> datetime | None:
        """Until when it could be used if it were issued now; the last valid day is inclusive."""
        zone = self.live.program.zone
        return expiry_of(self.valid, zone, now.astimezone(zone).date())

    @property
    def worth(self) -> int:
        """What it is worth, in ten-thousandths of the program's currency; 0 where nobody said."""
        money = self.gift.money if self.gift.money is not None and self.gift.percent is None else Decimal(0)
        return int(money * FINE)

    @property
    def promised(self) -> int:
        """The most that all uses of a percentage take off, in ten-thousandths; 0 where nothing says."""
        if self.gift.percent is None or self.gift.money is None:
            return 0
        return int(self.gift.money * FINE) * self.of.reward.uses


def standing(world: World, live: LiveProgram, of: Catalogued, member: Member, asking: Asking = PLAIN) -> Standing:
    """Judge a reward for a member; the member's wallet must be settled, and the reward's counters loaded."""
    variables = reward_variables(world, live, member, asking)
    occasion = Occasion(
        at=world.now,
        member=member.id,
        variables=variables,
        names=member.names,
        stopped=stopped_of(world.programs, live.name),
        zone=str(member.attributes.get("timezone") or ""),
        lacking=asking.facts.lacking,
    )
    verdicts, options = live.reward_conditions.evaluate(variables)
    verdict = verdicts[live.reward_conditions.ids.index(of.name)]
    refusals = [*_closed(live, of, member, occasion), *_conditional(of, verdict, asking)]
    asked, gift, valid = _options(world, live, of, member, occasion, options, asking)
    price, untold = (None, [asked]) if isinstance(asked, Refusal) else (asked, [])
    by, reference, unreachable = _source(of, gift, world.fulfillers.get(member.id, ()), asking)
    active = (
        (world.wallets[wallet].sums.get("active", 0))
        if (wallet := (member.id, of.reward.wallet)) in world.wallets
        else 0
    )
    found = Standing(live=live, of=of, gift=gift, valid=valid, price=price, by=by, reference=reference)
    counters = Counters(world.counters)
    refusals += [
        *untold,
        *unreachable,
        *over_limits(found, member.id, asking.counted_at or world.now, counters, asking.counted),
    ]
    room = base_left(live, of.name, world.bases.get(member.id, ()), world.now)
    if room is not None and not room:
        refusals.append(Refusal(code="base_used_up", detail=f"it counted for {of.reward.base_cap} already"))
    missing = max(0, (price or 0) - active)
    if price is None and not untold:
        refusals.append(Refusal(code="not_for_points", detail="it is given by rules, and cannot be asked for"))
    elif missing:
        refusals.append(Refusal(code="insufficient_points", detail=f"it costs {price}, there are {active}"))
    return Standing(
        live=live, of=of, gift=gift, valid=valid, price=price, missing=missing, by=by, reference=reference,
        left=_left(live, of, counters), base_left=room, refusals=tuple(refusals),
    )  # fmt: skip


def binding(found: Standing) -> tuple[Refusal, ...]:
    """What stands against a reward that nobody asks for with points."""
    return tuple(one for one in found.refusals if one.code in _BINDING)


def vetoed(world: World, found: Standing, member: Member, facts: Facts = NO_FACTS) -> Refusal | None:
    """Why a plugin does not let a member have a reward, or cannot be asked: the last word, where nothing else is against it."""
    if world.veto is None:
        return None
    try:
        why = world.veto(found.of.name, found.live.name, member, facts.known)
    except RequestRefused as error:
        return Refusal(code="plugin_failed", detail=error.detail)
    return Refusal(code="vetoed", detail=why) if why else None


def reward_variables(world: World, live: LiveProgram, member: Member, asking: Asking) -> dict[str, Any]:
    """What the conditions of rewards read: the member, the past, facts, and the cart where there is one."""
    reads, now = live.reward_conditions.reads, world.now
    seen = member_variables(member, reads, now, live.name)
    if any(name.startswith("history.") for name in reads):
        seen |= history_variables(world.pasts.get(member.id, Past()), live.program, reads, now, None)
    rate = rate_of(live.program, asking.cart.currency, now) if asking.cart is not None else None
    if asking.cart is not None and rate is not None:
        seen |= order_variables(asking.cart, reads, rate)
    return {**seen, "facts": dict(asking.facts.known), "now": now}


def is_untold(bound: Bound, found: Standing) -> bool:
    """Whether a limit of money counts a percentage, of which nobody knows what it takes off before it is used."""
    return bound.limit.measure == "money" and found.gift.percent is not None


def keys_of(live: LiveProgram, of: Catalogued, member: str, now: datetime) -> Iterator[CounterKey]:
    """The counters that a redemption of a reward may move."""
    day = now.astimezone(live.program.zone).date()
    for bound in of.bounds:
        key = key_of(live.name, bound, day, member)
        yield key
        if bound.limit.measure == "members":
            yield key._replace(member="")


def use_of(bound: Bound, found: Standing) -> int:
    """What one redemption uses of a limit, in the counter's unit."""
    match bound.limit.measure:
        case "points":
            return found.price or 0
        case "money":
            return found.worth or found.promised
    return 1


def over_limits(
    found: Standing, member: str, now: datetime, counters: Counters, counted: frozenset[str] = frozenset()
) -> Iterator[Refusal]:
    """The limits that one more redemption would break, but for those `counted` already; it is never trimmed."""
    live = found.live
    day = now.astimezone(live.program.zone).date()
    terms = live.program.wallets.get(found.of.reward.wallet)
    for bound in (one for one in found.of.bounds if one.scope not in counted):
        key, use = key_of(live.name, bound, day, member), use_of(bound, found)
        most = most_of(bound, terms.scale if terms else 0)
        if is_untold(bound, found):
            use = max(1, use)  # where it may be anything, something must be left
        if bound.limit.measure == "members":
            over = not counters[key] and counters[key._replace(member="")] >= most
        else:
            over = (0 if bound.limit.per == "order" else counters[key]) + use > most
        if over and bound.scope.endswith(":stock"):
            yield Refusal(code="sold_out", detail=f"all {most} are gone")
        elif over:
            yield Refusal(code="limit", detail=f"{bound.scope.rpartition(':')[0]}: {bound.limit}")


def _left(live: LiveProgram, of: Catalogued, counters: Counters) -> int | None:
    if of.reward.stock is None:
        return None
    return max(0, of.reward.stock - counters[CounterKey(live.name, of.bounds[0].scope, "", "")])


def _closed(live: LiveProgram, of: Catalogued, member: Member, occasion: Occasion) -> Iterator[Refusal]:
    """What the program, its switches, days and audiences say."""
    reward, program = of.reward, live.program
    if member.held is not None:
        yield Refusal(code="on_hold", detail="the member is on hold")
    if f"program:{live.name}" in occasion.stopped:
        yield Refusal(code="stopped", detail=f"the program {live.name!r} is stopped")
    for code in filter(
        None, (not_redeeming(live, member), redeeming_closed(live, occasion.at) or _outside(live, member, occasion))
    ):
        yield Refusal(code=code, detail=CLOSED[code])
    if not reward.enabled or f"reward:{live.name}/{of.name}" in occasion.stopped:
        yield Refusal(code="stopped", detail="the reward is stopped")
    if reward.during is not None and not is_open(reward.during, program, occasion):
        yield Refusal(code="not_now", detail="it cannot be had at this time")
    if reward.who is not None and not fits(
        reward.who, f"reward:{live.name}/{of.name}", member.id, member.names, occasion.variables
    ):
        yield Refusal(code="not_for_this_member", detail="it is for others")
    country = str(member.attributes.get("country") or "")
    if reward.countries and country not in reward.countries:
        there = ", ".join(reward.countries)
        yield Refusal(
            code="other_country", detail=f"it is for {there}, the member's country is {country or 'not known'}"
        )
    if of.campaign is not None:
        code = campaign_refusal(of.campaign, reward.campaign, live, "", occasion)
        if code:
            yield Refusal(code=code, detail=f"campaign {reward.campaign}")


#: Why a member redeems nothing in a program, in words.
CLOSED: Mapping[str, str] = {
    "draft": "the program is a draft, so nobody takes part",
    "program_ended": "the program has ended: its points cannot be spent any more",
    "not_in_audience": "the program is not open to this member yet",
    "not_enrolled": "the member does not take part in the program",
    "membership_frozen": "the member's part in the program is frozen",
    "membership_closed": "the member has left the program",
    "not_confirmed": "the member has not confirmed yet that they want to take part",
}


def redeeming_closed(live: LiveProgram, now: datetime) -> str:
    """Why a program lets nobody redeem at that moment, or nothing."""
    program, ending = live.program, live.program.ending
    if program.state == "draft":
        return "draft"
    over = program.state == "ending" and ending is not None and now.astimezone(program.zone).date() > ending.last_redeem
    return "program_ended" if over or program.state == "ended" else ""


def _outside(live: LiveProgram, member: Member, occasion: Occasion) -> str:
    """Whether the member is not among those whom the program is for; its last day to earn does not matter here."""
    code = closed_to(live, occasion.at, member.id, member.names)
    return code if code == "not_in_audience" else ""


def _conditional(of: Catalogued, verdict: Verdict, asking: Asking) -> Iterator[Refusal]:
    if verdict is False:
        yield Refusal(code="condition", detail=f"not true: {of.reward.when}")
    elif isinstance(verdict, ConditionError):
        if asking.cart is None and "order." in (of.reward.when or ""):
            yield Refusal(code="cart_needed", detail="it depends on the cart: ask for it with the cart")
        else:
            lacking = (why for name, why in asking.facts.lacking.items() if repr(name) in verdict.message)
            yield Refusal(code="condition_failed", detail=next(lacking, verdict.message))


def _options(
    world: World,
    live: LiveProgram,
    of: Catalogued,
    member: Member,
    occasion: Occasion,
    verdicts: Mapping[str, Verdict],
    asking: Asking,
) -> tuple[int | Refusal | None, Gift, Expiry | None]:
    """The price, gift and validity that the first option that fits gives."""
    reward, count = of.reward, len(of.reward.prices)

    def takes(index: int, option: ForSome) -> bool:
        if option.tier is not None and option.tier != occasion.variables.get("member.tier", ""):
            return False
        if option.during is not None and not is_open(option.during, live.program, occasion):
            return False
        return option.when is None or verdicts[value_key(of.name, index)] is True

    price = next((one.price for index, one in enumerate(reward.prices) if takes(index, one)), reward.price)
    value = next((one for index, one in enumerate(reward.values) if takes(count + index, one)), None)
    gift = value.gives if value is not None and value.gives is not None else reward.gives
    valid = value.valid if value is not None and value.says_valid else reward.valid
    return _points(world, live, of, price, member, asking), gift, valid


def _points(
    world: World, live: LiveProgram, of: Catalogued, price: Price | None, member: Member, asking: Asking
) -> int | Refusal | None:
    """The price; why it is not known, where a plugin that must be asked cannot tell it."""
    if price is None:
        return None
    scale = live.program.wallets[of.reward.wallet].scale
    if isinstance(price, FixedPrice):
        return int(price.points.scaleb(scale))
    if world.price_of is None:
        return Refusal(code="no_price", detail=f"no plugin knows the price formula {price.name!r}")
    try:
        return int(world.price_of(price.name, of.name, member, asking.facts.known).scaleb(scale))
    except RequestRefused as error:
        return Refusal(code=error.code, detail=error.detail)


def _source(
    of: Catalogued, gift: Gift, fulfillers: Sequence[Fulfiller], asking: Asking
) -> tuple[str, str, list[Refusal]]:
    """Who makes it real, how the member is called there, and why nobody can."""
    source = of.reward.source
    if source in _OURS:
        return source, "", []
    if asking.handed_out:
        return OWN, "", []
    named = [one for one in fulfillers if source in {SHOP, one.connection}]
    first = sorted(named, key=lambda one: (one.connection != asking.at, one.connection))
    able = [one for one in first if gift.kind in one.kinds]
    if able:
        return able[0].connection, able[0].reference, []
    where = "any shop" if source == SHOP else repr(source)
    if named:
        return "", "", [Refusal(code="shop_cannot", detail=f"{named[0].connection!r} cannot make {gift} real")]
    return "", "", [Refusal(code="not_at_shop", detail=f"the member is not known at {where} that makes rewards real")]
