"""Lots that something other than time changes: what they waited for happened, or their expiry slides."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from stampcard.domain.ledger import Entry
from stampcard.domain.tiers import TierMoved
from stampcard.domain.value import replace
from stampcard.domain.wallets import Lot, Wallet
from stampcard.engine.dating import expiry_of, midnight
from stampcard.engine.posting import About, redate
from stampcard.engine.settling import activate
from stampcard.engine.versions import LiveProgram
from stampcard.engine.world import Decision, Draft, World
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
    now, tier = draft.world.now, draft.tier(live, wallet.member)
    start = min(at, now)
    zone = live.program.zone
    day = start.astimezone(zone).date()
    lots = [
        replace(lot, available_from=start, expires_at=expiry_of(expire_of(live, wallet.name, lot, tier), zone, day))
        for lot in waiting
    ]
    return activate(wallet, lots, About(occurred_at=start, now=now))


def expire_of(live: LiveProgram, wallet: str, lot: Lot, tier: str) -> Expiry | None:
    """How a lot of a member of a tier expires: as its rule says, or its wallet."""
    return live.offers[lot.rule].rule.expire if _is_own(live, lot) else live.program.wallets[wallet].expire_for(tier)


def _is_own(live: LiveProgram, lot: Lot) -> bool:
    """Whether a rule says itself how long its points live."""
    offer = live.offers.get(lot.rule)
    return offer is not None and "expire" in offer.rule.overrides


def slide(draft: Draft, live: LiveProgram, member: str, what: str, at: datetime) -> None:
    """Give a member's living points a new date where their expiry counts from the last such thing."""
    for name in sorted(live.sliding):
        if (member, name) not in draft.world.wallets and not draft.knows(member, name):
            continue
        wallet, later = draft.wallet(member, name), list[Lot]()
        for way, lots in _sliding(live, wallet, draft.tier(live, member)).items():
            if what in way.resets:
                later += _moved(live, name, way, lots, at)
        if later:
            draft.keep(redate(wallet, later))


def _sliding(live: LiveProgram, wallet: Wallet, tier: str) -> dict[Sliding, list[Lot]]:
    """The living lots with a date that slides, by how they do."""
    found: dict[Sliding, list[Lot]] = {}
    ways: dict[str, Sliding | None] = {}
    for lot in wallet.lots.values():
        if not (lot.slides and lot.remaining and lot.expires_at):
            continue
        if lot.rule not in ways:
            ways[lot.rule] = _way(live, wallet.name, lot, tier)
        way = ways[lot.rule]
        if way is not None:
            found.setdefault(way, []).append(lot)
    return found


def _way(live: LiveProgram, wallet: str, lot: Lot, tier: str) -> Sliding | None:
    """How a lot slides; one of before the member had a tier whose points do not slide goes on as it was."""
    expire, others = expire_of(live, wallet, lot, tier), live.program.wallets[wallet].sliding
    return expire if isinstance(expire, Sliding) else next(iter(others), None)


def _moved(live: LiveProgram, wallet: str, way: Sliding, lots: list[Lot], at: datetime) -> list[Lot]:
    """Those of the lots that get a later date."""
    zone = live.program.zone
    dates = [midnight(way.last_day(at.astimezone(zone).date()) + _DAY, zone)]
    if len(live.program.wallets[wallet].sliding) < 2:  # noqa: PLR2004 - with several, another tier's date may be longer
        # News of something older must not leave its own points behind the others.
        dates += [lot.expires_at for lot in lots if lot.expires_at is not None]
    return [replace(lot, expires_at=max(dates)) for lot in lots if lot.expires_at and lot.expires_at < max(dates)]


def _first_day(lot: Lot, since: datetime, zone: ZoneInfo) -> date:
    """The day from which a lot's full period counts: not before it is usable."""
    return max(since, lot.available_from).astimezone(zone).date()


def follow_tier(world: World, moved: TierMoved, member: str) -> Decision:
    """Give a member's points the time that points of the new tier live, where their wallet lets them follow it.

    Nothing dies earlier than it would have; what had no end gets a full period from now.
    """
    draft, live = Draft(world), world.programs.valid_at(moved.program, world.now)
    if live is None or moved.tier == moved.before:
        return draft.decision()
    for name in sorted(name for name in live.following if (member, name) in world.wallets):
        wallet = draft.wallet(member, name)
        lots = [
            _followed(live, name, lot, moved.tier, world.now)
            for lot in wallet.lots.values()
            if lot.remaining and not lot.waits_for and not _is_own(live, lot)
        ]
        if lots:
            draft.keep(redate(wallet, lots))
    return draft.decision()


def _followed(live: LiveProgram, wallet: str, lot: Lot, tier: str, now: datetime) -> Lot:
    expire, zone = live.program.wallets[wallet].expire_for(tier), live.program.zone
    expires_at = expiry_of(expire, zone, _first_day(lot, now, zone))
    if expires_at is not None and lot.expires_at is not None:
        expires_at = max(expires_at, lot.expires_at)
    return replace(lot, expires_at=expires_at, slides=isinstance(expire, Sliding))


def date_undated(wallet: Wallet, live: LiveProgram, since: datetime, tier: str = "") -> Wallet:
    """The wallet after its expiry was switched on: points without a date get one full period from that day.

    `tier`: its member's. Points that a rule gave for ever keep doing so.
    """
    expire, zone = live.program.wallets[wallet.name].expire_for(tier), live.program.zone
    if expire is None:
        return wallet
    forever = {true.offer.rule.id for of in live.verdicts.values() for true, _ in of if true.offer.expire is None}
    slides = isinstance(expire, Sliding)
    undated = [
        replace(lot, expires_at=expiry_of(expire, zone, _first_day(lot, since, zone)), slides=slides)
        for lot in wallet.lots.values()
        if lot.remaining and lot.expires_at is None and not lot.waits_for and lot.rule not in forever
    ]
    return redate(wallet, undated) if undated else wallet
