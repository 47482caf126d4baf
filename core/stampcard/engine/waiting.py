"""Lots that something other than time changes: what they waited for happened, or their expiry slides."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from stampcard.domain.ledger import Entry
from stampcard.domain.value import replace
from stampcard.domain.wallets import Lot, Wallet
from stampcard.engine.dating import expiry_of, midnight
from stampcard.engine.posting import About, redate
from stampcard.engine.settling import activate
from stampcard.engine.versions import LiveProgram
from stampcard.engine.world import Draft
from stampcard.program.lifetimes import Expiry, Sliding

_DAY = timedelta(days=1)


def free(draft: Draft, live: LiveProgram, member: str, subject: str, what: str, at: datetime) -> None:
    """Let the member's points of a subject be used, because what they waited for happened at that moment.

    The expiry clock starts now. Points that waited in vain for too long have lapsed and stay so.
    """
    for name in live.program.wallets:
        if (member, name) not in draft.world.wallets and not draft.knows(member, name):
            continue
        wallet = draft.wallet(member, name)
        waiting = [lot for lot in wallet.lots.values() if lot.subject == subject and lot.waits_for == what]
        if waiting:
            wallet, entry = _freed(draft, live, wallet, waiting, at)
            draft.keep(wallet, entry)


def _freed(
    draft: Draft, live: LiveProgram, wallet: Wallet, waiting: Iterable[Lot], at: datetime
) -> tuple[Wallet, Entry]:
    now = draft.world.now
    start = min(at, now)
    day = start.astimezone(live.program.zone).date()
    lots = [
        replace(
            lot, available_from=start, expires_at=expiry_of(expire_of(live, wallet.name, lot), live.program.zone, day)
        )
        for lot in waiting
    ]
    return activate(wallet, lots, About(occurred_at=start, now=now))


def expire_of(live: LiveProgram, wallet: str, lot: Lot) -> Expiry | None:
    """How a lot expires: as its rule says, or its wallet."""
    for of in live.verdicts.values():
        for true, _ in of:
            if true.offer.rule.id == lot.rule:
                return true.offer.expire
    return live.program.wallets[wallet].expire


def slide(draft: Draft, live: LiveProgram, member: str, what: str, at: datetime) -> None:
    """Give a member's living points a new date where the wallet's expiry counts from the last such thing."""
    zone = live.program.zone
    for name, terms in live.program.wallets.items():
        expire = terms.expire
        known = (member, name) in draft.world.wallets or draft.knows(member, name)
        if not isinstance(expire, Sliding) or what not in expire.resets or not known:
            continue
        wallet = draft.wallet(member, name)
        dates = [lot.expires_at for lot in wallet.lots.values() if lot.slides and lot.remaining and lot.expires_at]
        # News of something older must not leave its own points behind the others.
        expires_at = max([midnight(expire.last_day(at.astimezone(zone).date()) + _DAY, zone), *dates])
        later = [lot for lot in wallet.lots.values() if _dies_before(lot, expires_at)]
        if later:
            draft.keep(redate(wallet, [replace(lot, expires_at=expires_at) for lot in later]))


def _dies_before(lot: Lot, moment: datetime) -> bool:
    return lot.slides and bool(lot.remaining) and lot.expires_at is not None and lot.expires_at < moment


def _first_day(lot: Lot, since: datetime, zone: ZoneInfo) -> date:
    """The day from which a lot's full period counts: not before it is usable."""
    return max(since, lot.available_from).astimezone(zone).date()


def date_undated(wallet: Wallet, live: LiveProgram, since: datetime) -> Wallet:
    """The wallet after its expiry was switched on: points without a date get one full period from that day.

    Points that a rule gave for ever keep doing so.
    """
    terms, zone = live.program.wallets[wallet.name], live.program.zone
    if terms.expire is None:
        return wallet
    forever = {true.offer.rule.id for of in live.verdicts.values() for true, _ in of if true.offer.expire is None}
    slides = isinstance(terms.expire, Sliding)
    undated = [
        replace(lot, expires_at=expiry_of(terms.expire, zone, _first_day(lot, since, zone)), slides=slides)
        for lot in wallet.lots.values()
        if lot.remaining and lot.expires_at is None and not lot.waits_for and lot.rule not in forever
    ]
    return redate(wallet, undated) if undated else wallet
