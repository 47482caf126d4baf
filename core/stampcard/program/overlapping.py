"""Rules that get in each other's way, and parts of a program that no rule uses."""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from stampcard.program.amounts import Multiplier
from stampcard.program.costing import awards_of
from stampcard.program.events import OF_ORDERS, PURCHASE
from stampcard.program.model import Program
from stampcard.program.remarks import Remark
from stampcard.program.rules import Rule


def remarks_on_rules(program: Program) -> Iterator[Remark]:
    """Everything that rules say against each other, and what none of them says."""
    for index, rule in enumerate(program.rules):
        if rule.enabled:
            yield from _of_rule(program, index, rule)
    yield from _unused(program)


def _of_rule(program: Program, index: int, rule: Rule) -> Iterator[Remark]:
    place = ("rules", index)
    twin = next((other for other in program.rules[:index] if other.enabled and _is_same(rule, other)), None)
    if twin is not None:
        text = (
            f"pays for the same as {twin.id!r}, and both do. If only the better one shall, write in both: stack: best"
        )
        yield Remark("pays_twice", place, text)
    stopper = next((other for other in _before(program, index) if _stops_always(other)), None)
    if stopper is not None:
        text = f"hardly ever pays: {stopper.id!r} comes first, is for everybody at any time, and lets no later rule pay"
        yield Remark("shadowed", place, text)
    if isinstance(rule.award, Multiplier) and not any(_feeds(other, rule) for other in program.rules):
        text = f"has nothing to multiply: no other rule on {rule.on} pays points into the wallet {rule.wallet!r}"
        yield Remark("multiplies_nothing", (*place, "award"), text)


def _is_same(rule: Rule, other: Rule) -> bool:
    if "best" in {rule.stack, other.stack} or "stop" in {rule.stack, other.stack}:
        return False
    if any(isinstance(award, Multiplier) for one in (rule, other) for award in awards_of(one)):
        return False
    return _occasion(rule) == _occasion(other)


def _occasion(rule: Rule) -> Hashable:
    """What decides whether and how often a rule pays, beside its award."""
    when = " ".join(rule.when.split()) if rule.when is not None else None
    lines = (rule.base.only, rule.base.without)
    often = (rule.limits, rule.cooldown, frozenset(rule.groups))
    whom = (rule.who, rule.campaign, rule.variant)
    return (rule.on, rule.wallet, when, rule.during, *lines, *often, *whom)


def _before(program: Program, index: int) -> list[Rule]:
    """The rules of the same event that are looked at earlier."""
    rule = program.rules[index]
    return [
        other
        for place, other in enumerate(program.rules)
        if other.enabled and other.on == rule.on and (other.priority, place) < (rule.priority, index)
    ]


def _stops_always(rule: Rule) -> bool:
    narrowed = rule.when is not None or rule.during or rule.who or rule.campaign or rule.base.only or rule.base.without
    return rule.stack == "stop" and not narrowed


def _feeds(other: Rule, multiplier: Rule) -> bool:
    """Whether a rule pays something that the multiplier multiplies."""
    together = other.on == multiplier.on or (multiplier.on in OF_ORDERS and other.on == PURCHASE)
    pays = other.enabled and not all(isinstance(award, Multiplier) for award in awards_of(other))
    return together and pays and other.wallet == multiplier.wallet


def _unused(program: Program) -> Iterator[Remark]:
    groups = {name for rule in program.rules for name in rule.groups}
    campaigns = {rule.campaign for rule in program.rules} | {one.campaign for one in program.rewards.values()}
    variants = {(rule.campaign, rule.variant) for rule in program.rules}
    for name in program.groups:
        if name not in groups:
            yield Remark("unused", ("groups", name), "no rule is in this group, so it limits nothing")
    for name, campaign in program.campaigns.items():
        if name not in campaigns:
            yield Remark("unused", ("campaigns", name), "no rule and no reward belongs to this campaign")
            continue
        for variant in campaign.variants:
            if (name, variant) not in variants:
                text = "no rule is for this variant: its members get only what all of the campaign get"
                yield Remark("unused", ("campaigns", name, "variants", variant), text)
