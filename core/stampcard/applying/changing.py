"""What one unit of work changed for one member, as those are told who want to know."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from stampcard.domain.decisions import Change
from stampcard.domain.ledger import Entry
from stampcard.domain.members import Member
from stampcard.domain.perks import PerkChanged, PerkUsed
from stampcard.domain.plans import PlanChanged
from stampcard.domain.proofs import ProofChanged
from stampcard.domain.rewards import Redemption
from stampcard.domain.tiers import TierMoved
from stampcard.domain.value import replace
from stampcard.domain.wallets import Wallet, balance_of

#: What is to be marked at the shop has changed.
MARKED = "marked"


def kinds_of(
    entries: Iterable[Entry],
    redemptions: Iterable[Redemption],
    before: Mapping[str, Member],
    after: Mapping[str, Member],
    tiers: Iterable[tuple[str, TierMoved]],
) -> dict[str, set[str]]:
    """Member → the kinds of what changed: of entries, ``join``, ``on_hold``, ``hold_ended``, ``redemption_<status>``, ``tier_<way>``."""
    kinds: dict[str, set[str]] = {}
    for entry in entries:
        kinds.setdefault(entry.member, set()).add(entry.kind)
    for redemption in redemptions:
        kinds.setdefault(redemption.member, set()).add(f"redemption_{redemption.status}")
    for member, known in before.items():
        if after[member].programs != known.programs:
            kinds.setdefault(member, set()).add("join")
        elif after[member].states != known.states:
            kinds.setdefault(member, set()).add("membership")
        if (after[member].held is None) != (known.held is None):
            kinds.setdefault(member, set()).add("hold_ended" if after[member].held is None else "on_hold")
        into = after[member].merged_into
        if into != known.merged_into:
            for one in (member, into or known.merged_into or member):
                kinds.setdefault(one, set()).add("merge" if into is not None else "unmerge")
    for member, moved in tiers:
        kinds.setdefault(member, set()).add(f"tier_{moved.way}")
    return kinds


def perk_kind(happened: PerkChanged | PerkUsed) -> str:
    """The kind of what happened to a perk: ``perk_gained``, ``perk_lost``, ``perk_used``, ``perk_returned``."""
    if isinstance(happened, PerkChanged):
        return "perk_gained" if happened.gained else "perk_lost"
    return "perk_returned" if happened.cancelled else "perk_used"


def change_of(
    person: Member,
    kinds: Collection[str],
    wallets: Mapping[str, Wallet],
    loaded: Mapping[tuple[str, str], Wallet],
    scales: Mapping[str, int],
    redemptions: Iterable[Redemption],
    tiers: Iterable[tuple[str, TierMoved]],
    perks: Iterable[tuple[str, PerkChanged | PerkUsed]],
    plans: Iterable[tuple[str, PlanChanged]],
    proofs: Iterable[tuple[str, ProofChanged]],
    now: datetime,
) -> Change:
    """The change of one member; `loaded`: the wallets as they were."""
    before = {name: loaded.get((person.id, name)) for name in wallets}
    was = {name: wallet.sums.get("active", 0) if wallet is not None else 0 for name, wallet in before.items()}
    balances = {name: balance_of(wallet.sums, scales[name]) for name, wallet in wallets.items()}
    return Change(
        member=person.id,
        version=person.version,
        occurred_at=now,
        kinds=tuple(sorted(kinds)),
        balances=balances,
        delta={name: balance.active - was[name] for name, balance in balances.items()},
        redemptions=tuple(replace(one, voucher=None) for one in redemptions if one.member == person.id),
        merged_into=person.merged_into,
        tiers=tuple(moved for member, moved in tiers if member == person.id),
        perks=tuple(happened for member, happened in perks if member == person.id),
        plans=tuple(changed for member, changed in plans if member == person.id),
        proofs=tuple(changed for member, changed in proofs if member == person.id),
    )
