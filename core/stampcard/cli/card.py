from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import settings_of
from stampcard.cli.naming import Member, find_member
from stampcard.cli.poster import poster
from stampcard.cli.printing import moment, say, show, show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from stampcard.applying.requests import Answer
    from stampcard.applying.setting import Setting
    from stampcard.applying.unit import Unit
    from stampcard_webhooks.cards import CardView, WalletView

app = typer.Typer(
    no_args_is_help=True, help="Members' cards: number, page and phones, and the sign that brings new ones."
)

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]


@app.command("show")
def show_card(context: typer.Context, member: Member, json: Json = False) -> None:
    """Show a member's card: its number, its page, and the phones' wallets that take it."""
    from stampcard.cli.acting import look
    from stampcard.errors import RequestRefused
    from stampcard.storage.cards import numbers_of
    from stampcard_webhooks.cards import card_view
    from stampcard_webhooks.showing import check_member

    settings = settings_of(context)

    def read(connection: Connection, setting: Setting) -> CardView:
        id_ = check_member(connection, setting, find_member(connection, settings, member))
        number = numbers_of(connection, setting.merchant, [id_]).get(id_)
        if number is None:
            raise RequestRefused("no_card", f"{member} has no card yet. Make one by: stampcard card make {member}")
        return card_view(connection, setting, id_, number)

    _print(look(settings, read), json=json)


@app.command("make")
def make_card(context: typer.Context, member: Member, json: Json = False) -> None:
    """Make the card of a member who has none; one that is there stays as it is."""
    from stampcard.applying.passes import number_of

    _print(_made(context, member, number_of), json=json)


@app.command("renew")
def renew_card(
    context: typer.Context,
    member: Member,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Give a member a card of another number, because somebody else has the old one: that is worth nothing afterwards."""
    from stampcard.applying.passes import renew_card

    if not yes:
        warned = "Its old number, its codes and its links are worth nothing afterwards, on paper too"
        typer.confirm(
            f"Give {member} another card? {warned}; phones show the new one by themselves.", abort=True, err=True
        )
    _print(_made(context, member, renew_card), json=json)


app.command("poster")(poster)


def _made(context: typer.Context, named: str, make: Callable[[Unit, str], str]) -> CardView:
    from stampcard.applying.requests import Answer
    from stampcard.cli.acting import act
    from stampcard_webhooks.cards import CardView, card_view

    settings = settings_of(context)

    def work(unit: Unit) -> Answer:
        id_ = find_member(unit.connection, settings, named)
        view = card_view(unit.connection, unit.setting, id_, make(unit, id_))
        return Answer(status=200, body=view.model_dump(mode="json"), member=id_)

    return CardView.model_validate(act(settings, work).body)


def _print(view: CardView, *, json: bool) -> None:
    if json:
        show_json(view.model_dump(mode="json"))
        return
    show(f"number  {view.shown}")
    show(f"page    {view.url}")
    if view.wallets:
        show_table(
            [("WALLET", "CONNECTION", "IN A PHONE"), *((one.title, one.connection, _kept(one)) for one in view.wallets)]
        )
    say("The page is for the member alone: whoever has its address has the card.")


def _kept(one: WalletView) -> str:
    if one.saved_at is not None and one.removed_at is None:
        return f"since {moment(one.saved_at)}"
    return f"no more since {moment(one.removed_at)}" if one.removed_at is not None else "no"
