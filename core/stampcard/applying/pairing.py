"""Two members at once, while they become one or two again: what both ways need."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Row, Table, delete, select, update

from stampcard.applying.recounting import counted_anew
from stampcard.applying.registering import attribute_columns
from stampcard.applying.unit import Unit
from stampcard.domain.members import MEMBERSHIP_STATES, Member
from stampcard.domain.value import replace
from stampcard.domain.wallets import Wallet
from stampcard.engine.posting import About
from stampcard.engine.spending import Debit
from stampcard.storage import saving
from stampcard.storage.merging import Joined
from stampcard.storage.rows import to_json
from stampcard.storage.tables import (
    counter,
    debit,
    member,
)


def together(one: Joined, other: Joined) -> Joined:
    """Since when somebody takes part who is both; whatever either has confirmed or not left is so."""
    first = min(one, other, key=lambda membership: membership[1])
    return (*first[:3], min(one[3], other[3], key=MEMBERSHIP_STATES.index))


class Pair:
    """Two members at once, who become one or two again; rules pay nothing for it."""

    def __init__(self, unit: Unit, source: str, target: str) -> None:
        self.unit, self.source, self.target = unit, source, target
        self.connection, self.merchant = unit.connection, unit.setting.merchant
        unit.quiet = True

    def about(self, subject: str = "") -> About:
        return About(occurred_at=self.unit.now, now=self.unit.now, subject=subject)

    def lock(self) -> None:
        """Load both as they are once their rows have gone over."""
        self.unit.lock(sorted((self.source, self.target)), attributes=True, recall=True)
        self.unit.count(())

    def keep(self, *wallets: Wallet) -> None:
        for wallet in wallets:
            self.unit.wallets[wallet.member, wallet.name] = wallet
            self.unit.touched.wallets.add((wallet.member, wallet.name))

    def person(self, id_: str, **changes: Any) -> Member:
        self.unit.keep_before(id_)
        self.unit.members[id_] = replace(self.unit.members[id_], **changes)
        return self.unit.members[id_]

    def follow(self, *members: str) -> None:
        """Let tiers, plans, segments and perks be what they are by what is there now, and the shop mark members so."""
        self.unit.grants.marked |= set(members)
        tiering_ = self.unit.tiering
        for live in tiering_.live:
            counted = counted_anew(self.connection, self.merchant, live, members)
            tiering_.recount(live, counted, members, why="merge")
        for id_ in members:
            self.unit.judge_again(id_)

    def write_rows(self, id_: str, **values: Any) -> None:
        where = (member.c.merchant == self.merchant, member.c.id == id_)
        self.connection.execute(update(member).where(*where).values(**values))

    def prints_of(self, id_: str) -> dict[str, Any]:
        columns = attribute_columns(self.unit.setting.sealer, self.merchant, self.unit.members[id_])
        return {name: value for name, value in columns.items() if name.endswith("_print")}

    def delete(self, table: Table, of: str) -> None:
        self.connection.execute(delete(table).where(table.c.merchant == self.merchant, table.c.member == of))

    def rows(self, table: Table, of: str) -> list[Row[Any]]:
        """A member's rows."""
        statement = select(table).where(table.c.merchant == self.merchant, table.c.member == of)
        return list(self.connection.execute(statement))

    def join(self, of: str, memberships: Collection[Joined]) -> None:
        """Let a member take part in programs, each since a moment."""
        written = [
            {
                "merchant": self.merchant,
                "member": of,
                "program": program,
                "joined_at": at,
                "anniversary": day,
                "state": state,
            }
            for program, at, day, state in memberships
        ]
        saving.upsert(self.connection, "membership", written)

    def counted(self, of: str, key: tuple[str, str, str], value: int) -> dict[str, Any]:
        """A counter's row."""
        program, scope, period = key
        row = {"merchant": self.merchant, "program": program, "member": of}
        return {**row, "scope": scope, "period": period, "value": value}

    def count_members(self, key: tuple[str, str, str], amount: int) -> None:
        """Count one distinct member more or fewer, where all are counted together."""
        program, scope, period = key
        of = (
            counter.c.program == program,
            counter.c.member == "",
            counter.c.scope == scope,
            counter.c.period == period,
        )
        statement = update(counter).where(counter.c.merchant == self.merchant, *of)
        self.connection.execute(statement.values(value=counter.c.value + amount))

    def write_debit(self, moved: Debit) -> None:
        """Let a spend be told by who has its lots now."""
        statement = update(debit).where(debit.c.merchant == self.merchant, debit.c.key == moved.key)
        self.connection.execute(statement.values(member=moved.member, draws=to_json(moved.draws)))
