from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import settings_of
from stampcard.cli.printing import show, show_json
from stampcard.errors import NotFound

if TYPE_CHECKING:
    from stampcard.app import Application
    from stampcard_webhooks.explaining import ExplanationView

app = typer.Typer(no_args_is_help=True, help="Orders: what they earned, and why.")

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]


@app.command()
def explain(
    context: typer.Context,
    order: Annotated[
        str,
        typer.Argument(
            metavar="CONNECTION:REFERENCE", help="The order, by the shop's own reference.", show_default=False
        ),
    ],
    json: Json = False,
) -> None:
    """Say what became of an order: each rule and why it pays or not, the limits it uses, its points and their dates."""
    view = _explained(context, order)
    if json:
        show_json(view.model_dump(mode="json"))
        return
    for line in view.words:
        show(line)


def _explained(context: typer.Context, named: str) -> ExplanationView:
    from stampcard.cli.acting import acting
    from stampcard_webhooks.explaining import order_view

    settings = settings_of(context)
    name, colon, reference = named.partition(":")
    if not colon:
        raise NotFound("order", named)

    async def use(application: Application) -> ExplanationView:
        source, now = application.sources.get(name, name), application.clock.now()
        return await application.database.read(
            lambda connection: order_view(connection, application.setting, source, reference, now)
        )

    return acting(settings, use)
