"""What rewards take off a cart: one after the other, each to the cent, never more than is left."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import floor

from stampcard.domain.orders import ZERO, OrderLine, OrderSnapshot
from stampcard.domain.rewards import RewardKind, StackGroup
from stampcard.domain.value import Value
from stampcard.engine.rewarding import Refusal
from stampcard.program.combinations import Many, PercentOf

#: Kinds of reward that take something off a cart.
TAKING: frozenset[RewardKind] = frozenset({"amount_off", "percent_off", "free_shipping", "free_product"})
#: ISO 4217: decimal places of money, where they are not two.
_NO_PLACES = "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"  # fmt: skip
_PLACES = {**dict.fromkeys(_NO_PLACES, 0), **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)}
_HALF = Fraction(1, 2)

Key = tuple[str, str]
#: What is left of each pot, in cents. Shares of cents are kept, so that how lines are put together changes nothing.
Left = tuple[Fraction | int, ...]


class Candidate(Value, frozen=True):
    """A reward that may count in a cart; money is in the cart's currency.

    `amount`: what it takes off, or what a free product is worth; without it, one unit of the cheapest line that it is
    for and that costs anything. `many`: how many of its group in its program count. `price`: points of `wallet` that it
    costs.
    """

    program: str
    name: str
    kind: RewardKind
    amount: Decimal | None = None
    percent: Decimal | None = None
    at_most: Decimal | None = None
    minimum: Decimal | None = None
    products: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    stack: StackGroup = "common"
    on: str = "cart"
    priority: int = 0
    percent_of: PercentOf = "running"
    many: Many = "all"
    wallet: str = ""
    price: int = 0

    @property
    def key(self) -> Key:
        """What it is known by."""
        return self.program, self.name

    @property
    def place(self) -> tuple[int, bool, bool, str, str]:
        """When its turn is: by priority, off lines before off the cart, amounts before percentages, by name."""
        return self.priority, self.on != "line", self.kind == "percent_off", self.name, self.program


class Taken(Value, frozen=True):
    """What a reward takes off a cart."""

    program: str
    reward: str
    amount: Decimal

    @property
    def key(self) -> Key:
        """The reward's."""
        return self.program, self.reward


class _Cut(Value, frozen=True):
    """A reward on one cart: it is for the pots `of` and taken off the pots `over`; `fixed` cents, or a `share`."""

    of: tuple[int, ...]
    over: tuple[int, ...]
    fixed: int = 0
    share: Fraction | None = None
    #: What the share is of, if that is not what is left.
    whole: Fraction | int | None = None
    at_most: int | None = None


def places_of(currency: str) -> int:
    """Decimal places of a currency's money."""
    return _PLACES.get(currency, 2)


def lines_for(cart: OrderSnapshot, candidate: Candidate) -> list[OrderLine]:
    """The lines that a reward is for; never a gift card."""
    if not (candidate.products or candidate.collections):
        return [line for line in cart.lines if not line.gift_card]
    return [line for line in cart.lines if not line.gift_card and _fits(candidate, line)]


def _fits(candidate: Candidate, line: OrderLine) -> bool:
    return line.product in candidate.products or not set(candidate.collections).isdisjoint(line.collections)


