"""What an import gives, and what taking it back takes: points as lots with their own dates, tiers with their end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from stampcard.domain.imports import Row
from stampcard.domain.tiers import Holding, Tier, TierMoved
from stampcard.domain.value import replace
from stampcard.domain.wallets import Lot, Wallet
from stampcard.engine.dating import Lifetime, expiry_of
from stampcard.engine.gauging import Counted, Gauge, Ladder
from stampcard.engine.posting import About, post
from stampcard.engine.refunding import credit
from stampcard.engine.tiering import NEVER, given_by_hand
from stampcard.engine.versions import LiveProgram
from stampcard.engine.world import Decision, Draft, World
from stampcard.program.lifetimes import Sliding


def decide_import(
    world: World, live: LiveProgram, member: str, rows: Sequence[Row], subject: str
) -> tuple[Decision, list[int | None]]:
    """Credit each row's points, and the lots that they opened; none where they paid debt. No rule and no limit has a say."""
    draft, lots = Draft(world), list[int | None]()
    about = About(occurred_at=world.now, now=world.now, subject=subject)
    for row in rows:
        wallet = draft.wallet(member, row.wallet)
        after, entry = credit(
            wallet, row.points, lifetime_of(live, row, world.now), about, kind="import", source="imported"
        )
        draft.keep(after, entry)
        lots.append(after.opened if after.opened > wallet.opened else None)
    return draft.decision(), lots


def lifetime_of(live: LiveProgram, row: Row, now: datetime) -> Lifetime:
    """The row's own dates; without an end the points live as long as the wallet's would that become usable now."""
    expire, zone = live.program.wallets[row.wallet].expire, live.program.zone
    usable = row.available_from or now
    expires_at = row.expires_at
    if expires_at is None and not row.forever:
        expires_at = expiry_of(expire, zone, max(usable, now).astimezone(zone).date())
    return Lifetime(
        available_from=usable,
        expires_at=expires_at,
        program_version=live.number,
        slides=isinstance(expire, Sliding) and expires_at is not None,
    )


class Returned(NamedTuple):
    """A lot that is taken back, with how much of it was left."""

    wallet: str
    lot: int
    points: int


def decide_undo(
    world: World, member: str, lots: Collection[tuple[str, int]], subject: str
) -> tuple[Decision, list[Returned]]:
    """Take back what is left of these lots (wallet, number), and of what came of them; what was spent stays spent."""
    draft, returned = Draft(world), list[Returned]()
    about = About(occurred_at=world.now, now=world.now, subject=subject)
    for name in sorted({name for name, _ in lots}):
        wallet = draft.wallet(member, name)
        left = [lot for lot in wallet.lots.values() if lot.subject == subject and lot.remaining]
        if not left:
            continue
        returned += [Returned(name, _root(wallet, lot).number, lot.remaining) for lot in left]
        taken = [replace(lot, remaining=0, taken=lot.taken + lot.remaining) for lot in left]
        draft.keep(*post(wallet, "import", taken, {"imported": sum(lot.remaining for lot in left)}, about))
    return draft.decision(), returned


def _root(wallet: Wallet, lot: Lot) -> Lot:
    """The lot that an import brought, of one that was renewed, maybe several times."""
    while lot.parent is not None and lot.parent in wallet.lots:
        lot = wallet.lots[lot.parent]
    return lot


def brought_tier(
    ladder: Ladder, tier: Tier, name: str, until: datetime | None, counted: Counted, now: datetime
) -> tuple[Tier, tuple[TierMoved, ...], Holding]:
    """A tier that a member had elsewhere; one below theirs is what they fall back to."""
    place, mine = ladder.place(name), ladder.place(tier.name)
    end = until if until is not None else Gauge(ladder, tier, counted, now).end_of(place, now)
    if place > mine or (place == mine and (end or NEVER) > (tier.until or NEVER)):
        given, happened = given_by_hand(ladder, tier, name, end, counted, now)
        return given, happened, given.holdings[-1]
    holding = Holding(name=name, until=end, by_hand=True, counted_from=tier.counts_from)
    return replace(tier, holdings=(holding, *tier.holdings)), (), holding
