"""Merges as rows, and the rows that go over from one member to another."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Table, delete, func, or_, select, tuple_, update

from stampcard.clock import from_micros, to_micros
from stampcard.domain.awards import Award
from stampcard.domain.members import MembershipState
from stampcard.domain.merges import Merge
from stampcard.domain.perks import Entitlement
from stampcard.domain.proofs import Proof
from stampcard.domain.tiers import Tier
from stampcard.domain.value import Value
from stampcard.domain.wallets import Lot, Wallet
from stampcard.engine.merging import Doubled, Part
from stampcard.sealing import Sealer
from stampcard.storage import rows, saving
from stampcard.storage.rows import moment
from stampcard.storage.tables import (
    act,
    address,
    award,
    base_use,
    card,
    consent,
    contact,
    contact_candidate,
    contact_conflict,
    counter,
    data_request,
    debit,
    event,
    idempotency,
    identity,
    imported,
    inbox,
    lot,
    membership,
    merge,
    message,
    order_state,
    outbox,
    pass_,
    perk,
    perk_use,
    plan,
    plan_term,
    progress,
    proof,
    proof_request,
    push,
    redemption,
    segment_member,
    tier,
)

CHUNK = 500
#: Rows that are the person's, whoever of the members they came by.
MOVED: tuple[Table, ...] = (
    identity,
    address,
    order_state,
    redemption,
    consent,
    contact,
    contact_conflict,
    event,
    inbox,
    outbox,
    message,
    idempotency,
    imported,
    proof_request,
    data_request,
    card,
    pass_,
    act,
)
#: Rows that are brought together one by one; `lot` moves with its wallet.
JOINED: tuple[Table, ...] = (
    award,
    debit,
    lot,
    counter,
    membership,
    tier,
    progress,
    segment_member,
    push,
    contact_candidate,
)
#: Rows that both may have by the same name: then the target's count, and the source's wait for the undoing.
NAMED: tuple[Table, ...] = (perk, perk_use, plan, plan_term, proof, base_use)
#: Tables whose rows stay: what was booked was booked for whom it was, and who was let into an audience has to leave it.
STAYING = frozenset({"entry", "balance", "audience_member"})
#: A row's key, without the merchant.
Key = tuple[str | int, ...]


#: A membership: program, since when, the day of joining, state.
Joined = tuple[str, int, str, MembershipState]


class Record(Value, frozen=True):
    """What a merge did, so that it can be undone: keys of the rows that went over, and what was there before.

    `counted`: (program, scope, period, value, whether both had something). `joined`: what the programs knew of the source,
    and of the target where both were in. `filled`: attributes that the target had not. `followers`: members who had been
    merged into the source before. `named`: what went over by its name, and of what the target had one already. `perks` and
    `proofs` of those, as they were, and as they became; `withdrawn`: requests; `over`: terms that count no more.
    """

    parts: Mapping[str, Part]
    moved: Mapping[str, Sequence[Key]]
    awards: Sequence[tuple[str, str, str]]
    doubled: Sequence[Doubled]
    debits: Sequence[str]
    counted: Sequence[tuple[str, str, str, int, bool]]
    joined: Sequence[Joined]
    before: Sequence[Joined]
    tiers: Mapping[str, Tier]
    segments: Sequence[tuple[str, str, int]]
    entered: Sequence[tuple[str, str]]
    filled: Sequence[str]
    joined_at: int
    followers: Sequence[str] = ()
    named: Mapping[str, Sequence[Key]] = {}
    put_aside: Mapping[str, Sequence[Mapping[str, Any]]] = {}
    perks: Sequence[tuple[Entitlement, Entitlement]] = ()
    proofs: Sequence[tuple[Proof, Proof, Proof]] = ()
    withdrawn: Sequence[str] = ()
    over: Sequence[Key] = ()


_RECORD = msgspec.json.Decoder(Record)


def merge_of(row: Row[Any]) -> Merge:
    return Merge(
        id=row.id,
        source=row.source,
        target=row.target,
        at=from_micros(row.at),
        by=row.by,
        note=row.note,
        undone_at=moment(row.undone_at),
        undone_by=row.undone_by,
    )


def save_merge(connection: Connection, merchant: str, sealer: Sealer, one: Merge, record: Record) -> None:
    """Write a merge with what its undoing needs."""
    row = {
        "merchant": merchant,
        "id": one.id,
        "source": one.source,
        "target": one.target,
        "at": to_micros(one.at),
        "by": one.by,
        "note": one.note,
        "data_sealed": sealer.seal(msgspec.json.encode(record), _place(merchant, one.id)),
    }
    saving.insert(connection, "merge", [row])


def load_merge(connection: Connection, merchant: str, id_: str, *, lock: bool = False) -> Row[Any] | None:
    """One merge as its row."""
    statement = select(merge).where(merge.c.merchant == merchant, merge.c.id == id_)
    return connection.execute(statement.with_for_update() if lock else statement).one_or_none()


def record_of(row: Row[Any], sealer: Sealer) -> Record | None:
    """What a merge did; nothing once the person was erased."""
    if row.data_sealed is None:
        return None
    return _RECORD.decode(sealer.open(row.data_sealed, _place(row.merchant, row.id)))


def _place(merchant: str, id_: str) -> bytes:
    return f"merge:{merchant}:{id_}".encode()


def end_merge(connection: Connection, merchant: str, one: Merge) -> None:
    """Write that a merge was undone; what it did is not needed any more."""
    values = {"undone_at": rows.micros(one.undone_at), "undone_by": one.undone_by, "data_sealed": None}
    connection.execute(update(merge).where(merge.c.merchant == merchant, merge.c.id == one.id).values(values))


def merges_before(
    connection: Connection, merchant: str, of: str | None, before: tuple[int, str] | None, limit: int
) -> list[Merge]:
    """Merges, of one member or all, the newest first, behind a place."""
    statement = select(merge).where(merge.c.merchant == merchant)
    if of is not None:
        statement = statement.where(or_(merge.c.source == of, merge.c.target == of))
    if before is not None:
        statement = statement.where(tuple_(merge.c.at, merge.c.id) < tuple_(*before))
    statement = statement.order_by(merge.c.at.desc(), merge.c.id.desc()).limit(limit)
    return [merge_of(row) for row in connection.execute(statement)]


def standing_merge(connection: Connection, merchant: str, source: str) -> Row[Any] | None:
    """The merge by which a member is in another one now."""
    statement = select(merge).where(merge.c.merchant == merchant, merge.c.source == source, merge.c.undone_at.is_(None))
    return connection.execute(statement.order_by(merge.c.at.desc()).limit(1)).one_or_none()


def keys_of(connection: Connection, table: Table, merchant: str, of: str) -> list[Key]:
    """The keys of a member's rows, without the merchant."""
    columns = [column for column in table.primary_key.columns if column.name != "merchant"]
    found = connection.execute(select(*columns).where(table.c.merchant == merchant, table.c.member == of))
    return [tuple(row) for row in found]


