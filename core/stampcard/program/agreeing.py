"""What the parts of a program say against each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from stampcard.domain.members import BUILT_IN_ATTRIBUTES
from stampcard.program.amounts import Award, FixedAward, Formula, ItemAward, RateAward, RewardAward
from stampcard.program.cards import faults_of_cards
from stampcard.program.catalogue import faults_of_rewards
from stampcard.program.enrolment import faults_of_enrolment
from stampcard.program.events import AMOUNT, BIRTHDAY, BUILT_IN_EVENTS, OF_ORDERS, PURCHASE, REFUND, REPORTED
from stampcard.program.faults import Fault, fault_of_name, faults_of_limits_list
from stampcard.program.lifetimes import Sliding, UntilEvent
from stampcard.program.limits import Limit
from stampcard.program.messages import faults_of_messages
from stampcard.program.perks import faults_of_perks
from stampcard.program.plans import faults_of_plans
from stampcard.program.proofs import faults_of_proofs
from stampcard.program.rules import Base
from stampcard.program.tiers import faults_of_tiers

if TYPE_CHECKING:
    from stampcard.program.model import Program
    from stampcard.program.rules import Rule, Who

#: What resets a sliding expiry, beside events.
RESETS = ("earn", "spend", "redeem")
#: What pending points may wait for, beside events that name their order.
FULFILLED = "fulfilled"
#: The field of an event that says which order's points it frees.
ORDER = "order"


def faults_of(program: Program) -> list[Fault]:
    """Everything, with its place."""
    return [
        *_faults_of_names(program),
        *_faults_of_states(program),
        *_faults_of_wallets(program),
        *_faults_of_limits(program),
        *(fault for index in range(len(program.rules)) for fault in _faults_of_rule(program, index)),
        *faults_of_rewards(program),
        *faults_of_tiers(program),
        *faults_of_enrolment(program),
        *_faults_of_whom(program),
        *faults_of_perks(program),
        *faults_of_plans(program),
        *faults_of_proofs(program),
        *faults_of_messages(program),
        *faults_of_cards(program),
    ]


def _faults_of_names(program: Program) -> Iterable[Fault]:
    """Declared names that contradict what every program has."""
    for event, fields in program.events.items():
        if event in BUILT_IN_EVENTS:
            yield ("events", event), f"{event} is built in and cannot be declared"
        for field, kind in fields.items():
            known = REPORTED.get(event, {}).get(field, kind)
            if known != kind:
                yield ("events", event, field), f"{field} of the built-in event {event} is always: {known}"
    for name, declared in program.attributes.items():
        if name in BUILT_IN_ATTRIBUTES and declared != "string":
            yield ("attributes", name), f"{name} is built in and always a string"
    if program.currency in program.rates:
        yield ("rates", program.currency), "this is the program's own currency"


def _faults_of_states(program: Program) -> Iterable[Fault]:
    if program.state == "ending" and program.ending is None:
        yield ("state",), "a program that ends needs its last days: add `ending` with last_earn and last_redeem"
    if program.state == "test" and not (program.audience and program.audience.members):
        yield ("state",), "a test needs its members: name them under audience, members"


def _faults_of_whom(program: Program) -> Iterable[Fault]:
    """Tiers and segments that something is for; who may take part at all is a matter of `enrolment`."""
    if program.audience is not None and (program.audience.tiers or program.audience.segments):
        yield ("audience",), "only members have tiers and segments: write enrolment: segment NAME"
    tiers = tuple(program.tiers.levels) if program.tiers is not None else ()
    holders: list[tuple[tuple[str | int, ...], Who | None]] = [
        *((("rules", number), rule.who) for number, rule in enumerate(program.rules)),
        *((("campaigns", name), of.who) for name, of in program.campaigns.items()),
        *((("rewards", name), of.who) for name, of in program.rewards.items()),
    ]
    for place, who in holders:
        for key, names, known in (
            ("tiers", who.tiers if who is not None else (), tiers),
            ("segments", who.segments if who is not None else (), tuple(program.segments)),
        ):
            for name in names:
                fault = fault_of_name(key.removesuffix("s"), name, known)
                if fault:
                    yield (*place, "who", key), fault


def _faults_of_wallets(program: Program) -> Iterable[Fault]:
    for name, terms in program.wallets.items():
        place = ("wallets", name)
        if terms.value is not None and terms.value.currency != program.currency:
            yield (*place, "value"), f"the program's currency is {program.currency}, not {terms.value.currency}"
        rate = terms.pay.rate if terms.pay is not None else None
        if rate is not None and rate.currency != program.currency:
            yield (*place, "pay", "rate"), f"the program's currency is {program.currency}, not {rate.currency}"
        if rate is not None and not terms.spendable:
            yield (*place, "pay"), "these points cannot be spent: leave `pay` out"
        yield from _faults_of_times(program, terms.expire, terms.pending, place)


def _faults_of_times(
    program: Program, expire: object, pending: object, place: tuple[str | int, ...]
) -> Iterable[Fault]:
    if isinstance(expire, Sliding):
        for name in expire.resets:
            fault = fault_of_name("event", name, (*RESETS, *(set(program.known_events) - set(BUILT_IN_EVENTS))))
            if fault:
                yield (*place, "expire"), fault
    if isinstance(pending, UntilEvent) and pending.event != FULFILLED:
        event = pending.event
        fields = program.event_fields(event)
        if fields is None:
            yield (*place, "pending"), fault_of_name("event", event, (FULFILLED, *program.events))
        elif fields.get(ORDER) != "string":
            yield (
                (*place, "pending"),
                f"the event {event} must say whose points it frees: declare its field {ORDER}: string",
            )


def _faults_of_limits(program: Program) -> Iterable[Fault]:
    holders: tuple[tuple[str, Mapping[str, object]], ...] = (
        ("groups", program.groups),
        ("campaigns", program.campaigns),
    )
    for section, of in holders:
        for name, holder in of.items():
            place = (section, name, "limits")
            yield from faults_of_limits_list(program, holder.limits, place)  # type: ignore[attr-defined]
            yield from _faults_of_scales(program, section, name, holder.limits, place)  # type: ignore[attr-defined]


def _faults_of_scales(
    program: Program, section: str, name: str, limits: Iterable[Limit], place: tuple[str | int, ...]
) -> Iterable[Fault]:
    """Points can only be counted together where they have the same decimal places."""
    wallets = {
        rule.wallet for rule in program.rules if name in (rule.groups if section == "groups" else (rule.campaign,))
    }
    scales = {program.wallets[wallet].scale for wallet in wallets if wallet in program.wallets}
    for index, limit in enumerate(limits):
        if limit.measure == "points" and len(scales) > 1:
            yield (*place, index), f"its rules pay into wallets of different scale: {', '.join(sorted(wallets))}"


def _faults_of_rule(program: Program, index: int) -> Iterable[Fault]:
    """What a rule says against the rest of the program."""
    rule, place = program.rules[index], ("rules", index)
    found = {
        "id": _fault_of_id(program, index),
        "on": fault_of_name("event", rule.on, program.known_events) or _fault_of_birthday(program, rule),
        "wallet": _fault_of_wallet(program, rule),
        "award": _fault_of_award(program, rule, rule.award),
        "base": "only a purchase has a base" if rule.on != PURCHASE and rule.base != Base() else "",
        "campaign": fault_of_name("campaign", rule.campaign, ("", *program.campaigns)),
        "variant": _fault_of_variant(program, rule),
        "groups": next(filter(None, (fault_of_name("group", name, tuple(program.groups)) for name in rule.groups)), ""),
        "pending": _fault_of_waiting(rule),
    }
    yield from (((*place, key), message) for key, message in found.items() if message)
    for number, value in enumerate(rule.values):
        message = _fault_of_award(program, rule, value.award)
        if message:
            yield (*place, "values", number, "award"), message
        if value.tier is None and value.when is None:
            yield (*place, "values", number), "say for whom: tier or when"
    yield from _faults_of_times(program, rule.expire, rule.pending, place)
    yield from faults_of_limits_list(program, rule.limits, (*place, "limits"))


def _fault_of_id(program: Program, index: int) -> str:
    earlier = [rule.id for rule in program.rules[:index]]
    rule_id = program.rules[index].id
    return f"another rule is called {rule_id!r} already" if rule_id in earlier else ""


def _fault_of_wallet(program: Program, rule: Rule) -> str:
    if not rule.wallet and isinstance(rule.award, RewardAward):
        return ""
    if not rule.wallet:
        return f"name one of the wallets: {', '.join(program.wallets)}"
    return fault_of_name("wallet", rule.wallet, tuple(program.wallets))


def _fault_of_variant(program: Program, rule: Rule) -> str:
    if not rule.variant:
        return ""
    campaign = program.campaigns.get(rule.campaign)
    if campaign is None:
        return "a variant belongs to a campaign: say which"
    return fault_of_name("variant", rule.variant, tuple(campaign.variants))


def _fault_of_waiting(rule: Rule) -> str:
    if isinstance(rule.pending, UntilEvent) and rule.on not in OF_ORDERS:
        return "only points of an order can wait for something to happen to it"
    return ""


def _fault_of_birthday(program: Program, rule: Rule) -> str:
    if rule.on != BIRTHDAY or program.attributes.get(BIRTHDAY) == "date":
        return ""
    return "nobody's birthday is known: declare it under attributes, birthday: date"


def _fault_of_award(program: Program, rule: Rule, award: Award) -> str:
    match award:
        case RateAward(currency=currency) if currency != program.currency:
            return f"the program's currency is {program.currency}, not {currency}"
        case RateAward() if rule.on != PURCHASE and (program.event_fields(rule.on) or {}).get(AMOUNT) != "number":
            return f"only a purchase, or an event with a field {AMOUNT}: number, has an amount to earn on"
        case RewardAward(reward=reward):
            return fault_of_name("reward", reward, tuple(program.rewards)) or _fault_of_given(rule, reward)
        case ItemAward() | Formula() if rule.on != PURCHASE:
            return "only a purchase has items and a formula: award a number of points"
        case FixedAward(points=points) if (terms := program.wallets.get(rule.wallet)) is not None:
            exact = points == round(points, terms.scale)
            return "" if exact else f"{points} is finer than wallet {rule.wallet!r}, which has scale {terms.scale}"
    return ""


def _fault_of_given(rule: Rule, reward: str) -> str:
    """What a rule that gives a reward cannot say, because a reward is no number of points."""
    if not isinstance(rule.award, RewardAward):
        return "a rule that gives points gives them in every value: write a rule of its own for the reward"
    if any(not isinstance(value.award, RewardAward) for value in rule.values):
        return f"every value of a rule that gives a reward must give one too: write reward {reward}"
    if rule.on == REFUND:
        return "a rule on refunds gives points: award a number, not a reward"
    if rule.overrides:
        return "a reward has a validity of its own: leave expire and pending out"
    if rule.stack == "best":
        return "a reward cannot be compared with points: stack add or stop"
    return ""
