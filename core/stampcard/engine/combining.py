"""Which rewards go together in a cart, and which of them together take the most off it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import floor

from stampcard.domain.orders import ZERO, OrderSnapshot
from stampcard.domain.value import Value
from stampcard.engine.discounting import Candidate, Discounting, Key, Left, Taken
from stampcard.engine.rewarding import Refusal

#: Up to so many rewards every set is weighed; above, those that take the most come first and none is put back.
EXACT = 15

#: Wallet → points that can be spent, in its smallest unit; what a wallet that is not named has does not matter.
Budgets = Mapping[str, int]


class Combination(Value, frozen=True):
    """What rewards take off a cart together, in their turn, and why others do not count."""

    taken: tuple[Taken, ...] = ()
    refused: Mapping[Key, tuple[Refusal, ...]] = {}

    @property
    def total(self) -> Decimal:
        """All that is taken off."""
        return sum((one.amount for one in self.taken), ZERO)


def clash(one: Candidate, other: Candidate) -> bool:
    """Whether two rewards do not combine: `common` with `never`; every other pair does."""
    return {one.stack, other.stack} == {"common", "never"}


def best(cart: OrderSnapshot, candidates: Iterable[Candidate], budgets: Budgets | None = None) -> Combination:
    """The rewards that together take the most off a cart, of those sets that the rules allow.

    Where a group lets only the highest, lowest or first count, that is one of all that are for this cart, by what each
    would take off alone. Of equal sets the one with fewer rewards, then the one whose rewards have their turn first.
    Exact for up to `EXACT` rewards that remain; above, they are taken up one by one, greatest first.
    """
    counted, points = Discounting(cart, candidates), budgets or {}
    refused = {number: faults for number in range(len(counted.candidates)) if (faults := counted.faults(number))}
    usable = [number for number in range(len(counted.candidates)) if number not in refused]
    refused |= _outdone(counted, usable)
    rest = [number for number in usable if number not in refused]
    weigh = _Weighing(counted, rest, points)
    chosen = weigh.all() if len(rest) <= EXACT else weigh.greedily()
    for number in rest:
        if number not in chosen:
            refused[number] = (_left_out(counted, number, chosen, points),)
    return _combination(counted, chosen, refused)


def together(cart: OrderSnapshot, given: Iterable[Candidate], budgets: Budgets | None = None) -> Combination:
    """Whether all of these rewards count in a cart; where not, why, and the best that can be made of them."""
    counted, points = Discounting(cart, given), budgets or {}
    everything = range(len(counted.candidates))
    found = {number: list(counted.faults(number)) for number in everything}
    usable = [number for number in everything if not found[number]]
    for number, outdone in _outdone(counted, usable).items():
        found[number] += outdone
    for number in everything:
        found[number] += [_not_with(other) for other in _clashing(counted, number, everything)]
        found[number] += _too_dear(counted.candidates, counted.candidates[number], points)
    refused = {number: tuple(refusals) for number, refusals in found.items() if refusals}
    if not refused:
        return _combination(counted, everything, {})
    return Combination(
        taken=best(cart, counted.candidates, points).taken,
        refused={counted.candidates[number].key: of for number, of in refused.items()},
    )


def _combination(
    counted: Discounting, chosen: Iterable[int], refused: Mapping[int, tuple[Refusal, ...]]
) -> Combination:
    return Combination(
        taken=counted.taken(chosen),
        refused={counted.candidates[number].key: refused[number] for number in sorted(refused)},
    )


def _outdone(counted: Discounting, usable: Sequence[int]) -> dict[int, tuple[Refusal, ...]]:
    """Those that do not count because only one of their group in their program does."""
    groups: dict[tuple[str, str], list[int]] = {}
    for number in usable:
        one = counted.candidates[number]
        groups.setdefault((one.program, one.stack), []).append(number)
    found: dict[int, tuple[Refusal, ...]] = {}
    for numbers in groups.values():
        many = counted.candidates[numbers[0]].many
        winner = _winner(counted, numbers)
        if many != "all":
            detail = f"only the {many} with `stack: {winner.stack}` counts, which is {winner.name!r}"
            refusal = Refusal(code="only_one_counts", detail=detail)
            found |= {number: (refusal,) for number in numbers if counted.candidates[number] is not winner}
    return found


def _winner(counted: Discounting, numbers: Sequence[int]) -> Candidate:
    """The one of a group that counts where only one does; of equals the first."""

    def standing(number: int) -> tuple[int, int, str]:
        one = counted.candidates[number]
        worth = {"highest": -counted.alone[number], "lowest": counted.alone[number]}.get(one.many, 0)
        return worth, one.priority, one.name

    return counted.candidates[min(numbers, key=standing)]


def _left_out(counted: Discounting, number: int, chosen: Sequence[int], budgets: Budgets) -> Refusal:
    """Why a reward is not in the best combination."""
    one = counted.candidates[number]
    for other in _clashing(counted, number, chosen):
        return _not_with(other)
    for refusal in _too_dear([*(counted.candidates[other] for other in chosen), one], one, budgets):
        return refusal
    return Refusal(code="adds_nothing", detail="with the others it would take nothing more off")


def _clashing(counted: Discounting, number: int, others: Iterable[int]) -> list[Candidate]:
    one = counted.candidates[number]
    return [other for place in others if clash(one, other := counted.candidates[place])]


def _not_with(other: Candidate) -> Refusal:
    return Refusal(code="not_with", detail=f"does not combine with {other.name!r}")


def _too_dear(all_: Sequence[Candidate], one: Candidate, budgets: Budgets) -> list[Refusal]:
    """Whether rewards together cost more points than are there, if this is one of them."""
    cost, there = sum(other.price for other in all_ if other.wallet == one.wallet), budgets.get(one.wallet)
    if not one.price or there is None or cost <= there:
        return []
    return [Refusal(code="insufficient_points", detail=f"together they cost {cost}, there are {there}")]


class _Weighing:
    """Looks for the set that takes the most off, of rewards that all are for the cart."""

    def __init__(self, counted: Discounting, numbers: Sequence[int], budgets: Budgets) -> None:
        self._counted = counted
        self._numbers = numbers
        self._budgets = budgets
        self._total = 0
        self._chosen: tuple[int, ...] = ()
        #: Group that is left out → what those from a place on could take off at most.
        self._rest = {group: self._sums(group) for group in ("common", "never")}

    def all(self) -> tuple[int, ...]:
        """The best of all sets; whatever cannot become better is not looked into."""
        self._visit(0, self._counted.start, 0, ())
        return self._chosen

    def greedily(self) -> tuple[int, ...]:
        """A good set: what takes the most alone comes first, once without `common` and once without `never`."""
        by_worth = sorted(self._numbers, key=lambda number: (-self._counted.alone[number], number))
        for group in ("never", "common"):
            kept: tuple[int, ...] = ()
            most = 0
            for number in by_worth:
                more = tuple(sorted((*kept, number)))
                if self._stack(number) == group or not self._affords(more):
                    continue
                total = self._total_of(more)
                if total > most:
                    kept, most = more, total
            self._keep(kept, most)
        return self._chosen

    def _sums(self, without: str) -> list[int]:
        sums = [0]
        for number in reversed(self._numbers):
            sums.append(sums[-1] + (0 if self._stack(number) == without else self._counted.alone[number]))
        return sums[::-1]

    def _visit(self, at: int, left: Left, total: int, chosen: tuple[int, ...]) -> None:
        self._keep(chosen, total)
        if at == len(self._numbers) or self._is_hopeless(at, left, total, chosen):
            return
        number = self._numbers[at]
        if self._fits(number, chosen):
            amount, after = self._counted.cut(number, left)
            if amount:
                self._visit(at + 1, after, total + amount, (*chosen, number))
        self._visit(at + 1, left, total, chosen)

    def _is_hopeless(self, at: int, left: Left, total: int, chosen: tuple[int, ...]) -> bool:
        # Nothing takes more off what others left than it does alone.
        most = total + min(max(sums[at] for sums in self._rest.values()), floor(sum(left)))
        fewest = len(chosen) + (total < self._total)
        return most < self._total or (most == self._total and fewest >= len(self._chosen))

    def _keep(self, chosen: tuple[int, ...], total: int) -> None:
        if (-total, len(chosen)) < (-self._total, len(self._chosen)):
            self._total, self._chosen = total, chosen

    def _fits(self, number: int, chosen: tuple[int, ...]) -> bool:
        one = self._counted.candidates[number]
        if any(clash(one, self._counted.candidates[other]) for other in chosen):
            return False
        return not one.price or self._affords((*chosen, number))

    def _affords(self, numbers: Iterable[int]) -> bool:
        spent: dict[str, int] = {}
        for number in numbers:
            one = self._counted.candidates[number]
            spent[one.wallet] = spent.get(one.wallet, 0) + one.price
        return all(points <= self._budgets.get(wallet, points) for wallet, points in spent.items())

    def _stack(self, number: int) -> str:
        return self._counted.candidates[number].stack

    def _total_of(self, numbers: Iterable[int]) -> int:
        left, total = self._counted.start, 0
        for number in numbers:
            amount, left = self._counted.cut(number, left)
            total += amount
        return total
