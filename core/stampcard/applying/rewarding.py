"""Redemptions as rows, and who could make rewards real for whom."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import Connection

from stampcard.applying.setting import Setting
from stampcard.domain.rewards import Fulfiller, Redemption
from stampcard.program.rewards import POOL
from stampcard.storage import loading, pooling, rows, saving


def fulfillers_of(
    connection: Connection, setting: Setting, members: Collection[str]
) -> dict[str, tuple[Fulfiller, ...]]:
    """Member → the connections that make rewards real for them."""
    if not setting.fulfilling:
        return {}
    known = loading.load_identities_of(connection, setting.merchant, members)
    return {
        member: tuple(
            Fulfiller(connection=row.connection, reference=row.reference, kinds=setting.fulfilling[row.connection])
            for row in sorted(identities, key=lambda row: (row.connection, row.reference))
            if row.connection in setting.fulfilling
        )
        for member, identities in known.items()
    }


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
        if one.by == POOL and one.voucher is not None:
            print_ = print_of(setting, one.voucher.code)
            pooling.take(connection, setting.merchant, one.program, one.reward, print_, one.id)
