"""What a unit of work reads: a few statements per batch, never one per row. Where a row is locked, it is by order of
its key, so that two units of work never wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Row, Select, and_, bindparam, func, or_, select, union_all

from stampcard.clock import from_micros, to_micros
from stampcard.domain.awards import Award
from stampcard.domain.members import Member
from stampcard.domain.rewards import CHOICE, Redemption
from stampcard.domain.value import replace
from stampcard.domain.wallets import Lot, Wallet
from stampcard.engine.counting import CounterKey
from stampcard.engine.describing import Past, Purchase, Taken
from stampcard.engine.spending import Debit
from stampcard.engine.world import AwardKey, Order
from stampcard.sealing import Sealer
from stampcard.storage import rows, saving
from stampcard.storage.tables import (
    award,
    balance,
    counter,
    debit,
    effect,
    entry,
    identity,
    lot,
    member,
    membership,
    order_state,
    redemption,
    tombstone,
)

_M: Any = bindparam("merchant")
_IDS: Any = bindparam("ids", expanding=True)
_SOURCE: Any = bindparam("source")

# Sources one by one: for pairs in a list SQLite reads the whole table.
_identities = select(identity).where(
    identity.c.merchant == _M, identity.c.connection == _SOURCE, identity.c.reference.in_(_IDS)
)
_identities_of = select(identity.c.connection, identity.c.reference, identity.c.member).where(
    identity.c.merchant == _M, identity.c.member.in_(_IDS)
)
_tombstones = select(tombstone).where(tombstone.c.merchant == _M, tombstone.c.print.in_(_IDS))
_members = select(member).where(member.c.merchant == _M, member.c.id.in_(_IDS)).order_by(member.c.id)
_merged = select(member.c.id, member.c.merged_into).where(member.c.merchant == _M, member.c.merged_into.in_(_IDS))
_memberships = select(membership).where(membership.c.merchant == _M, membership.c.member.in_(_IDS))
_orders = (
    select(order_state)
    .where(order_state.c.merchant == _M, order_state.c.source == _SOURCE, order_state.c.reference.in_(_IDS))
    .order_by(order_state.c.reference)
)
# Asks for what no index holds: SQLite would go through one that holds all the rest instead of using the key.
_owners = select(order_state.c.member, order_state.c.updated_at).where(
    order_state.c.merchant == _M, order_state.c.source == _SOURCE, order_state.c.reference.in_(_IDS)
)
_states = select(order_state.c.state).where(
    order_state.c.merchant == _M, order_state.c.source == _SOURCE, order_state.c.reference.in_(_IDS)
)
_concerned = union_all(
    select(award.c.member).where(award.c.merchant == _M, award.c.subject.in_(_IDS)),
    select(debit.c.member).where(debit.c.merchant == _M, debit.c.subject != "", debit.c.subject.in_(_IDS)),
)
_awards = select(award).where(award.c.merchant == _M, award.c.subject.in_(_IDS))
_balances = select(balance).where(balance.c.merchant == _M, balance.c.member.in_(_IDS))
_live_lots = select(lot).where(lot.c.merchant == _M, lot.c.member.in_(_IDS), lot.c.remaining > 0)
_lots_of_subjects = select(lot).where(
    lot.c.merchant == _M, lot.c.subject.in_(bindparam("subjects", expanding=True)), lot.c.member.in_(_IDS)
)
_debit = select(debit).where(debit.c.merchant == _M, debit.c.key == bindparam("key"))
_debits = select(debit).where(debit.c.merchant == _M, debit.c.subject != "", debit.c.subject.in_(_IDS))
_debits_of = select(debit).where(debit.c.merchant == _M, debit.c.key.in_(_IDS))
_redemptions = select(redemption).where(redemption.c.merchant == _M, redemption.c.id.in_(_IDS))
_by_code = select(redemption).where(
    redemption.c.merchant == _M, redemption.c.code_print.is_not(None), redemption.c.code_print.in_(_IDS)
)
_by_subject = select(redemption).where(
    redemption.c.merchant == _M, redemption.c.subject != "", redemption.c.subject.in_(_IDS)
)
_counters = (
    select(counter)
    .where(counter.c.merchant == _M, counter.c.program == bindparam("program"), counter.c.member.in_(_IDS))
    .where(counter.c.scope.in_(bindparam("scopes", expanding=True)))
    .where(counter.c.period.in_(bindparam("periods", expanding=True)))
    .order_by(counter.c.member, counter.c.scope, counter.c.period)
)
_purchases = select(
    order_state.c.source,
    order_state.c.reference,
    order_state.c.member,
    order_state.c.occurred_at,
    order_state.c.spend,
    order_state.c.currency,
).where(order_state.c.merchant == _M, order_state.c.member.in_(_IDS), order_state.c.currency != "")
_earned = select(entry.c.member, entry.c.wallet, entry.c.occurred_at, entry.c.issued).where(
    entry.c.merchant == _M, entry.c.member.in_(_IDS), entry.c.issued != 0, entry.c.kind.not_in(("merge", "unmerge"))
)
#: What `taken_of` counts; the two say the same.
_taken = (
    select(
        redemption.c.id,
        redemption.c.member,
        redemption.c.created_at,
        redemption.c.program,
        redemption.c.wallet,
        (redemption.c.price - func.coalesce(debit.c.returned, 0)).label("points"),
    )
    .outerjoin(debit, and_(debit.c.merchant == redemption.c.merchant, debit.c.key == "redemption:" + redemption.c.id))
    .where(
        redemption.c.merchant == _M,
        redemption.c.member.in_(_IDS),
        redemption.c.status.not_in(("released", "revoked")),
        or_(redemption.c.status != "expired", redemption.c.returns == 0, redemption.c.orders != "[]"),
        redemption.c.subject.not_like(f"{CHOICE}%"),
    )
)


def _all(
    connection: Connection,
    statement: Select[Any] | CompoundSelect[Any],
    merchant: str,
    ids: Collection[Any],
    **more: Any,
) -> list[Row[Any]]:
    if not ids:
        return []
    return list(connection.execute(statement, {"merchant": merchant, "ids": sorted(ids), **more}))


def _by_source(
    connection: Connection, statement: Select[Any], merchant: str, keys: Iterable[tuple[str, str]]
) -> list[Row[Any]]:
    references: dict[str, list[str]] = {}
    for source, reference in keys:
        references.setdefault(source, []).append(reference)
    return [
        row
        for source in sorted(references)
        for row in _all(connection, statement, merchant, references[source], source=source)
    ]


def load_identities(
    connection: Connection, merchant: str, keys: Collection[tuple[str, str]]
) -> dict[tuple[str, str], Row[Any]]:
    """(connection, reference) → its row, for those that are known."""
    return {(row.connection, row.reference): row for row in _by_source(connection, _identities, merchant, keys)}


def load_identities_of(connection: Connection, merchant: str, members: Collection[str]) -> dict[str, list[Row[Any]]]:
    """Member → how each source calls them."""
    found: dict[str, list[Row[Any]]] = {}
    for row in _all(connection, _identities_of, merchant, members):
        found.setdefault(row.member, []).append(row)
    return found


def sources_of(connection: Connection, merchant: str, members: Collection[str]) -> dict[str, str]:
    """Whoever was merged into these members → into whom."""
    return {row.id: row.merged_into for row in _all(connection, _merged, merchant, members)}


def load_effect(connection: Connection, merchant: str, key: str) -> str | None:
    """The digest of what counts once under a key, if it counted."""
    found = select(effect.c.body_hash).where(effect.c.merchant == merchant, effect.c.key == key)
    return connection.execute(found).scalar()


def load_tombstones(connection: Connection, merchant: str, prints: Collection[str]) -> dict[str, int]:
    """Fingerprint → when the person behind it was erased."""
    return {row.print: row.erased_at for row in _all(connection, _tombstones, merchant, prints)}


def load_members(
    connection: Connection, merchant: str, ids: Collection[str], sealer: Sealer, *, attributes: bool, lock: bool
) -> dict[str, Member]:
    """Members by id; their attributes are opened only where something reads them."""
    statement = _members.with_for_update() if lock else _members
    found = _all(connection, statement, merchant, ids)
    memberships: dict[str, list[Row[Any]]] = {}
    for row in _all(connection, _memberships, merchant, [row.id for row in found]):
        memberships.setdefault(row.member, []).append(row)
    return {
        row.id: rows.member_of(
            row,
            memberships.get(row.id, ()),
            rows.open_object(sealer, row.attributes_sealed, f"member:{merchant}:{row.id}") if attributes else {},
        )
        for row in found
    }


def standing_for(connection: Connection, merchant: str, ids: Collection[str]) -> dict[str, str]:
    """Member → who they are by now: themselves, or whoever they were merged into; none for those who are not there."""
    found: dict[str, str] = {}
    waiting = {id_: id_ for id_ in ids}
    while waiting:
        rows_ = {row.id: row for row in _all(connection, _members, merchant, set(waiting.values()))}
        here = {id_: rows_[now] for id_, now in waiting.items() if now in rows_ and rows_[now].erased_at is None}
        found |= {id_: row.id for id_, row in here.items() if row.merged_into is None}
        waiting = {id_: row.merged_into for id_, row in here.items() if row.merged_into is not None}
    return found


def load_orders(
    connection: Connection, merchant: str, keys: Collection[tuple[str, str]], sealer: Sealer, *, lock: bool
) -> dict[tuple[str, str], Order]:
    """Orders by (source, reference)."""
    statement = _orders.with_for_update() if lock else _orders
    found = {}
    for row in _by_source(connection, statement, merchant, keys):
        about = f"order:{merchant}:{row.source}:{row.reference}"
        found[row.source, row.reference] = rows.order_of(row, rows.open_object(sealer, row.pinned_member_sealed, about))
    return found


def load_codes(connection: Connection, merchant: str, keys: Collection[tuple[str, str]]) -> set[str]:
    """The fingerprints of all codes that these orders showed at some time."""
    return {print_ for row in _by_source(connection, _states, merchant, keys) for print_ in rows.codes_of(row)}


def load_owners(connection: Connection, merchant: str, keys: Collection[tuple[str, str]]) -> set[str]:
    """The members whom these orders belong to, who have awards for them, or spent points on them."""
    subjects = [f"order:{source}:{reference}" for source, reference in keys]
    found = [*_by_source(connection, _owners, merchant, keys), *_all(connection, _concerned, merchant, subjects)]
    return {row.member for row in found if row.member is not None}


def load_awards(connection: Connection, merchant: str, subjects: Collection[str]) -> dict[str, dict[AwardKey, Award]]:
    """Subject → its awards."""
    found: dict[str, dict[AwardKey, Award]] = {}
    for row in _all(connection, _awards, merchant, subjects):
        found.setdefault(row.subject, {})[row.member, row.program, row.rule] = rows.award_of(row)
    return found


def load_wallets(
    connection: Connection,
    merchant: str,
    members: Collection[str],
    subjects: Collection[str] = (),
    touching: Collection[str] | None = None,
    now: datetime | None = None,
) -> dict[tuple[str, str], Wallet]:
    """(member, wallet) → the wallet with its live lots and every lot of these subjects.

    With `touching`, lots are read for those members only, and for wallets that time changes by `now`: a credit alone
    needs none of the lots that are there.
    """
    balances = _all(connection, _balances, merchant, members)
    whole = set(members)
    if touching is not None and now is not None:
        due = {
            row.member for row in balances if row.next_change_at is not None and row.next_change_at <= to_micros(now)
        }
        whole = due | set(touching)
    lots: dict[tuple[str, str], dict[int, Lot]] = {}
    found: Iterable[Row[Any]] = _all(connection, _live_lots, merchant, whole)
    if subjects and whole:
        found = [*found, *_all(connection, _lots_of_subjects, merchant, whole, subjects=sorted(subjects))]
    for row in found:
        lots.setdefault((row.member, row.wallet), {})[row.number] = rows.lot_of(row)
    wallets = {}
    for row in balances:
        wallet = rows.wallet_of(row, lots.get((row.member, row.wallet), {}))
        left_out = row.member not in whole
        wallets[row.member, row.wallet] = replace(wallet, left_out_until=wallet.next_change_at) if left_out else wallet
    return wallets


def load_lots(connection: Connection, merchant: str, wallet: Wallet, numbers: Collection[int]) -> Mapping[int, Lot]:
    """Certain lots of one wallet, live or not."""
    statement = select(lot).where(
        lot.c.merchant == merchant,
        lot.c.member == wallet.member,
        lot.c.wallet == wallet.name,
        or_(lot.c.number.in_(sorted(numbers)), lot.c.remaining > 0),
    )
    return {row.number: rows.lot_of(row) for row in connection.execute(statement)}


def load_debits(connection: Connection, merchant: str, subjects: Collection[str]) -> dict[str, tuple[Debit, ...]]:
    """Order → what was spent on it."""
    found: dict[str, tuple[Debit, ...]] = {}
    for row in _all(connection, _debits, merchant, subjects):
        found[row.subject] = (*found.get(row.subject, ()), rows.debit_of(row))
    return found


def load_redemptions(
    connection: Connection,
    merchant: str,
    sealer: Sealer,
    *,
    ids: Collection[str] = (),
    prints: Collection[str] = (),
    subjects: Collection[str] = (),
) -> dict[str, Redemption]:
    """Redemptions by their ids, their codes' fingerprints, or what they were given for."""
    found = [
        *_all(connection, _redemptions, merchant, ids),
        *_all(connection, _by_code, merchant, prints),
        *_all(connection, _by_subject, merchant, subjects),
    ]
    return {row.id: rows.redemption_of(row, sealer) for row in found}


