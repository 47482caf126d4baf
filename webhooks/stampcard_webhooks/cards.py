"""Members' cards: their number and page, and the passes that show them in phones."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import Connection

from stampcard.app import Application
from stampcard.applying import passes as applying
from stampcard.applying.passes import PAGE, Pictured, pictured
from stampcard.applying.requests import Answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.engine.codes import lasting_code, spaced
from stampcard.engine.tokens import card_token
from stampcard.errors import NotFound, PluginError, Unavailable
from stampcard.storage import cards
from stampcard.storage.passes import Pass, passes_of
from stampcard_webhooks.asking import Asked, Nothing, Query
from stampcard_webhooks.editing import ConnectionName
from stampcard_webhooks.routing import Call, Route, given
from stampcard_webhooks.showing import check_member

#: Seconds for which whoever wants a pass waits until the vendor knows it, and how often that is looked at.
PATIENCE, LOOK = 3.0, 0.1


class WalletView(BaseModel):
    """A phone's wallet that takes the card, and whether the member has it there."""

    connection: str
    title: str = Field(description="What people call that wallet.")
    saved_at: datetime | None = Field(description="Since when the card is in a phone; null: it is not, or not yet.")
    removed_at: datetime | None = Field(description="Since when nobody has it in a phone any more.")
    url: str = Field(description="Adds the card to that wallet; for the member alone.")


class CardView(BaseModel):
    """A member's card."""

    member: str
    number: str = Field(description="What people type where nothing can be scanned.")
    shown: str = Field(description="The number as people read it.")
    code: str = Field(description="What a printed card says to a scanner; it never changes.")
    url: str = Field(description="The page of the card, with a code for the counter; for the member alone.")
    wallets: list[WalletView]


class NewPass(Asked):
    """Where the card is to be kept."""

    connection: ConnectionName = Field(description="A connection to a phone's wallet.")


class PassView(BaseModel):
    """A pass that a member may put into a phone."""

    connection: str
    serial: str
    url: str = Field(description="The vendor's address, which adds it; for the member alone.")


async def show_card(call: Call[Query, Nothing]) -> CardView:
    """The card; raises NotFound for a member who has none yet."""
    id_ = call.path["id"]

    def work(connection: Connection) -> CardView:
        check_member(connection, call.setting, id_)
        number = cards.numbers_of(connection, call.merchant, [id_]).get(id_)
        if number is None:
            raise NotFound("card of the member", id_)
        return card_view(connection, call.setting, id_, number)

    return await call.read(work)


async def make_card(call: Call[Query, Nothing]) -> Answer:
    """Make the card of a member who has none; the one that is there stays."""
    return await make_card_of(call, call.path["id"])


async def make_card_of(call: Call[Any, Any], member: str) -> Answer:
    """The card of this member, made where there is none."""
    return await call.write(lambda unit: _card(unit, member, applying.number_of(unit, member)))


async def renew_card(call: Call[Query, Nothing]) -> Answer:
    """Give a member a card of another number."""
    answer = await call.write(lambda unit: _card(unit, call.path["id"], applying.renew_card(unit, call.path["id"])))
    call.application.wake()
    return answer


def _card(unit: Unit, member: str, number: str) -> Answer:
    return given(card_view(unit.connection, unit.setting, member, number), member)


def card_view(connection: Connection, setting: Setting, member: str, number: str) -> CardView:
    """A card as shown."""
    page = f"{setting.public_url}{PAGE}{card_token(setting.sealer, setting.merchant, number)}"
    known = {one.connection: one for one in passes_of(connection, setting.merchant, [member])}
    return CardView(
        member=member,
        number=number,
        shown=spaced(number),
        code=lasting_code(setting.sealer, setting.merchant, number),
        url=page,
        wallets=[_wallet(setting, name, known.get(name), page) for name in sorted(setting.phones)],
    )


def _wallet(setting: Setting, name: str, one: Pass | None, page: str) -> WalletView:
    return WalletView(
        connection=name,
        title=setting.phones[name].title,
        saved_at=one.saved_at if one is not None else None,
        removed_at=one.removed_at if one is not None else None,
        url=f"{page}/{name}",
    )


async def make_pass(call: Call[Query, NewPass]) -> Answer:
    """The pass of a member at a phone's wallet, and the address that adds it."""
    member, name = call.path["id"], call.body.connection
    made: list[Pass] = []

    def work(unit: Unit) -> Answer:
        made.append(applying.ask_for_pass(unit, member, name))
        return given(PassView(connection=name, serial=made[-1].serial, url=""), member, 201)

    answer = await call.write(work)
    url = await address_of(call.application, call.setting, name, member)
    view = PassView.model_validate({**answer.body, "url": url})
    return Answer(status=answer.status, body=view.model_dump(mode="json"), member=member)


async def address_of(application: Application, setting: Setting, name: str, member: str) -> str:
    """The vendor's address that adds a member's pass to a phone.

    Waits a little until the vendor knows the pass. Raises Unavailable, saying what to do, where there is no address now.
    """
    connection = application.connections.get(name)
    sink = connection.pass_sink if connection is not None else None
    if sink is None:
        raise Unavailable(f"the connection {name} is not ready: come again in a moment")
    application.wake()
    one = await _pictured(application, setting, name, member)
    waited = 0.0
    while one is not None and not one.of.content and waited < PATIENCE:
        await asyncio.sleep(LOOK)
        waited += LOOK
        one = await _pictured(application, setting, name, member)
    if one is None:
        raise NotFound("pass of the member", member)
    try:
        return await sink.link(one.push, is_there=bool(one.of.content))
    except PluginError as error:
        raise Unavailable(f"{sink.title} has no address for this card now: {error}") from None


async def _pictured(application: Application, setting: Setting, name: str, member: str) -> Pictured | None:
    now = application.clock.now()

    def work(connection: Connection) -> Iterable[Pictured]:
        return pictured(connection, setting, name, [member], now)

    return next(iter(reversed(list(await application.database.read(work)))), None)


ROUTES = (
    Route(
        method="GET",
        path="/members/{id}/card",
        scope="members:read",
        summary="Show a member's card",
        handler=show_card,
        gives=CardView,
    ),
    Route(
        method="POST",
        path="/members/{id}/card",
        scope="members:write",
        summary="Make a member's card, unless there is one",
        handler=make_card,
        gives=CardView,
    ),
    Route(
        method="POST",
        path="/members/{id}/card/renew",
        scope="members:write",
        summary="Give a member a card of another number: the old one is worth nothing any more",
        handler=renew_card,
        gives=CardView,
    ),
    Route(
        method="POST",
        path="/members/{id}/passes",
        scope="members:write",
        summary="Make a pass that puts a member's card into a phone",
        handler=make_pass,
        takes=NewPass,
        gives=PassView,
        status=201,
    ),
)