def move(connection: Connection, table: Table, merchant: str, keys: Sequence[Key], source: str, target: str) -> int:
    """Let rows be another member's, as far as they are still the first one's; answers how many were."""
    columns = [column for column in table.primary_key.columns if column.name != "merchant"]
    values: dict[str, Any] = {"member": target}
    if table is redemption:
        values["charges"] = func.replace(redemption.c.charges, f'"{source}"', f'"{target}"')
    count = 0
    for chunk in chunks(keys):
        # By their own names, not as a list of pairs: for that SQLite reads the whole table.
        statement = update(table).where(table.c.merchant == merchant, table.c.member == source)
        if len(columns) == 1:
            statement = statement.where(columns[0].in_([key[0] for key in chunk]))
        else:
            statement = statement.where(tuple_(*columns).in_(chunk))
        count += connection.execute(statement.values(values)).rowcount
    return count


def move_named(
    connection: Connection, table: Table, merchant: str, source: str, target: str
) -> tuple[list[Key], list[dict[str, Any]]]:
    """Let a member have another's rows, as far as there is none by the same name; answers the names, and the rows put aside.

    Of a perk nothing is put aside that was used: two uses by one key are two.
    """
    theirs = _rows_of(connection, table, merchant, source)
    mine = {_name_of(table, row) for row in _rows_of(connection, table, merchant, target)}
    moved = [_name_of(table, row) for row in theirs if _name_of(table, row) not in mine]
    put_aside = [row for row in theirs if _name_of(table, row) in mine]
    for row in put_aside:
        connection.execute(_named(delete(table), table, merchant, source, _name_of(table, row)))
    for name in moved:
        connection.execute(_named(update(table).values(member=target), table, merchant, source, name))
    if table is perk_use:
        put_aside = [{**row, "member": target, "key": key_of_other(row["key"], source)} for row in put_aside]
        saving.insert(connection, table.name, put_aside)
        moved, put_aside = [*moved, *(_name_of(table, row) for row in put_aside)], []
    return moved, put_aside