def load_counters(
    connection: Connection, merchant: str, keys: Collection[CounterKey], *, lock: bool = True
) -> dict[CounterKey, int]:
    """Counters by key, those of all members locked: of two units of work that count together, one waits."""
    together = sorted(key for key in keys if not key.member) if lock else []
    if together and connection.dialect.name != "sqlite":
        fresh = [{"merchant": merchant, **key._asdict(), "value": 0} for key in together]
        saving.insert_new(connection, "counter", fresh)
    found = {}
    for program in sorted({key.program for key in keys}):
        of = [key for key in keys if key.program == program]
        statement = _counters.with_for_update() if together else _counters
        scopes, periods = sorted({key.scope for key in of}), sorted({key.period for key in of})
        members = {key.member for key in of}
        for row in _all(connection, statement, merchant, members, program=program, scopes=scopes, periods=periods):
            found[CounterKey(row.program, row.scope, row.period, row.member)] = row.value
    return found


def load_pasts(
    connection: Connection, merchant: str, members: Collection[str], *, points: bool, rewards: bool
) -> dict[str, Past]:
    """Members' past orders and, where asked for, what they earned and which rewards they took."""
    purchases: dict[str, dict[tuple[str, str], Purchase]] = {member: {} for member in members}
    for row in _all(connection, _purchases, merchant, members):
        purchases[row.member][row.source, row.reference] = rows.past_purchase(row)
    earned: dict[str, list[tuple[datetime, str, int]]] = {}
    # What was booked for whoever was merged into a member stands with them still; the merge itself earned nothing.
    into = sources_of(connection, merchant, members) if points else {}
    for row in _all(connection, _earned, merchant, {*members, *into}) if points else ():
        of = into.get(row.member, row.member)
        earned.setdefault(of, []).append((from_micros(row.occurred_at), row.wallet, -row.issued))
    taken = load_taken(connection, merchant, members) if rewards else {}
    return {
        member: Past(purchases=of, points=tuple(earned.get(member, ())), taken=taken.get(member, {}))
        for member, of in purchases.items()
    }


def load_taken(connection: Connection, merchant: str, members: Collection[str]) -> dict[str, dict[str, Taken]]:
    """Member → the rewards of their past, by the ids of their redemptions."""
    found: dict[str, dict[str, Taken]] = {}
    for row in _all(connection, _taken, merchant, members):
        taken = Taken(at=from_micros(row.created_at), program=row.program, wallet=row.wallet, points=row.points)
        found.setdefault(row.member, {})[row.id] = taken
    return found


def load_debits_of(connection: Connection, merchant: str, keys: Collection[str]) -> list[Debit]:
    """Debits by their keys."""
    return [rows.debit_of(row) for row in _all(connection, _debits_of, merchant, keys)]


def load_debit(connection: Connection, merchant: str, key: str) -> Debit | None:
    """A debit by its key."""
    row = connection.execute(_debit, {"merchant": merchant, "key": key}).one_or_none()
    return None if row is None else rows.debit_of(row)
