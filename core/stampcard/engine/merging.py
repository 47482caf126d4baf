"""Two members who are one person: what one has goes on in the ledger of the other, and comes apart again. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from stampcard.domain.awards import Award
from stampcard.domain.ledger import Account, Entry, EntryKind
from stampcard.domain.value import Value, replace
from stampcard.domain.wallets import Lot, Wallet
from stampcard.engine.posting import About, post
from stampcard.engine.spending import Debit, Draw, draw

#: What a lot's own figures tell; the accounts of the rest of a wallet have no lots.
_BY_LOT: tuple[Account, ...] = ("pending", "active")


class Part(Value, frozen=True):
    """What one wallet brought into another: lots whose numbers moved by `shift` and reach up to `last`; its sums; the entry
    of the other wallet that took them in; and what of which lots paid what one of both owed.
    """

    shift: int
    last: int
    sums: Mapping[Account, int]
    entry: int
    expired: int = 0
    paid: tuple[Draw, ...] = ()


class Doubled(Value, frozen=True):
    """Two awards for the same, one of each member, that became one; as they were."""

    mine: Award
    theirs: Award


def combine(source: Wallet, target: Wallet, about: About) -> tuple[Wallet, Wallet, tuple[Entry, ...], Part]:
    """Both wallets after all of `source` went over to `target`: lots with their dates, and every figure that a person sees.

    Both are settled, and `source` has all of its lots. What can be spent pays what is owed.
    """
    shift = target.opened
    moved = [
        replace(lot, number=lot.number + shift, parent=None if lot.parent is None else lot.parent + shift)
        for lot in source.lots.values()
    ]
    expired = sum(lot.expired for lot in moved)
    sums = {account: amount for account, amount in source.sums.items() if amount}
    emptied, left = post(
        source,
        "merge",
        [replace(lot, remaining=0, expired=0) for lot in source.lots.values()],
        _others(sums, expired, -1),
        replace(about, subject=f"merge:{target.member}"),
    )
    filled, came = post(
        target, "merge", moved, _others(sums, expired, 1), replace(about, subject=f"merge:{source.member}")
    )
    part = Part(shift=shift, last=filled.opened, sums=sums, entry=came.number, expired=expired)
    entries = [left, came]
    filled, entry, paid = _pay(filled, "merge", about)
    if entry is not None:
        entries.append(entry)
    return replace(emptied, lots={}, next_change_at=None), filled, tuple(entries), replace(part, paid=paid)


def _pay(wallet: Wallet, kind: EntryKind, about: About) -> tuple[Wallet, Entry | None, tuple[Draw, ...]]:
    """What can be spent pays what is owed."""
    payment = min(-wallet.sums.get("debt", 0), wallet.sums.get("active", 0))
    return draw(wallet, payment, about, kind=kind, target="debt") if payment > 0 else (wallet, None, ())


def _unpay(wallet: Wallet, paid: Iterable[Draw], about: About) -> tuple[Wallet, Entry | None]:
    """What a merge paid is owed again, and back in its lots."""
    lots = [replace(wallet.lots[one.lot], remaining=wallet.lots[one.lot].remaining + one.amount) for one in paid]
    if not lots:
        return wallet, None
    return post(wallet, "unmerge", lots, {"debt": -sum(one.amount for one in paid)}, about)


def _others(sums: Mapping[Account, int], expired: int, sign: int) -> dict[Account, int]:
    """What moves on the accounts that lots do not tell of."""
    figures = {account: sign * amount for account, amount in sums.items() if account not in _BY_LOT}
    figures["expired"] = figures.get("expired", 0) - sign * expired
    return figures


class Since(Value, frozen=True):
    """What happened since a merge to what goes back: its lots, by their numbers in `target`; postings on issued and redeemed;
    what redemptions still hold; and what spends of the other member still have of each lot.
    """

    lots: frozenset[int] = frozenset()
    issued: int = 0
    redeemed: int = 0
    held: int = 0
    kept: Mapping[int, int] = {}


def part_again(
    source: Wallet, target: Wallet, part: Part, since: Since, about: About
) -> tuple[Wallet, Wallet, tuple[Entry, ...]]:
    """Both wallets after what is left of a merge went back; what was spent of it stays where it was spent.

    Both are settled, and `target` has all of its lots.
    """
    target, reopened = _unpay(target, part.paid, replace(about, subject=f"merge:{source.member}"))
    mine = {n: lot for n, lot in target.lots.items() if n in since.lots}
    back = [_returned(lot, part.shift, since.kept.get(n, 0)) for n, lot in mine.items()]
    stays = {
        n: replace(mine[n], amount=kept, remaining=0, expired=0, taken=0) for n, kept in since.kept.items() if n in mine
    }
    expired = sum(lot.expired for lot in back)
    figures: dict[Account, int] = {
        **{account: part.sums.get(account, 0) for account in ("issued", "redeemed", "expired", "adjusted", "imported")},
        "debt": max(part.sums.get("debt", 0), target.sums.get("debt", 0)),
        "held": since.held,
    }
    figures["issued"] += since.issued
    figures["redeemed"] += since.redeemed
    figures["expired"] += expired - part.expired
    by_lot = sum(lot.remaining for lot in back)
    figures["transferred"] = -by_lot - sum(figures.values())
    others = _others(figures, expired, 1)
    parted, left = post(
        target,
        "unmerge",
        [replace(lot, remaining=0, expired=0) for lot in mine.values()],
        {account: -amount for account, amount in others.items()},
        replace(about, subject=f"merge:{source.member}"),
    )
    filled, came = post(source, "unmerge", back, others, replace(about, subject=f"merge:{target.member}"))
    parted = replace(parted, lots={n: lot for n, lot in parted.lots.items() if n not in mine} | stays)
    filled, theirs_paid, _ = _pay(filled, "unmerge", about)
    parted, mine_paid, _ = _pay(parted, "unmerge", about)
    entries = (reopened, left, came, theirs_paid, mine_paid)
    return filled, parted, tuple(entry for entry in entries if entry is not None)


def _returned(lot: Lot, shift: int, kept: int) -> Lot:
    parent = lot.parent
    if parent is not None:
        parent = parent - shift if parent > shift else None
    return replace(lot, number=lot.number - shift, parent=parent, amount=lot.amount - kept)


def shifted(debit: Debit, member: str, shift: int) -> Debit:
    """A spend as it is told by the member who has its lots now."""
    draws = tuple(Draw(lot=one.lot + shift, amount=one.amount) for one in debit.draws)
    return replace(debit, member=member, draws=draws)


def returning(lots: Mapping[int, Lot], part: Part, awards: Collection[tuple[str, str]]) -> frozenset[int]:
    """The lots that go back when a merge is undone: those it brought, and what its awards (subject, rule) gave since."""
    return frozenset(
        number
        for number, lot in lots.items()
        if part.shift < number <= part.last or (number > part.last and (lot.subject, lot.rule) in awards)
    )


def kept_of(debits: Iterable[Debit], lots: Collection[int]) -> dict[int, int]:
    """What these spends still have of lots, by the lots' numbers."""
    kept: dict[int, int] = {}
    for debit in debits:
        back = debit.returned
        for one in debit.draws:
            given = min(back, one.amount)
            back -= given
            if one.lot in lots:
                kept[one.lot] = kept.get(one.lot, 0) + one.amount - given
    return {number: amount for number, amount in kept.items() if amount}


