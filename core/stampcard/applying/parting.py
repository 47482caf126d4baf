"""What is left of a merge goes back."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, select

from stampcard.applying.namesakes import Namesakes
from stampcard.applying.pairing import Pair, together
from stampcard.applying.unit import Unit
from stampcard.clock import from_micros
from stampcard.domain.awards import Award
from stampcard.domain.events import MembersMerged
from stampcard.domain.members import MembershipState
from stampcard.domain.merges import Merge
from stampcard.domain.value import Value, replace
from stampcard.domain.wallets import Lot
from stampcard.engine.counting import COOLDOWN, MEMBERS
from stampcard.engine.merging import Since, halved, kept_of, owned, part_again, returning, shifted
from stampcard.storage import merging, rows, saving, tiering
from stampcard.storage.merging import Joined, Record
from stampcard.storage.tables import (
    counter,
    debit,
    entry,
    membership,
    redemption,
)


class Apart(Value, frozen=True):
    """What the undoing of a merge brought: what the target had spent of the source's (wallet → points), which stays spent,
    and how many orders since then went back.
    """

    merge: Merge
    spent: Mapping[str, int]
    orders: int = 0


class Parting(Pair):
    """One merge on its way back."""

    def __init__(self, unit: Unit, known: Merge, record: Record) -> None:
        super().__init__(unit, known.source, known.target)
        self.known, self.record = known, record

    def carry_out(self, by: str) -> Apart:
        """Do it; answers what came of it."""
        unit, record, source, target = self.unit, self.record, self.source, self.target
        lots = merging.lots_of(self.connection, self.merchant, target)
        since = self._since(lots)
        for table in merging.MOVED:
            merging.move(self.connection, table, self.merchant, record.moved.get(table.name, ()), target, source)
        for table in merging.NAMED:
            keys, rows_ = record.named.get(table.name, ()), record.put_aside.get(table.name, ())
            merging.move_back(self.connection, table, self.merchant, keys, rows_, source, target)
        self._memberships()
        self._counters()
        self._awards()
        for id_ in record.followers:
            self.write_rows(id_, merged_into=source)
        self.write_rows(source, merged_into=None)
        self._restore_tiers()
        self.lock()
        spent = self._wallets(lots, since)
        Namesakes(unit, source, target).restore(record)
        self._attributes()
        for live in unit.tiering.live:
            if live.name in record.tiers:
                unit.tiering.part(live, target, record.tiers[live.name])
        for name, one in record.entered:
            unit.segmenting.cross(target, name, one, entered=False)
        rows_ = [{"merchant": self.merchant, "member": source, "program": p, "segment": s, "since": at}
                 for p, s, at in record.segments]  # fmt: skip
        saving.insert_new(self.connection, "segment_member", rows_)
        unit.segmenting.load()
        self.follow(source, target)
        unit.record_own(MembersMerged(other=source, merged=False, occurred_at=unit.now), target, ())
        unit.record_own(MembersMerged(other=target, merged=False, occurred_at=unit.now), source, ())
        undone = replace(self.known, undone_at=unit.now, undone_by=by)
        merging.end_merge(self.connection, self.merchant, undone)
        return Apart(merge=undone, spent=spent)

    def _since(self, lots: Mapping[str, Mapping[int, Lot]]) -> dict[str, Since]:
        """What happened to what goes back, by wallet, before any of it went."""
        record, target = self.record, self.target
        awards = {(subject, rule) for subject, _, rule in record.awards}
        ours = set(record.debits) | {f"spend:{key}" for key in record.debits}
        debits = [rows.debit_of(row) for row in self.rows(debit, target)]
        held = self._held()
        found = {}
        for name, part in record.parts.items():
            issued = redeemed = 0
            numbers = returning(lots.get(name, {}), part, awards)
            later = select(entry.c.subject, entry.c.rule, entry.c.issued, entry.c.redeemed).where(
                entry.c.merchant == self.merchant,
                entry.c.member == target,
                entry.c.wallet == name,
                entry.c.number > part.entry,
            )
            for row in self.connection.execute(later):
                issued += row.issued if (row.subject, row.rule) in awards else 0
                redeemed += row.redeemed if row.subject in ours else 0
            issued += self._issued_twice(name)
            own = [one for one in debits if one.wallet == name and one.key not in record.debits]
            kept = kept_of(own, numbers)
            found[name] = Since(lots=numbers, issued=issued, redeemed=redeemed, held=held.get(name, 0), kept=kept)
        return found

    def _issued_twice(self, wallet: str) -> int:
        """What was posted since for awards that were two."""
        now = merging.awards_of(self.connection, self.merchant, self.target)
        sum_ = 0
        for was in self.record.doubled:
            one = now.get((was.mine.subject, was.mine.program, was.mine.rule))
            if one is not None and was.theirs.wallet == wallet:
                _, theirs = halved(one, was)
                sum_ += (was.theirs.granted - was.theirs.taken) - (theirs.granted - theirs.taken)
        return sum_

    def _held(self) -> dict[str, int]:
        """What redemptions that go back still hold, by wallet."""
        ids, held = {key[0] for key in self.record.moved.get("redemption", ())}, dict[str, int]()
        for row in self.rows(redemption, self.target):
            if row.id in ids and row.status == "held" and row.price:
                held[row.wallet] = held.get(row.wallet, 0) + row.price
        return held

    def _memberships(self) -> None:
        """Both take part in what each took part in before; who left meanwhile, or came back, did so."""
        states = {row.program: row.state for row in self.rows(membership, self.target)}
        before = {one[0]: one for one in self.record.before}
        joined = {one[0]: one for one in self.record.joined}
        both = before.keys() & joined.keys()
        theirs = [name for name in joined if name not in both]
        where = (membership.c.merchant == self.merchant, membership.c.member == self.target)
        self.connection.execute(delete(membership).where(*where, membership.c.program.in_(theirs)))
        stays = [self._since_then(one, together(joined[name], one), states) for name, one in before.items()]
        goes = [one if name in both else self._since_then(one, one, states) for name, one in joined.items()]
        self.join(self.target, stays)
        self.join(self.source, goes)

    def _since_then(self, was: Joined, merged: Joined, states: Mapping[str, MembershipState]) -> Joined:
        """A membership as it was, with the state that it got since the merge, if it got another."""
        now = states.get(was[0], merged[3])
        return was if now == merged[3] else (*was[:3], now)

    def _counters(self) -> None:
        mine = {(row.program, row.scope, row.period): row.value for row in self.rows(counter, self.target)}
        changed = []
        for program, scope, period, value, both in self.record.counted:
            key = (program, scope, period)
            left = mine.get(key, 0)
            if not scope.endswith(COOLDOWN):
                changed.append(self.counted(self.target, key, max(0, left - value)))
            changed.append(self.counted(self.source, key, value))
            if both and f":{MEMBERS}" in scope:
                self.count_members(key, 1)
        saving.upsert(self.connection, "counter", changed)

    def _awards(self) -> None:
        now = merging.awards_of(self.connection, self.merchant, self.target)
        back = {key: now[key] for key in self.record.awards if key in now}
        written: list[Award] = [owned(one, self.source) for one in back.values()]
        for was in self.record.doubled:
            key = (was.mine.subject, was.mine.program, was.mine.rule)
            if key in now:
                mine, theirs = halved(now[key], was)
                written += [mine, theirs]
        merging.rewrite_awards(self.connection, self.merchant, back, self.target, written)

    def _restore_tiers(self) -> None:
        tiering.save_tiers(self.connection, self.merchant, [(self.source, one) for one in self.record.tiers.values()])

    def _wallets(self, lots: Mapping[str, Mapping[int, Lot]], since: Mapping[str, Since]) -> dict[str, int]:
        unit, spent = self.unit, dict[str, int]()
        for name, part in self.record.parts.items():
            mine = replace(unit.wallets[self.target, name], lots=lots.get(name, {}))
            theirs = unit.wallets[self.source, name]
            theirs, parted, entries = part_again(theirs, mine, part, since[name], self.about())
            unit.entries.extend(entries)
            unit.loaded[self.target, name] = replace(mine, lots=dict(mine.lots))
            self.keep(theirs, parted)
            merging.drop_lots(self.connection, self.merchant, mine, mine.lots.keys() - parted.lots.keys())
            if since[name].kept:
                spent[name] = sum(since[name].kept.values())
        self._debits()
        back = {name: -part.shift for name, part in self.record.parts.items()}
        merging.shift_imported(self.connection, self.merchant, self.record.moved.get("imported", ()), self.source, back)
        return spent

    def _debits(self) -> None:
        keys = set(self.record.debits)
        for row in self.rows(debit, self.target):
            if row.key in keys:
                part = self.record.parts.get(row.wallet)
                self.write_debit(shifted(rows.debit_of(row), self.source, -part.shift if part is not None else 0))

    def _attributes(self) -> None:
        old, new = self.unit.members[self.source], self.unit.members[self.target]
        gone = {name for name in self.record.filled if new.attributes.get(name) == old.attributes.get(name)}
        attributes = {name: value for name, value in new.attributes.items() if name not in gone}
        joined_at = from_micros(self.record.joined_at)
        self.person(self.target, attributes=attributes, joined_at=joined_at)
        self.person(self.source, merged_into=None)
        self.write_rows(self.source, **self.prints_of(self.source))
        self.write_rows(self.target, joined_at=self.record.joined_at)