class Discounting:
    """One cart, made ready to be asked what rewards take off it; rewards go by their number in `candidates`.

    Their turn is by priority, lower first, then those off lines before those off the cart, amounts before percentages,
    then by name. Lines that the same rewards are for share a pot, and shipping has one of its own; what is taken off
    several pots is shared in proportion to what is left of each.
    """

    def __init__(self, cart: OrderSnapshot, candidates: Iterable[Candidate]) -> None:
        self.cart = cart
        self.candidates = tuple(sorted(candidates, key=lambda one: one.place))
        self._places = places_of(cart.currency)
        self._goods = [line for line in cart.lines if not line.gift_card]
        chosen = [self._lines(one) for one in self.candidates]
        marks = [tuple(id(line) in lines for lines in chosen) for line in self._goods]
        pots = list(dict.fromkeys(marks))
        sums = dict.fromkeys(pots, 0)
        for line, mark in zip(self._goods, marks, strict=True):
            sums[mark] += self._amount(line)
        self._shipping = len(pots)
        self.start: Left = (*sums.values(), self._cents(cart.shipping))
        numbers = range(len(self.candidates))
        self._cuts = [self._cut(self.candidates[n], [p for p, mark in enumerate(pots) if mark[n]]) for n in numbers]
        self.alone = tuple(self.cut(number, self.start)[0] for number in numbers)

    def cut(self, number: int, left: Left) -> tuple[int, Left]:
        """What a reward takes off what is left, in cents, and what is left then."""
        cut = self._cuts[number]
        there = sum(left[pot] for pot in cut.of)
        wanted = cut.fixed
        if cut.share is not None:
            wanted = floor(cut.share * (there if cut.whole is None else cut.whole) + _HALF)
        if cut.at_most is not None:
            wanted = min(wanted, cut.at_most)
        amount = min(wanted, floor(there))
        if not amount:
            return 0, left
        kept = 1 - Fraction(amount) / sum(left[pot] for pot in cut.over)
        return amount, tuple(one * kept if pot in cut.over else one for pot, one in enumerate(left))

    def taken(self, numbers: Iterable[int]) -> tuple[Taken, ...]:
        """What each of these rewards takes off the cart when they come together."""
        return tuple(self._taken(numbers))

    def faults(self, number: int) -> tuple[Refusal, ...]:
        """Why a reward is not for this cart."""
        one, found = self.candidates[number], []
        goods = sum(map(self._amount, self._goods))
        if one.minimum is not None and goods < self._cents(one.minimum):
            detail = f"it needs goods for {self.money(self._cents(one.minimum))}, there are {self.money(goods)}"
            found.append(Refusal(code="minimum_not_met", detail=f"{detail} {self.cart.currency}"))
        is_for_all = not (one.products or one.collections)
        if not lines_for(self.cart, one) and not (is_for_all and one.kind == "free_shipping"):
            found.append(Refusal(code="no_fitting_line", detail="nothing in the cart is what it is for"))
        elif not self.alone[number]:
            found.append(Refusal(code="takes_nothing", detail="there is nothing that it could take off"))
        return tuple(found)

    def money(self, cents: int) -> Decimal:
        """Cents as money."""
        return Decimal(cents).scaleb(-self._places)

    def _taken(self, numbers: Iterable[int]) -> Iterator[Taken]:
        left = self.start
        for number in sorted(numbers):
            amount, left = self.cut(number, left)
            one = self.candidates[number]
            yield Taken(program=one.program, reward=one.name, amount=self.money(amount))

    def _cut(self, one: Candidate, of: Sequence[int]) -> _Cut:
        if one.kind == "free_shipping":
            return _Cut(of=(self._shipping,), over=(self._shipping,), fixed=int(self.start[self._shipping]))
        is_narrow = one.on == "line" or _is_one_unit(one)
        over = tuple(of) if is_narrow else tuple(range(self._shipping))
        share = None if one.percent is None else Fraction(one.percent) / 100
        return _Cut(
            of=tuple(of),
            over=over,
            fixed=self._unit(one) if _is_one_unit(one) else self._cents(one.amount or ZERO),
            share=share,
            whole=sum(self.start[pot] for pot in of) if one.percent_of == "initial" else None,
            at_most=None if one.at_most is None else self._cents(one.at_most),
        )

    def _lines(self, one: Candidate) -> Collection[int]:
        """The identities of the lines that a reward takes its money from."""
        lines = lines_for(self.cart, one)
        cheapest = self._cheapest(lines) if _is_one_unit(one) else None
        return {id(line) for line in ([cheapest] if cheapest is not None else lines)}

    def _unit(self, one: Candidate) -> int:
        cheapest = self._cheapest(lines_for(self.cart, one))
        return 0 if cheapest is None else self._unit_price(cheapest)

    def _cheapest(self, lines: Iterable[OrderLine]) -> OrderLine | None:
        priced = [line for line in lines if self._unit_price(line)]
        return min(priced, key=self._unit_price) if priced else None

    def _unit_price(self, line: OrderLine) -> int:
        return floor(Fraction(self._amount(line), max(1, line.quantity)) + _HALF)

    def _amount(self, line: OrderLine) -> int:
        return self._cents(max(ZERO, line.gross - line.discount))

    def _cents(self, money: Decimal) -> int:
        return int(money.scaleb(self._places).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _is_one_unit(one: Candidate) -> bool:
    return one.kind == "free_product" and one.amount is None


def taken_off(cart: OrderSnapshot, rewards: Iterable[Candidate]) -> tuple[Taken, ...]:
    """What each of these rewards takes off a cart when they come together, in their turn."""
    counted = Discounting(cart, rewards)
    return counted.taken(range(len(counted.candidates)))
