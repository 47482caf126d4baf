"""What a program gives back: in percent of what members buy, and for all that is no purchase in money."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from stampcard.domain.value import Value
from stampcard.program.amounts import WHOLE, Award, FixedAward, ItemAward, Multiplier, RateAward
from stampcard.program.deducing import at_least
from stampcard.program.events import PURCHASE
from stampcard.program.model import Program
from stampcard.program.rules import Rule

_NOTHING = Decimal(0)
_CENT = Decimal("0.01")


class Cost(Value, frozen=True):
    """`usual`: percent of what members buy that everybody gets back at any time; `most`: if everything comes together.

    `exact` is false where `usual` is a bound: a fixed award weighs less the larger the order is. `beside`: what rules
    pay that is no share of a purchase, in words.
    """

    usual: Decimal
    most: Decimal
    exact: bool
    beside: Mapping[str, str] = {}

    def __str__(self) -> str:
        more = f", at times up to {percent(self.most)}" if self.most > self.usual else ""
        return f"{'about' if self.exact else 'at most'} {percent(self.usual)} of what members buy{more}"


def cost_of(program: Program) -> Cost | None:
    """What a program costs if members redeem all; None where it does not say what points are worth."""
    wallets = [name for name in program.wallets if worth_of(program, name)]
    if not wallets:
        return None
    always = [rule for wallet in wallets for rule in _usual(program, wallet)]
    return Cost(
        usual=sum((usual_of(program, wallet) for wallet in wallets), _NOTHING),
        most=sum((_most_of(program, wallet) for wallet in wallets), _NOTHING),
        exact=all(isinstance(rule.award, RateAward) for rule in always),
        beside=dict(_beside(program)),
    )


def cost_lines(program: Program) -> list[str]:
    """What a program costs, as the first lines of a template say it."""
    cost = cost_of(program)
    if cost is None:
        return ["Expected cost: not known, as no wallet says what its points are worth"]
    beside = ", ".join(f"{rule} {what}" for rule, what in cost.beside.items())
    return [f"Expected cost: {cost}, if they redeem all", *([f"Beside that, each time: {beside}"] if beside else [])]


def worth_of(program: Program, wallet: str) -> Decimal:
    """What a point that can be spent is worth, in the program's money; 0 where the program does not say."""
    terms = program.wallets[wallet]
    return terms.value.money / terms.value.points if terms.value and terms.spendable else _NOTHING


def usual_of(program: Program, wallet: str) -> Decimal:
    """Percent of what members buy that a wallet always gives back."""
    return _together((rule, share_of(program, rule, rule.award)) for rule in _usual(program, wallet))


def back_with(program: Program, rule: Rule, award: Award) -> Decimal:
    """Percent that is given back where a rule pays this award beside the rules without any condition."""
    others = [(o, share_of(program, o, o.award)) for o in _plain(program, rule.wallet) if o is not rule]
    if isinstance(award, Multiplier):
        return _together(others) * award.times
    return _together([*others, (rule, share_of(program, rule, award))])


def share_of(program: Program, rule: Rule, award: Award) -> Decimal | None:
    """Percent of a purchase that an award is worth, or is worth at most; None where it is no share of it."""
    worth = worth_of(program, rule.wallet)
    if rule.on != PURCHASE or not worth:
        return None
    if isinstance(award, RateAward):
        return award.points / award.per * worth * WHOLE
    least = at_least(rule.when, "order.total")
    return award.points * worth / least * WHOLE if isinstance(award, FixedAward) and least > 0 else None


def awards_of(rule: Rule) -> tuple[Award, ...]:
    """Everything that a rule may pay."""
    return (rule.award, *(value.award for value in rule.values))


def _open(program: Program, wallet: str) -> list[Rule]:
    """The rules that give back a share of purchases to everybody at any time, maybe on a condition."""
    rules = [rule for rule in _on_purchases(program, wallet) if not (rule.during or rule.who or rule.campaign)]
    return [rule for rule in rules if share_of(program, rule, rule.award) is not None]


def _plain(program: Program, wallet: str) -> list[Rule]:
    return [rule for rule in _open(program, wallet) if rule.when is None]


def _usual(program: Program, wallet: str) -> list[Rule]:
    """The rules without a condition; where there are none, the one with a condition that gives most."""
    found = sorted(_open(program, wallet), key=lambda rule: -(share_of(program, rule, rule.award) or _NOTHING))
    return _plain(program, wallet) or found[:1]


def _on_purchases(program: Program, wallet: str) -> list[Rule]:
    return [rule for rule in program.rules if rule.on == PURCHASE and rule.enabled and rule.wallet == wallet]


def _most_of(program: Program, wallet: str) -> Decimal:
    """Percent that a wallet gives back where every rule pays the most it can."""
    rules = _on_purchases(program, wallet)
    most = _together((rule, _largest(share_of(program, rule, award) for award in awards_of(rule))) for rule in rules)
    times = ((rule, [a.times - 1 for a in awards_of(rule) if isinstance(a, Multiplier)]) for rule in rules)
    return most + _together((rule, _largest(found) * most) for rule, found in times)


def _largest(shares: Iterable[Decimal | None]) -> Decimal:
    return max(filter(None, shares), default=_NOTHING)


def _together(shares: Iterable[tuple[Rule, Decimal | None]]) -> Decimal:
    """What rules give back together: of those with `stack: best` only the best."""
    known = [(rule.stack, share) for rule, share in shares if share is not None]
    best = max((share for stack, share in known if stack == "best"), default=_NOTHING)
    return sum((share for stack, share in known if stack != "best"), best)


def _beside(program: Program) -> Iterator[tuple[str, str]]:
    for rule in program.rules:
        worth = worth_of(program, rule.wallet)
        if not (rule.enabled and worth) or share_of(program, rule, rule.award) is not None:
            continue
        match rule.award:
            case FixedAward(points=points):
                yield rule.id, money(points * worth, program.currency)
            case ItemAward(points=points):
                yield rule.id, f"{money(points * worth, program.currency)} per item"
            case RateAward(points=points, per=per):
                yield rule.id, f"{percent(points / per * worth * WHOLE)} of the amount"


def percent(share: Decimal) -> str:
    """A share as people write it: 5.0 %, 11.25 %."""
    return f"{share.quantize(_CENT):f}".removesuffix("0") + " %"


def money(amount: Decimal, currency: str) -> str:
    """An amount as people write it: 10,000 EUR, 0.25 EUR."""
    text = f"{amount.quantize(_CENT):,f}"
    return f"{text.removesuffix('.00')} {currency}"
