"""Rebuilding a wallet from its entries alone, and naming every difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from stampcard.domain.awards import Award
from stampcard.domain.ledger import ACCOUNTS, Account, Entry, is_balanced, sums_of
from stampcard.domain.value import Value
from stampcard.domain.wallets import Wallet


class Finding(Value, frozen=True):
    """One thing that does not agree, in the wallet's smallest unit."""

    member: str
    wallet: str
    what: str
    rebuilt: int
    stored: int


def verify_awards(member: str, wallet: str, entries: Iterable[Entry], awards: Iterable[Award]) -> list[Finding]:
    """Differences between awards and what entries say: of one member, or of all who ever were one person together."""
    issued: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        issued[entry.subject, entry.rule] -= entry.postings.get("issued", 0)
    stored: Counter[tuple[str, str]] = Counter()
    for award in awards:
        stored[award.subject, award.rule] += award.granted - award.taken
    return [
        Finding(member=member, wallet=wallet, what=f"award {' '.join(key)}", rebuilt=issued[key], stored=due)
        for key, due in stored.items()
        if issued[key] != due
    ]


def verify_wallet(wallet: Wallet, entries: Sequence[Entry], held: int = 0) -> list[Finding]:
    """Differences between a wallet as stored (with all of its lots) and what its entries say.

    `held`: what redemptions that are under way hold of it.
    """

    def finding(what: str, rebuilt: int, stored: int) -> Finding:
        return Finding(member=wallet.member, wallet=wallet.name, what=what, rebuilt=rebuilt, stored=stored)

    findings = [
        finding(f"entry {entry.number} does not balance", 0, sum(entry.postings.values()))
        for entry in entries
        if not is_balanced(entry)
    ]
    rebuilt = sums_of(entries)
    pairs = [(f"account {name}", rebuilt.get(name, 0), wallet.sums.get(name, 0)) for name in ACCOUNTS]
    pairs.append(("the number of entries", len(entries), wallet.entries))
    pairs.append(("the points that redemptions hold", wallet.sums.get("held", 0), held))
    pairs += _lot_pairs(wallet, entries)
    return findings + [finding(*pair) for pair in pairs if pair[1] != pair[2]]


def _lot_pairs(wallet: Wallet, entries: Iterable[Entry]) -> list[tuple[str, int, int]]:
    remaining: Counter[int] = Counter()
    expired: Counter[int] = Counter()
    for entry in entries:
        for move in entry.moves:
            (expired if move.account == "expired" else remaining)[move.lot] += move.amount
    lots = wallet.lots
    pairs = [
        (f"lot {number}, remaining", remaining[number], lots[number].remaining if number in lots else 0)
        for number in sorted(remaining.keys() | lots.keys())
    ]
    pairs += [
        (f"lot {number}, expired", expired[number], lots[number].expired if number in lots else 0)
        for number in sorted(expired.keys() | lots.keys())
    ]
    accounts: tuple[tuple[Account, bool], ...] = (("active", True), ("pending", False))
    for name, active in accounts:
        held = sum(lot.remaining for lot in lots.values() if lot.active is active)
        pairs.append((f"the lots of account {name}", held, wallet.sums.get(name, 0)))
    return pairs
