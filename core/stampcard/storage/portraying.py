"""What one member has and may still get: what waits for what, what expires when, how much of each limit is used."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from stampcard.clock import from_micros
from stampcard.domain.value import Value
from stampcard.domain.wallets import Lot, Wallet, draw_key
from stampcard.engine.counting import CounterKey, cooldown_key, key_of
from stampcard.engine.dating import midnight
from stampcard.engine.limiting import most_of
from stampcard.engine.versions import Bound, LiveProgram, Offer, Programs
from stampcard.program.limits import Limit, Per
from stampcard.storage.reading import counters_of, folded_wallets

_DAY = timedelta(days=1)


class WalletTold(Value, frozen=True):
    """A wallet as of now, with its living lots in the order in which they are drawn from."""

    live: LiveProgram
    wallet: Wallet
    lots: tuple[Lot, ...]

    @property
    def scale(self) -> int:
        """Decimal places."""
        return self.live.program.wallets[self.wallet.name].scale

    @property
    def expiring(self) -> dict[datetime, int]:
        """What will expire, by moment."""
        found: dict[datetime, int] = {}
        for lot in self.lots:
            if lot.expires_at is not None and not lot.waits_for:
                found[lot.expires_at] = found.get(lot.expires_at, 0) + lot.remaining
        return dict(sorted(found.items()))


class LimitTold(Value, frozen=True):
    """How much of a limit is used in the period of today, in the unit of its counter.

    `counts_member`: of a limit on distinct members, whether this one is among them.
    """

    program: str
    holder: str
    limit: Limit
    scale: int
    period: str
    used: int
    most: int
    resets_at: datetime | None
    counts_member: bool = False


class Resting(Value, frozen=True):
    """A rule that paid a short time ago and pays again from that moment on."""

    program: str
    rule: str
    until: datetime


class Portrait(Value, frozen=True):
    """Everything about one member's points."""

    wallets: tuple[WalletTold, ...]
    limits: tuple[LimitTold, ...]
    resting: tuple[Resting, ...]


def portray(connection: Connection, merchant: str, member: str, programs: Programs, now: datetime) -> Portrait:
    """What a member has now, by the versions that are valid now."""
    lives = programs.current(now)
    counters = counters_of(connection, merchant, programs, [member])
    return Portrait(
        wallets=tuple(_wallets(connection, merchant, member, programs, now)),
        limits=tuple(told for live in lives for told in _limits(live, member, counters, now)),
        resting=tuple(told for live in lives for told in _resting(live, member, counters, now)),
    )


def _wallets(
    connection: Connection, merchant: str, member: str, programs: Programs, now: datetime
) -> Iterator[WalletTold]:
    for wallet in sorted(folded_wallets(connection, merchant, [member], now), key=lambda wallet: wallet.name):
        live = programs.of_wallet(wallet.name)
        if live is not None and wallet.name in live.program.wallets:
            lots = sorted((lot for lot in wallet.lots.values() if lot.remaining), key=draw_key)
            yield WalletTold(live=live, wallet=wallet, lots=tuple(lots))


def _limits(live: LiveProgram, member: str, counters: Mapping[CounterKey, int], now: datetime) -> Iterator[LimitTold]:
    day = now.astimezone(live.program.zone).date()
    for offer, bound in _bounds(live):
        key = key_of(live.name, bound, day, member)
        is_distinct = bound.limit.measure == "members"
        following = next_period(bound.limit.per, day)
        yield LimitTold(
            program=live.name,
            holder=bound.scope.rpartition(":")[0],
            limit=bound.limit,
            scale=offer.terms.scale if bound.limit.measure == "points" else 0,
            period=key.period,
            used=counters.get(key._replace(member="") if is_distinct else key, 0),
            most=most_of(bound, offer.terms.scale),
            resets_at=None if following is None else midnight(following, live.program.zone),
            counts_member=is_distinct and counters.get(key, 0) > 0,
        )


def _bounds(live: LiveProgram) -> Iterable[tuple[Offer, Bound]]:
    """Each limit that counts beyond one order, once, however many rules it is shared by."""
    found: dict[str, tuple[Offer, Bound]] = {}
    for offer in live.offers.values():
        for bound in offer.bounds:
            if bound.limit.per != "order":
                found.setdefault(bound.scope, (offer, bound))
    return found.values()


def _resting(live: LiveProgram, member: str, counters: Mapping[CounterKey, int], now: datetime) -> Iterator[Resting]:
    for offer in live.offers.values():
        last = counters.get(cooldown_key(live.name, offer, member), 0)
        if last and offer.rule.cooldown is not None:
            until = from_micros(last) + offer.rule.cooldown
            if until > now:
                yield Resting(program=live.name, rule=offer.rule.id, until=until)


def next_period(per: Per, day: date) -> date | None:
    """The first day of the period after the one that a day lies in; None where it is never over."""
    match per:
        case "day":
            return day + _DAY
        case "week":
            return day + timedelta(days=7 - day.weekday())
        case "month":
            return date(day.year + day.month // 12, day.month % 12 + 1, 1)
        case "year":
            return date(day.year + 1, 1, 1)
    return None
