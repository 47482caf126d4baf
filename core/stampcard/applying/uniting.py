"""All that one member has goes on in another."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Table

from stampcard.applying.namesakes import Namesakes
from stampcard.applying.pairing import Pair, together
from stampcard.clock import to_micros
from stampcard.domain.events import MembersMerged
from stampcard.domain.merges import Merge
from stampcard.domain.tiers import Tier
from stampcard.domain.value import replace
from stampcard.domain.wallets import Lot, Wallet
from stampcard.engine.counting import COOLDOWN, MEMBERS
from stampcard.engine.enrolling import decide_release
from stampcard.engine.merging import Doubled, Part, combine, doubled, owned, shifted
from stampcard.storage import addressing, contacts, loading, merging, rows, saving, tiering
from stampcard.storage.merging import Joined, Record
from stampcard.storage.messages import drop_doubles
from stampcard.storage.tables import (
    counter,
    debit,
    membership,
    progress,
    push,
    segment_member,
    tier,
)


class Uniting(Pair):
    """One merge on its way."""

    def carry_out(self, by: str, note: str) -> Merge:
        """Do it; answers the merge as it is written."""
        connection, merchant, source, target = self.connection, self.merchant, self.source, self.target
        lots = merging.lots_of(connection, merchant, source)
        drop_doubles(connection, merchant, source, target, self.unit.now)
        moved = {table.name: self._move(table) for table in merging.MOVED}
        named = {table.name: self._move_named(table) for table in merging.NAMED}
        joined, before = self._memberships()
        counted = self._counters()
        awards, twice = self._awards()
        segments = self._segments()
        tiers = tiering.load_tiers(connection, merchant, [source]).get(source, {})
        for table in (progress, tier, segment_member, push):
            self.delete(table, source)
        followers = sorted(loading.sources_of(connection, merchant, [source]))
        self._point(followers)
        addressing.forget_duplicates(connection, merchant, [source], state="doubtful")
        contacts.move_candidates(connection, merchant, source, target)
        self.lock()
        unit = self.unit
        old, new = unit.members[source], unit.members[target]
        filled = sorted(name for name in old.attributes if name not in new.attributes)
        joined_at = to_micros(new.joined_at)
        self.person(
            target,
            attributes={**{name: old.attributes[name] for name in filled}, **new.attributes},
            joined_at=min(old.joined_at, new.joined_at),
            version=max(old.version, new.version),
        )
        self.person(source, merged_into=target, programs=frozenset())
        parts = self._wallets(lots)
        self._release(joined, before)
        debits = self._debits(parts)
        shifts = {name: part.shift for name, part in parts.items()}
        merging.shift_imported(connection, merchant, moved["imported"], target, shifts)
        self._tiers(tiers)
        inside = new.segments
        entered = [
            (name, one)
            for name, one, _ in segments
            if one in self._static(name) and one not in inside.get(name, frozenset())
        ]
        for name, one in entered:
            unit.segmenting.cross(target, name, one, entered=True)
        namesakes = Namesakes(unit, source, target)
        perks = namesakes.unite_perks(named["perk"][1])
        proofs, withdrawn = namesakes.unite_proofs(named["proof"][1])
        over = namesakes.unite_terms(named["plan_term"][0])
        if old.held is not None and new.held is None:
            unit.set_held(target, old.held)
        self.follow(target)
        self.write_rows(source, merged_into=target, birthday_print=None, email_print=None, phone_print=None)
        self.write_rows(target, joined_at=to_micros(unit.members[target].joined_at))
        done = Merge(id=new_merge_id(), source=source, target=target, at=unit.now, by=by, note=note)
        unit.record_own(MembersMerged(other=source, merged=True, occurred_at=unit.now), target, ())
        record = Record(
            parts=parts, moved=moved, awards=awards, doubled=twice, debits=debits, counted=counted, joined=joined,
            before=before, tiers=tiers, segments=segments, entered=entered, filled=filled, joined_at=joined_at,
            followers=followers, named={name: keys for name, (keys, _) in named.items()},
            put_aside={name: rows_ for name, (_, rows_) in named.items() if rows_}, perks=perks, proofs=proofs,
            withdrawn=withdrawn, over=over,
        )  # fmt: skip
        merging.save_merge(connection, merchant, unit.setting.sealer, done, record)
        return done

    def _move(self, table: Table) -> list[merging.Key]:
        keys = merging.keys_of(self.connection, table, self.merchant, self.source)
        merging.move(self.connection, table, self.merchant, keys, self.source, self.target)
        return keys

    def _move_named(self, table: Table) -> tuple[list[merging.Key], list[dict[str, Any]]]:
        return merging.move_named(self.connection, table, self.merchant, self.source, self.target)

    def _point(self, followers: Collection[str]) -> None:
        for id_ in followers:
            self.write_rows(id_, merged_into=self.target)

    def _memberships(self) -> tuple[list[Joined], list[Joined]]:
        """The programs of both: whoever joined first counts. Answers the source's, and the target's of the same programs."""
        theirs, mine = (
            {row.program: (row.program, row.joined_at, row.anniversary, row.state) for row in self.rows(membership, of)}
            for of in (self.source, self.target)
        )
        self.delete(membership, self.source)
        both = [together(one, mine.get(name, one)) for name, one in theirs.items()]
        self.join(self.target, both)
        return list(theirs.values()), [one for name, one in mine.items() if name in theirs]

    def _counters(self) -> list[tuple[str, str, str, int, bool]]:
        """What limits have counted of both counts together; a person counts once among distinct members."""
        mine = {(row.program, row.scope, row.period): row.value for row in self.rows(counter, self.target)}
        counted, changed = [], []
        for row in sorted(self.rows(counter, self.source), key=lambda row: (row.program, row.scope, row.period)):
            key, had = (row.program, row.scope, row.period), mine.get((row.program, row.scope, row.period), 0)
            both = row.value > 0 and had > 0
            counted.append((*key, row.value, both))
            value = max(row.value, had) if row.scope.endswith(COOLDOWN) else row.value + had
            changed.append(self.counted(self.target, key, value))
            if both and f":{MEMBERS}" in row.scope:
                self.count_members(key, -1)
        self.delete(counter, self.source)
        saving.upsert(self.connection, "counter", changed)
        return counted

    def _awards(self) -> tuple[list[tuple[str, str, str]], list[Doubled]]:
        theirs = merging.awards_of(self.connection, self.merchant, self.source)
        mine = merging.awards_of(self.connection, self.merchant, self.target)
        twice = [Doubled(mine=mine[key], theirs=one) for key, one in theirs.items() if key in mine]
        written = [doubled(mine[key], one) if key in mine else owned(one, self.target) for key, one in theirs.items()]
        merging.rewrite_awards(self.connection, self.merchant, theirs, self.source, written)
        return [key for key in theirs if key not in mine], twice

    def _segments(self) -> list[tuple[str, str, int]]:
        return [(row.program, row.segment, row.since) for row in self.rows(segment_member, self.source)]

    def _static(self, program: str) -> set[str]:
        """The segments of a program that people fill by hand."""
        for live in self.unit.segmenting.live:
            if live.name == program:
                return {name for name, one in live.program.segments.items() if one.when is None}
        return set()

    def _wallets(self, lots: Mapping[str, Mapping[int, Lot]]) -> dict[str, Part]:
        """Every wallet of the source with all of its lots, in that of the target."""
        unit, parts = self.unit, dict[str, Part]()
        for (id_, name), wallet in sorted(unit.wallets.items()):
            if id_ != self.source or not (wallet.sums or lots.get(name)):
                continue
            theirs = replace(wallet, lots=lots.get(name, {}))
            mine = unit.wallets.get((self.target, name))
            mine = mine or Wallet(member=self.target, name=name, booked_to=unit.now)
            left, came, entries, parts[name] = combine(theirs, mine, self.about())
            unit.entries.extend(entries)
            self.keep(left, came)
            merging.drop_lots(self.connection, self.merchant, left)
        return parts

    def _release(self, joined: Sequence[Joined], before: Sequence[Joined]) -> None:
        """Whoever has confirmed as one of both has confirmed as the other."""
        sides = (*joined, *before)
        waited = {name for name, _, _, state in sides if state == "unconfirmed"}
        person = self.unit.members[self.target]
        for live in self.unit.setting.programs.current(self.unit.now):
            if live.name in waited and person.states.get(live.name, "active") == "active":
                self.unit.absorb(decide_release(self.unit.world, live, person))

    def _debits(self, parts: Mapping[str, Part]) -> list[str]:
        keys = []
        for row in self.rows(debit, self.source):
            part = parts.get(row.wallet)
            moved = shifted(rows.debit_of(row), self.target, part.shift if part is not None else 0)
            self.write_debit(moved)
            keys.append(row.key)
        return keys

    def _tiers(self, tiers: Mapping[str, Tier]) -> None:
        for live in self.unit.tiering.live:
            if live.name in tiers:
                self.unit.tiering.unite(live, self.target, tiers[live.name])


def new_merge_id() -> str:
    """A merge's id."""
    return "x_" + secrets.token_hex(10)