def owned(award: Award, member: str) -> Award:
    """An award as another member's, with what it uses of limits."""
    charges = tuple(replace(one, member=member) if one.member == award.member else one for one in award.charges)
    return replace(award, member=member, charges=charges)


def doubled(mine: Award, theirs: Award) -> Award:
    """One award of two for the same thing: what both did, and what whoever of them still stands at something is owed for."""
    base = theirs if theirs.due and not mine.due else mine
    other = mine if base is theirs else theirs
    return replace(
        owned(base, mine.member),
        granted=mine.granted + theirs.granted,
        taken=mine.taken + theirs.taken,
        written_off=mine.written_off + theirs.written_off,
        desired=mine.desired + theirs.desired if mine.due and theirs.due else base.desired,
        allowed=_sum(mine, theirs) if mine.due and theirs.due else base.allowed,
        revision=max(mine.revision, theirs.revision),
        charges=(*owned(base, mine.member).charges, *owned(other, mine.member).charges),
    )


def _sum(mine: Award, theirs: Award) -> int | None:
    if mine.allowed is None and theirs.allowed is None:
        return None
    return sum(one.desired if one.allowed is None else one.allowed for one in (mine, theirs))


def halved(now: Award, was: Doubled) -> tuple[Award, Award]:
    """The two awards again, mine and theirs; what happened since happened to whoever stood at something."""
    theirs_stood = bool(was.theirs.due) and not was.mine.due
    grown = {
        name: getattr(now, name) - getattr(was.mine, name) - getattr(was.theirs, name)
        for name in ("granted", "taken", "written_off")
    }
    first, second = (was.theirs, was.mine) if theirs_stood else (was.mine, was.theirs)
    first = _grown(first, grown, now.revision)
    # Less than what both stood at may be left: what the first had not is the second's.
    over = -first.due
    if over > 0:
        taken = min(over, first.taken)
        first = replace(first, taken=first.taken - taken, written_off=first.written_off - (over - taken))
        second = _grown(second, {"taken": taken, "written_off": over - taken}, now.revision)
    return (second, first) if theirs_stood else (first, second)


def _grown(award: Award, grown: Mapping[str, int], revision: int) -> Award:
    figures = {name: getattr(award, name) + amount for name, amount in grown.items()}
    return replace(award, revision=max(award.revision, revision), **figures)
