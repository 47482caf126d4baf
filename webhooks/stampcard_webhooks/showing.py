"""What several routes show: figures and members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stampcard.applying.promoting import outlooks
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.wallets import Balance
from stampcard.errors import Merged, NotFound
from stampcard.storage.loading import load_identities_of, load_members
from stampcard.storage.reading import balances


class BalanceView(BaseModel):
    """The figures of one wallet: integers in its smallest unit, `scale` decimal places."""

    active: int = Field(description="Can be spent now.")
    pending: int = Field(description="Earned, not usable yet.")
    held: int = Field(description="Set aside for redemptions under way.")
    spent: int = Field(description="Spent, net of what came back.")
    expired: int = Field(description="Lapsed, net of what came back.")
    negative: int = Field(description="Owed; the next points pay it first.")
    lifetime: int = Field(description="Ever granted, net of what was taken back.")
    scale: int = Field(description="Decimal places: 1250 with scale 2 means 12.50.")


class IdentityView(BaseModel):
    """How a connection calls a member."""

    connection: str
    reference: str


class MemberView(BaseModel):
    """A member with balances as of now."""

    id: str
    joined_at: datetime
    version: int = Field(description="Rises whenever a balance changes.")
    attributes: dict[str, Any]
    identities: list[IdentityView]
    programs: list[str]
    held: str | None = Field(description="Why the member is on hold; null: the member is not.")
    tiers: dict[str, str] = Field(description="The tier by program; what has none is left out.")
    balances: dict[str, BalanceView] = Field(description="By wallet.")


class Counted(BaseModel):
    """How many were concerned."""

    count: int


def balance_view(balance: Balance) -> BalanceView:
    """The figures as shown."""
    return BalanceView(**msgspec.structs.asdict(balance))


def balance_views(of: Mapping[str, Balance]) -> dict[str, BalanceView]:
    """The figures of several wallets."""
    return {wallet: balance_view(balance) for wallet, balance in sorted(of.items())}


def member_views(connection: Connection, setting: Setting, ids: Sequence[str], now: datetime) -> list[MemberView]:
    """Members in the order of `ids`, without those whom nobody knows or who were erased."""
    merchant = setting.merchant
    people = load_members(connection, merchant, ids, setting.sealer, attributes=True, lock=False)
    identities = load_identities_of(connection, merchant, people)
    figures = balances(connection, merchant, people, setting.programs, now)
    tiers = outlooks(Unit(connection, setting, now), list(people))
    return [
        MemberView(
            id=person.id,
            joined_at=person.joined_at,
            version=person.version,
            attributes=dict(person.attributes),
            identities=[
                IdentityView(connection=row.connection, reference=row.reference)
                for row in sorted(identities.get(person.id, ()), key=lambda row: (row.connection, row.reference))
            ],
            programs=sorted(person.programs),
            held=person.held.reason if person.held is not None else None,
            tiers={one.ladder.program: one.tier.name for one in tiers.get(id_, ()) if one.tier.name},
            balances=balance_views(figures[person.id]),
        )
        for id_ in ids
        if (person := people.get(id_)) is not None and person.is_there
    ]


def check_member(connection: Connection, setting: Setting, id_: str) -> str:
    """The id of a member who is there; raises NotFound, also for one who was erased, and Merged."""
    found = load_members(connection, setting.merchant, [id_], setting.sealer, attributes=False, lock=False)
    known = found.get(id_)
    if known is None or known.erased_at is not None:
        raise NotFound("member", id_)
    if known.merged_into is not None:
        raise Merged(id_, known.merged_into)
    return id_
