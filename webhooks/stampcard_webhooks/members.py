"""Members: who they are, what they have, how it came about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stampcard.domain.ledger import Entry
from stampcard.domain.wallets import Lot
from stampcard.errors import RequestRefused
from stampcard.storage import loading
from stampcard.storage.listing import entries_before, lots_before, members_after
from stampcard.storage.reading import folded_wallets, scale_of
from stampcard_webhooks.asking import Nothing, Query
from stampcard_webhooks.paging import Number, Page, PageQuery, Text, cut, position
from stampcard_webhooks.routing import Call, Route
from stampcard_webhooks.showing import MemberView, check_member, member_views

Place = tuple[Text, Number]


class MembersQuery(PageQuery):
    """All members, or the one whom a connection calls so."""

    identity: str | None = Field(
        default=None, max_length=400, description="`<connection>:<reference>`: the member of this identity."
    )


class MemberPage(Page[MemberView]):
    """Members by id."""


class WalletQuery(PageQuery):
    """Of every wallet, or of one."""

    wallet: str | None = Field(default=None, max_length=100, pattern=r"^[^\x00]*$", description="Only of this wallet.")


class MoveView(BaseModel):
    """What an entry moved into or out of a lot."""

    lot: int
    account: str
    amount: int


class EntryView(BaseModel):
    """One fact of the ledger; the postings sum to 0."""

    wallet: str
    number: int
    kind: str
    occurred_at: datetime
    posted_at: datetime
    postings: dict[str, int]
    moves: list[MoveView]
    subject: str
    rule: str
    note: str
    scale: int


class EntryPage(Page[EntryView]):
    """Entries, newest first in each wallet."""


class LotView(BaseModel):
    """Points that were credited together and die together, as of now."""

    wallet: str
    number: int
    amount: int
    remaining: int
    expired: int
    taken: int
    active: bool
    available_from: datetime
    expires_at: datetime | None
    occurred_at: datetime
    subject: str
    rule: str
    program_version: int
    parent: int | None
    scale: int


class LotPage(Page[LotView]):
    """Lots, newest first in each wallet."""


async def list_members(call: Call[MembersQuery, Nothing]) -> MemberPage:
    """All, by id, or the one of an identity."""
    return await call.read(lambda connection: _members(connection, call))


def _members(connection: Connection, call: Call[MembersQuery, Nothing]) -> MemberPage:
    query, following = call.query, None
    ids: Sequence[str]
    if query.identity is not None:
        ids = _identified(connection, call, query.identity)
    else:
        found = members_after(connection, call.merchant, position(query, "members", Text) or "", query.limit + 1)
        ids, following = cut(found, query, "members", lambda id_: id_)
    return MemberPage(items=member_views(connection, call.setting, ids, call.now), next=following)


def _identified(connection: Connection, call: Call[MembersQuery, Nothing], identity: str) -> list[str]:
    name, colon, reference = identity.partition(":")
    if not colon or "\x00" in identity:
        raise RequestRefused("identity", "write identity=<connection>:<reference>")
    key = (call.source(name), reference)
    return [row.member for row in loading.load_identities(connection, call.merchant, [key]).values()]


async def show_member(call: Call[Query, Nothing]) -> MemberView:
    """One; raises NotFound, also for one who was erased, and Merged."""
    return await call.read(lambda connection: _member(connection, call))


def _member(connection: Connection, call: Call[Query, Nothing]) -> MemberView:
    id_ = check_member(connection, call.setting, call.path["id"])
    return member_views(connection, call.setting, [id_], call.now)[0]


async def list_entries(call: Call[WalletQuery, Nothing]) -> EntryPage:
    """A member's entries."""

    def work(connection: Connection) -> EntryPage:
        member, query = check_member(connection, call.setting, call.path["id"]), call.query
        place = position(query, "entries", Place)
        found = entries_before(connection, call.merchant, member, query.wallet, place, query.limit + 1)
        shown, following = cut(found, query, "entries", lambda entry: (entry.wallet, entry.number))
        items = [_entry(entry, scale_of(call.setting.programs, entry.wallet)) for entry in shown]
        return EntryPage(items=items, next=following)

    return await call.read(work)


def _entry(entry: Entry, scale: int) -> EntryView:
    return EntryView(
        wallet=entry.wallet,
        number=entry.number,
        kind=entry.kind,
        occurred_at=entry.occurred_at,
        posted_at=entry.posted_at,
        postings={str(account): amount for account, amount in entry.postings.items()},
        moves=[MoveView(lot=move.lot, account=move.account, amount=move.amount) for move in entry.moves],
        subject=entry.subject,
        rule=entry.rule,
        note=entry.note,
        scale=scale,
    )


async def list_lots(call: Call[WalletQuery, Nothing]) -> LotPage:
    """A member's lots, folded up to now."""

    def work(connection: Connection) -> LotPage:
        member, query = check_member(connection, call.setting, call.path["id"]), call.query
        place = position(query, "lots", Place)
        found = lots_before(connection, call.merchant, member, query.wallet, place, query.limit + 1)
        shown, following = cut(found, query, "lots", lambda pair: (pair[0], pair[1].number))
        folded = {wallet.name: wallet.lots for wallet in folded_wallets(connection, call.merchant, [member], call.now)}
        items = [
            lot_view(name, folded.get(name, {}).get(lot.number, lot), scale_of(call.setting.programs, name))
            for name, lot in shown
        ]
        return LotPage(items=items, next=following)

    return await call.read(work)


def lot_view(wallet: str, lot: Lot, scale: int) -> LotView:
    """A lot as shown."""
    return LotView(
        wallet=wallet,
        number=lot.number,
        amount=lot.amount,
        remaining=lot.remaining,
        expired=lot.expired,
        taken=lot.taken,
        active=lot.active,
        available_from=lot.available_from,
        expires_at=lot.expires_at,
        occurred_at=lot.occurred_at,
        subject=lot.subject,
        rule=lot.rule,
        program_version=lot.program_version,
        parent=lot.parent,
        scale=scale,
    )


ROUTES = (
    Route(
        method="GET",
        path="/members",
        scope="members:read",
        summary="List members, or find one",
        handler=list_members,
        query=MembersQuery,
        gives=MemberPage,
    ),
    Route(
        method="GET",
        path="/members/{id}",
        scope="members:read",
        summary="Show a member with balances",
        handler=show_member,
        gives=MemberView,
    ),
    Route(
        method="GET",
        path="/members/{id}/entries",
        scope="members:read",
        summary="List a member's ledger entries",
        handler=list_entries,
        query=WalletQuery,
        gives=EntryPage,
    ),
    Route(
        method="GET",
        path="/members/{id}/lots",
        scope="members:read",
        summary="List a member's lots",
        handler=list_lots,
        query=WalletQuery,
        gives=LotPage,
    ),
)
