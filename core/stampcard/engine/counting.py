"""Counters: what limits have counted so far, by scope, period and member."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from stampcard.domain.decisions import Alert
from stampcard.engine.versions import Bound, LiveProgram, Offer
from stampcard.program.limits import Per

#: Money is counted in ten-thousandths.
FINE = Decimal(10_000)
#: Shares (percent) of a budget that are told when they are reached.
ALERTS = (80, 100)
MEMBERS = "members/"
COOLDOWN = "cooldown"


class CounterKey(NamedTuple):
    """One counter; `member` is empty where all members are counted together."""

    program: str
    scope: str
    period: str
    member: str


def period_of(per: Per, day: date) -> str:
    """The name of the period that a local day lies in; empty for what is never over."""
    year, week, _ = day.isocalendar()
    match per:
        case "day":
            return day.isoformat()
        case "week":
            return f"{year}-W{week:02}"
        case "month":
            return f"{day.year}-{day.month:02}"
        case "year":
            return str(day.year)
    return ""


def key_of(program: str, bound: Bound, day: date, member: str) -> CounterKey:
    """Where a limit's use by a member on a local day is counted; distinct members are counted one by one."""
    together = bound.limit.in_all and bound.limit.measure != "members"
    return CounterKey(program, bound.scope, period_of(bound.limit.per, day), "" if together else member)


def cooldown_key(program: str, offer: Offer, member: str) -> CounterKey:
    """Where the moment (microseconds) is kept at which a rule last paid a member."""
    return CounterKey(program, f"rule:{offer.rule.id}:{COOLDOWN}", "", member)


def keys_for(live: LiveProgram, on: str, at: datetime, member: str) -> Iterator[CounterKey]:
    """Every counter that deciding an event of a member may read."""
    day = at.astimezone(live.program.zone).date()
    for true, _ in live.verdicts.get(on, ()):
        offer = true.offer
        for bound in (*offer.bounds, *offer.given):
            key = key_of(live.name, bound, day, member)
            yield key
            if bound.limit.measure == "members":
                yield key._replace(member="")
        if offer.rule.cooldown is not None:
            yield cooldown_key(live.name, offer, member)


class Counters:
    """The counters as loaded, and as one decision changes them."""

    def __init__(self, loaded: Mapping[CounterKey, int]) -> None:
        self._loaded = loaded
        self.changed: dict[CounterKey, int] = {}

    def __getitem__(self, key: CounterKey) -> int:
        return self.changed.get(key, self._loaded.get(key, 0))

    def move(self, key: CounterKey, amount: int) -> None:
        """Count more, or give back; the first and the last award of a member also count among distinct members."""
        if not amount:
            return
        before = self[key]
        self.changed[key] = after = before + amount
        if key.member and f":{MEMBERS}" in key.scope and bool(before > 0) is not bool(after > 0):
            whole = key._replace(member="")
            self.changed[whole] = self[whole] + (1 if after > 0 else -1)

    def alerts(self, bounds: Mapping[CounterKey, int]) -> tuple[Alert, ...]:
        """What budgets (counter → limit, in the counter's unit) have just reached."""
        return tuple(
            Alert(program=key.program, scope=key.scope, period=key.period, share=share)
            for key, most in bounds.items()
            for share in ALERTS
            if key in self.changed and self._loaded.get(key, 0) * 100 < most * share <= self[key] * 100
        )
