"""Two programs side by side over many lives, in a memory that does not grow with them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from heapq import heappush, heappushpop

from stampcard.domain.value import Value
from stampcard.engine.simulating import Life, Lived, Paid
from stampcard.engine.versions import LiveProgram
from stampcard.engine.wording import sentence


class Sample(Value, frozen=True):
    """One order or event for which the programs pay otherwise: points of one wallet, and why."""

    member: str
    subject: str
    wallet: str
    before: int
    after: int
    words: tuple[str, ...]


@dataclass(slots=True)
class Sums:
    """Points and how many awards they were, before and after."""

    before: int = 0
    after: int = 0
    times_before: int = 0
    times_after: int = 0

    def add(self, points: int, *, is_after: bool) -> None:
        """Count one award."""
        if is_after:
            self.after += points
            self.times_after += 1
        else:
            self.before += points
            self.times_before += 1


@dataclass(slots=True)
class Members:
    """How many members have more, fewer or the same points in one wallet."""

    more: int = 0
    fewer: int = 0
    same: int = 0

    def add(self, before: int, after: int) -> None:
        """Count one member."""
        self.more += after > before
        self.fewer += after < before
        self.same += after == before


@dataclass(slots=True)
class Tally:
    """What a program as it is (None where there is none yet) and a changed one come to."""

    before: LiveProgram | None
    after: LiveProgram
    wanted: int = 5
    members: int = 0
    steps: int = 0
    lacking: dict[str, int] = field(default_factory=dict)
    undecided: int = 0
    failed: int = 0
    wallets: dict[str, Sums] = field(default_factory=dict)
    people: dict[str, Members] = field(default_factory=dict)
    rules: dict[tuple[str, str], Sums] = field(default_factory=dict)
    _samples: list[tuple[int, str, Sample]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for live in filter(None, (self.before, self.after)):
            for wallet in live.program.wallets:
                self.wallets.setdefault(wallet, Sums())
                self.people.setdefault(wallet, Members())

    @property
    def samples(self) -> list[Sample]:
        """A few, drawn so that every subject that differs had the same chance; always the same ones."""
        return [sample for _, _, sample in sorted(self._samples, key=lambda one: (-one[0], one[1]))]

    def add(self, life: Life, before: Lived, after: Lived) -> None:
        """Count one life."""
        if not after.steps:
            return
        self.members += 1
        self.steps += after.steps
        self.undecided += after.undecided
        self.failed += after.failed
        for name, count in after.lacking.items():
            self.lacking[name] = self.lacking.get(name, 0) + count
        for lived, is_after in ((before, False), (after, True)):
            for paid in lived.paid:
                self.wallets[paid.wallet].add(paid.points, is_after=is_after)
                self.rules.setdefault((paid.rule, paid.wallet), Sums()).add(paid.points, is_after=is_after)
        for wallet, people in self.people.items():
            people.add(_sum(before, wallet), _sum(after, wallet))
        self._draw(life.member.id, before, after)

    def _draw(self, member: str, before: Lived, after: Lived) -> None:
        for subject, wallet, old, new in _differing(before, after):
            # The smallest digests are a fair draw, and nothing but they must be remembered.
            name = f"{member}\0{subject}\0{wallet}"
            rank = -int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
            if len(self._samples) >= self.wanted and (not self._samples or rank < self._samples[0][0]):
                continue
            words = tuple(self._why(subject, before, after))
            sample = Sample(member=member, subject=subject, wallet=wallet, before=old, after=new, words=words)
            if len(self._samples) < self.wanted:
                heappush(self._samples, (rank, name, sample))
            else:
                heappushpop(self._samples, (rank, name, sample))

    def _why(self, subject: str, before: Lived, after: Lived) -> Iterator[str]:
        """What the changed program says of each rule that pays otherwise."""
        dues = [{one.rule: one.points for one in lived.paid if one.subject == subject} for lived in (before, after)]
        said = {reason.rule: reason for reason in after.reasons.get(subject, ()) if reason.outcome != "changed"}
        for rule in sorted(dues[0].keys() | dues[1].keys()):
            if dues[0].get(rule) == dues[1].get(rule):
                continue
            if rule in said:
                yield sentence(said[rule], self.after)
            elif rule not in self.after.offers:
                yield f"Rule {rule!r} is not there any more."
        yield from (sentence(reason, self.after) for name, reason in said.items() if name == self.after.name)


def _sum(lived: Lived, wallet: str) -> int:
    return sum(paid.points for paid in lived.paid if paid.wallet == wallet)


def _differing(before: Lived, after: Lived) -> Iterator[tuple[str, str, int, int]]:
    """Subjects and wallets with other points: (subject, wallet, before, after)."""
    old, new = _by_subject(before.paid), _by_subject(after.paid)
    for key in sorted(old.keys() | new.keys()):
        if old.get(key, 0) != new.get(key, 0):
            yield *key, old.get(key, 0), new.get(key, 0)


def _by_subject(paid: tuple[Paid, ...]) -> dict[tuple[str, str], int]:
    sums: dict[tuple[str, str], int] = {}
    for one in paid:
        sums[one.subject, one.wallet] = sums.get((one.subject, one.wallet), 0) + one.points
    return sums


def worth_of(live: LiveProgram | None, wallet: str, points: int) -> Decimal | None:
    """What points of a wallet are worth in the program's money, where it says so."""
    terms = None if live is None else live.program.wallets.get(wallet)
    if terms is None or terms.value is None:
        return None
    return Decimal(points).scaleb(-terms.scale) * terms.value.money / terms.value.points
