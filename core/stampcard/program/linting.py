"""Hints: what a program file says rightly and probably does not mean, with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from stampcard.domain.value import Value
from stampcard.program.bounding import remarks_on_limits
from stampcard.program.costing import awards_of, back_with, percent, usual_of
from stampcard.program.deducing import always, is_constant, never
from stampcard.program.environment import environment
from stampcard.program.events import PERK, PURCHASE
from stampcard.program.model import Program
from stampcard.program.overlapping import remarks_on_rules
from stampcard.program.parsing import Document, Path, parse
from stampcard.program.reading import path_text
from stampcard.program.remarks import Remark
from stampcard.program.rules import Rule
from stampcard.program.tempting import remarks_on_rewards
from stampcard.program.timing import remarks_on_time

#: Percent of what members buy above which a program is asked whether it means that.
MUCH = 20

#: Every code, and what it hints at.
CODES: Mapping[str, str] = {
    "pays_twice": "two rules pay for the same thing, and both do",
    "shadowed": "an earlier rule with `stack: stop` leaves nothing for this one",
    "multiplies_nothing": "a multiplier without any rule whose points it could multiply",
    "gives_much": f"more than {MUCH} % of what members buy is given back",
    "no_waiting": "points can be spent before the goods come back, and are not taken back then",
    "never_true": "a condition that no event can fulfil",
    "always_true": "a condition that says nothing, because it always holds",
    "limit_not_reached": "a limit that another limit, or the event itself, makes needless",
    "over": "days that are past",
    "never_open": "days, weekdays or hours that never come together",
    "ended": "a last day of the program that is past",
    "waits_too_long": "points that wait longer than they can be used",
    "unused": "a group, campaign or variant that no rule uses, or a reward that nobody can get",
    "worth_more": "a reward for which one gets much more than its points are worth",
    "open_end": "a percentage without `at most` under a budget of money, which it may exceed",
}

_LOST = {
    "only_pending": "refunds take back only points that still wait, and none do",
    "within_balance": "points can be spent before the goods come back, and are not taken back then",
}


class Hint(Value, frozen=True):
    """One thing to think about, and where it stands (lines and columns count from 1)."""

    code: str
    message: str
    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column} {self.path}: {self.message}"


def hints(program: Program, text: str, today: date) -> list[Hint]:
    """Everything to think about in a program that was read from `text`, in the order in which it stands there."""
    document, _ = parse(text)
    found = [] if document is None else [_placed(document, remark) for remark in _remarks(program, today)]
    return sorted(found, key=lambda hint: (hint.line, hint.column))


def _remarks(program: Program, today: date) -> Iterator[Remark]:
    yield from remarks_on_rules(program)
    yield from remarks_on_limits(program)
    yield from remarks_on_time(program, today)
    yield from remarks_on_rewards(program)
    yield from _on_cost(program)
    yield from _on_waiting(program)
    yield from _on_conditions(program)


def _placed(document: Document, remark: Remark) -> Hint:
    near: Path = remark.path
    while near not in document.values and near:
        near = near[:-1]
    place, name = document.values[near], document.keys.get(near)
    if name is not None and name.line < place.line:
        place = name
    return Hint(
        code=remark.code, message=remark.message, path=path_text(remark.path), line=place.line, column=place.column
    )


def _on_cost(program: Program) -> Iterator[Remark]:
    for wallet, terms in program.wallets.items():
        usual = usual_of(program, wallet)
        if usual > MUCH:
            text = f"gives back {percent(usual)} of what members buy, as {terms.value} is what points are worth"
            yield Remark("gives_much", ("wallets", wallet, "value"), text)
            continue
        for index, rule in enumerate(program.rules):
            if rule.wallet == wallet and rule.enabled and rule.on == PURCHASE:
                yield from _on_award(program, index, rule)


def _on_award(program: Program, index: int, rule: Rule) -> Iterator[Remark]:
    for number, award in enumerate(awards_of(rule)):
        back = back_with(program, rule, award)
        if back > MUCH:
            place = ("values", number - 1, "award") if number else ("award",)
            yield Remark("gives_much", ("rules", index, *place), f"makes it {percent(back)} of what members buy")


def _on_waiting(program: Program) -> Iterator[Remark]:
    """Points of purchases that are usable at once, although a refund would take back only what is left of them."""
    told = set()
    for index, rule in enumerate(program.rules):
        if not rule.wallet:  # it gives a reward
            continue
        terms, own = program.wallets[rule.wallet], "pending" in rule.overrides
        policy, pending = terms.refunds.policy, rule.pending if own else terms.pending
        if rule.on != PURCHASE or not (rule.enabled and terms.spendable) or pending or policy == "unlimited":
            continue
        place: Path = ("rules", index, "pending") if own else ("wallets", rule.wallet, "pending")
        if place not in told:
            told.add(place)
            yield Remark("no_waiting", place, f"{_LOST[policy]}: write how long goods may come back, such as 14 days")


def _on_conditions(program: Program) -> Iterator[Remark]:
    fixed = {"order.currency": program.currency}
    for index, rule in enumerate(program.rules):
        written = [(("when",), rule.when), *((("values", n, "when"), one.when) for n, one in enumerate(rule.values))]
        for inside, condition in written:
            if condition is None or not rule.enabled:
                continue
            yield from _on_condition(program, rule.on, condition, ("rules", index, *inside), fixed)
    for name, perk in program.perks.items():
        if perk.when is not None:
            yield from _on_condition(program, PERK, perk.when, ("perks", name, "when"), fixed)


def _on_condition(program: Program, on: str, condition: str, place: Path, fixed: Mapping[str, str]) -> Iterator[Remark]:
    constant = _constant(program, on, condition)
    reason = "it reads nothing of the event" if constant is False else never(condition, fixed)
    if reason:
        yield Remark("never_true", place, f"is never true: {reason}")
    elif constant or always(condition, fixed):
        yield Remark("always_true", place, "is always true: leave it out")


def _constant(program: Program, on: str, condition: str) -> bool | None:
    """What a condition says that reads nothing; None for any other, or where it fails."""
    if not is_constant(condition):
        return None
    try:
        return environment(program, on).compile(condition).eval(data={}).plain_value() is True
    except RuntimeError:
        return None
