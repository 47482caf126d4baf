"""Two members who turned out to be one person become one, and two again when that was wrong."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from stampcard.applying.locking import lock_member
from stampcard.applying.parting import Apart, Parting
from stampcard.applying.redeciding import decide_again, lock_orders
from stampcard.applying.resolving import fingerprint_of
from stampcard.applying.unit import Sourced, Unit
from stampcard.applying.uniting import Uniting
from stampcard.clock import to_micros
from stampcard.domain.events import CustomersMerged
from stampcard.domain.merges import Merge
from stampcard.domain.value import replace
from stampcard.engine.world import Draft
from stampcard.errors import Conflict, Merged, NotFound, RequestRefused
from stampcard.storage import addressing, loading, merging, rows, saving
from stampcard.storage.merging import Record
from stampcard.storage.tables import (
    order_state,
)

#: (source, reference)
OrderKey = tuple[str, str]


def merge(unit: Unit, source: str, target: str, *, by: str, note: str = "") -> Merge:
    """Let all of `source` go on in `target`; raises RequestRefused, NotFound or Merged where that cannot be."""
    if source == target:
        raise RequestRefused("same_member", "a member cannot be merged into itself")
    people = _found(unit, source, target)
    _settle(unit, people)
    return Uniting(unit, source, target).carry_out(by, note)


def unmerge(unit: Unit, id_: str, *, by: str) -> Apart:
    """Give back what is left of a merge; raises NotFound, or Conflict where it cannot be undone any more."""
    connection, setting = unit.connection, unit.setting
    row = merging.load_merge(connection, setting.merchant, id_, lock=True)
    if row is None:
        raise NotFound("merge", id_)
    known = merging.merge_of(row)
    if known.undone_at is not None:
        raise Conflict("undone", f"the merge was undone on {known.undone_at:%Y-%m-%d %H:%M}Z")
    record = merging.record_of(row, setting.sealer)
    people = loading.load_members(
        connection, setting.merchant, [known.source, known.target], setting.sealer, attributes=False, lock=True
    )
    if record is None or any(one.erased_at is not None for one in people.values()):
        raise Conflict("erased", "the member was erased, so there is nothing to be given back")
    further = people[known.target].merged_into
    if further is not None:
        later = merging.standing_merge(connection, setting.merchant, known.target)
        which = f"{later.id} " if later is not None else ""
        raise Conflict("merged_further", f"{known.target} was merged into {further}: undo the merge {which}first")
    _settle(unit, [known.target])
    parting = Unit(connection, setting, unit.now)
    apart = Parting(parting, known, record).carry_out(by)
    unit.former += parting.save()
    pair = (known.source, known.target)
    addressing.note_duplicate(connection, setting.merchant, pair, "", "apart", "a merge was undone", unit.now)
    # Whatever the one bought under their own name since then is theirs.
    owners, went = _bought_since(unit, known, record)
    lock_orders(unit, [known.source, known.target], owners)
    for owner in (known.source, known.target):
        decide_again(unit, [key for key, of in owners.items() if of == owner], owner)
    return replace(apart, orders=len(went))


def merge_customers(unit: Unit, sourced: Sourced, event: CustomersMerged) -> str | None:
    """Follow a source that made one customer of two; answers the member who both are now."""
    connection, merchant, of = unit.connection, unit.setting.merchant, sourced.source
    kept, gone = (of, event.kept), (of, event.gone)
    known = {key: row.member for key, row in loading.load_identities(connection, merchant, [kept, gone]).items()}
    if kept in known and gone in known and known[kept] != known[gone]:
        merge(unit, known[gone], known[kept], by=sourced.connection, note="merged at the source")
    elif len(known) == 1:
        # Whichever of them is still heard of is the one whom we know.
        ((key, member_),) = known.items()
        lock_member(unit, member_)
        _, reference = gone if key == kept else kept
        row = {"merchant": merchant, "connection": of, "reference": reference, "member": member_}
        prints = [fingerprint_of(unit, (of, reference))]
        if not loading.load_tombstones(connection, merchant, prints):
            saving.insert_new(connection, "identity", [row])
    into = known.get(kept, known.get(gone))
    unit.record(sourced, (), None, into)
    return into


def _found(unit: Unit, source: str, target: str) -> list[str]:
    """Both members, locked; raises NotFound, or Merged for one who is another's by now."""
    setting, both = unit.setting, sorted((source, target))
    found = loading.load_members(unit.connection, setting.merchant, both, setting.sealer, attributes=False, lock=True)
    for id_ in (source, target):
        if id_ not in found or found[id_].erased_at is not None:
            raise NotFound("member", id_)
        into = found[id_].merged_into
        if into is not None:
            raise Merged(id_, into)
    return both


def _settle(unit: Unit, members: Collection[str]) -> None:
    """Write down what time has changed for them by now, each by themselves."""
    own = Unit(unit.connection, unit.setting, unit.now)
    own.lock(sorted(members), attributes=True, recall=True)
    own.count(())
    draft = Draft(own.world)
    for id_, name in sorted(own.wallets):
        draft.wallet(id_, name)
    own.absorb(draft.decision())
    unit.former += own.save()


def _bought_since(unit: Unit, known: Merge, record: Record) -> tuple[dict[OrderKey, str], list[OrderKey]]:
    """Orders that were told of since, by whose they are: their customer's at the shop, or else who had them before; and those
    that were the target's until now and go to the source.
    """
    merchant = unit.setting.merchant
    theirs = {fingerprint_of(unit, (str(key[0]), str(key[1]))) for key in record.moved.get("identity", ())}
    identities = loading.load_identities_of(unit.connection, merchant, [known.target]).get(known.target, [])
    ours = {fingerprint_of(unit, (row.connection, row.reference)) for row in identities}
    statement = select(order_state).where(
        order_state.c.merchant == merchant,
        order_state.c.member.in_((known.source, known.target)),
        order_state.c.updated_at >= to_micros(known.at),
    )
    owners, went = dict[OrderKey, str](), list[OrderKey]()
    for one in (rows.order_of(row, {}) for row in unit.connection.execute(statement)):
        customer = one.state.snapshot.customer if one.state.snapshot is not None else None
        if customer in theirs or (one.member == known.source and customer not in ours):
            owners[one.key] = known.source
            went += [one.key] if one.member == known.target else []
        elif one.member == known.source:
            owners[one.key] = known.target
    return owners, went
