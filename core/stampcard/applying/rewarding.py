"""Redemptions as rows, and who could make rewards real for whom."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from sqlalchemy import Connection

from stampcard.applying.setting import Setting
from stampcard.domain.rewards import Fulfiller, Minted, Redemption
from stampcard.program.rewards import POOL
from stampcard.storage import loading, pooling, rows, saving
from stampcard.storage.numbering import new_code, new_redemption_id


@dataclass(slots=True)
class Rewarding:
    """What one transaction finds out about rewards, and where its new ids and codes come from."""

    connection: Connection
    setting: Setting
    #: (program, reward) → the fingerprint of the code that its pool gave out last; and all that any pool gave out here.
    _pools: dict[tuple[str, str], str] = field(default_factory=dict)
    _given: set[str] = field(default_factory=set)

    def copied(self) -> Rewarding:
        """The same, to go back to: what was minted for nothing is free again."""
        return Rewarding(self.connection, self.setting, dict(self._pools), set(self._given))

    def find(
        self, *, ids: Collection[str] = (), prints: Collection[str] = (), subjects: Collection[str] = ()
    ) -> dict[str, Redemption]:
        """Redemptions by id, by the fingerprint of their code, or by what gave them."""
        merchant, sealer = self.setting.merchant, self.setting.sealer
        return loading.load_redemptions(self.connection, merchant, sealer, ids=ids, prints=prints, subjects=subjects)

    def fulfillers(self, members: Collection[str]) -> dict[str, tuple[Fulfiller, ...]]:
        """Member → the connections that make rewards real for them."""
        kinds = self.setting.fulfilling
        if not kinds:
            return {}
        known = loading.load_identities_of(self.connection, self.setting.merchant, members)
        return {
            member: tuple(
                Fulfiller(connection=row.connection, reference=row.reference, kinds=kinds[row.connection])
                for row in sorted(identities, key=lambda row: (row.connection, row.reference))
                if row.connection in kinds
            )
            for member, identities in known.items()
        }

    def mint(self, program: str, reward: str, source: str, prefix: str) -> Minted | None:
        """An id and a code for a new redemption; None when its pool of codes is empty."""
        id_, key = new_redemption_id(), (program, reward)
        if source != POOL:
            return Minted(id=id_, code=new_code(prefix))
        setting = self.setting
        while True:
            after = self._pools.get(key, "")
            free = pooling.free_code(self.connection, setting.merchant, setting.sealer, program, reward, after)
            if free is None:
                return None
            self._pools[key] = free.print
            if free.print not in self._given:  # the same code may have been uploaded to another pool, too
                break
        self._given.add(free.print)
        return Minted(id=id_, code=free.code, by=free.connection, batch=free.batch)


def print_of(setting: Setting, code: str) -> str:
    """What a code is found by."""
    return rows.code_print(setting.sealer, setting.merchant, code)


def save_redemptions(connection: Connection, setting: Setting, redemptions: Iterable[Redemption]) -> None:
    """Write redemptions that changed; a code that came out of a pool is gone from it."""
    found = list(redemptions)
    if not found:
        return
    saving.upsert(
        connection, "redemption", [rows.redemption_row(setting.merchant, one, setting.sealer) for one in found]
    )
    for one in found:
        if one.voucher is not None and (one.by == POOL or one.voucher.batch):
            print_ = print_of(setting, one.voucher.code)
            pooling.take(connection, setting.merchant, one.program, one.reward, print_, one.id)