def key_of_other(key: str, member: str) -> str:
    """What a use's key is called after its member was merged into somebody who used the same key."""
    return f"{key} of {member}"


def move_back(
    connection: Connection,
    table: Table,
    merchant: str,
    names: Sequence[Key],
    put_aside: Sequence[Mapping[str, Any]],
    source: str,
    target: str,
) -> None:
    """Undo `move_named`, with rows as they are by now."""
    suffix = key_of_other("", source)
    for name in names:
        values = {"member": source}
        if table is perk_use:
            values["key"] = str(name[-1]).removesuffix(suffix)
        connection.execute(_named(update(table).values(values), table, merchant, target, tuple(name)))
    saving.upsert(connection, table.name, put_aside)


def _rows_of(connection: Connection, table: Table, merchant: str, of: str) -> list[dict[str, Any]]:
    found = connection.execute(select(table).where(table.c.merchant == merchant, table.c.member == of)).mappings()
    return [{str(name): value for name, value in row.items()} for row in found]


def _name_of(table: Table, row: Mapping[Any, Any]) -> Key:
    return tuple(row[column.name] for column in table.primary_key.columns if column.name not in {"merchant", "member"})


def _named(statement: Any, table: Table, merchant: str, of: str, name: Key) -> Any:
    columns = [column for column in table.primary_key.columns if column.name not in {"merchant", "member"}]
    where = (column == value for column, value in zip(columns, name, strict=True))
    return statement.where(table.c.merchant == merchant, table.c.member == of, *where)


def chunks(keys: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(keys), CHUNK):
        yield keys[start : start + CHUNK]


def shift_imported(
    connection: Connection, merchant: str, keys: Sequence[Key], of: str, shifts: Mapping[str, int]
) -> None:
    """Let what an import brought be found under its lots' new numbers."""
    place = tuple_(imported.c.print, imported.c.nth)
    for wallet, shift in sorted(shifts.items()):
        for chunk in chunks(keys):
            where = (imported.c.merchant == merchant, imported.c.member == of, imported.c.wallet == wallet)
            statement = update(imported).where(*where, imported.c.lot.is_not(None), place.in_(chunk))
            connection.execute(statement.values(lot=imported.c.lot + shift))


def lots_of(connection: Connection, merchant: str, of: str) -> dict[str, dict[int, Lot]]:
    """Every lot of a member, live or not, by wallet."""
    found: dict[str, dict[int, Lot]] = {}
    for row in connection.execute(select(lot).where(lot.c.merchant == merchant, lot.c.member == of)):
        found.setdefault(row.wallet, {})[row.number] = rows.lot_of(row)
    return found


def drop_lots(connection: Connection, merchant: str, wallet: Wallet, numbers: Collection[int] | None = None) -> None:
    """Remove lots that went over to another member."""
    statement = delete(lot).where(
        lot.c.merchant == merchant, lot.c.member == wallet.member, lot.c.wallet == wallet.name
    )
    if numbers is None:
        connection.execute(statement)
        return
    for chunk in chunks(sorted(numbers)):
        connection.execute(statement.where(lot.c.number.in_(chunk)))


def awards_of(connection: Connection, merchant: str, of: str) -> dict[tuple[str, str, str], Award]:
    """(subject, program, rule) → a member's award."""
    found = connection.execute(select(award).where(award.c.merchant == merchant, award.c.member == of))
    return {(row.subject, row.program, row.rule): rows.award_of(row) for row in found}


def rewrite_awards(
    connection: Connection, merchant: str, gone: Collection[tuple[str, str, str]], of: str, awards: Collection[Award]
) -> None:
    """Take a member's awards away and write others."""
    for subject in sorted({subject for subject, _, _ in gone}):
        keys = [key[1:] for key in gone if key[0] == subject]
        connection.execute(
            delete(award).where(
                award.c.merchant == merchant,
                award.c.subject == subject,
                award.c.member == of,
                tuple_(award.c.program, award.c.rule).in_(keys),
            )
        )
    saving.upsert(connection, "award", [rows.award_row(merchant, one) for one in awards])
