"""The command `stampcard`: global options, every command, and what an error becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from stampcard.cli import (
    alert,
    campaign,
    card,
    check,
    connection,
    contact,
    counter,
    database,
    demo,
    doctor,
    exporting,
    importing,
    init,
    key,
    member,
    message,
    order,
    outbox,
    perk,
    plan,
    plugin,
    program,
    proof,
    quarantine,
    redemption,
    replay,
    report,
    resync,
    reward,
    secret,
    segment,
    serve,
    simulate,
    staff,
    switching,
    tier,
    till,
    trigger,
    trying,
    verify,
)
from stampcard.cli.invocation import Invocation, exit_code, invocation_of
from stampcard.cli.printing import say, show
from stampcard.errors import StampcardError


class _Commands(TyperGroup):
    """Ends with clean lines and the right code, whatever command raised."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except StampcardError as error:
            if invocation_of(ctx).debug:
                raise
            for line in str(error).splitlines():
                say(f"error: {line}")
            raise typer.Exit(exit_code(error)) from None


app = typer.Typer(
    name="stampcard",
    cls=_Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,
    help="A self-hosted loyalty engine that plugs into the shop you already have.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from stampcard import __version__

        show(f"stampcard {__version__}")
        raise typer.Exit


@app.callback()
def stampcard(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(help="The settings file; otherwise STAMPCARD_CONFIG or ./stampcard.toml.", show_default=False),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the program an error came from.")] = False,
    version: Annotated[  # noqa: ARG001 - its callback answers
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    context.obj = Invocation(config=config, debug=debug)


app.command("init")(init.init)
app.command("check")(check.check)
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("trigger")(trigger.trigger)
app.command("verify")(verify.verify)
app.command("dry-run")(trying.dry_run)
app.command("simulate")(simulate.simulate)
app.command("replay")(replay.replay)
app.command("resync")(resync.resync)
app.command("stop")(switching.stop)
app.command("start")(switching.start)
app.add_typer(program.app, name="program")
app.add_typer(campaign.app, name="campaign")
app.add_typer(reward.app, name="reward")
app.add_typer(tier.app, name="tier")
app.add_typer(segment.app, name="segment")
app.add_typer(contact.app, name="contact")
app.add_typer(importing.app, name="import")
app.add_typer(exporting.app, name="export")
app.add_typer(perk.app, name="perk")
app.add_typer(plan.app, name="plan")
app.add_typer(proof.app, name="proof")
app.add_typer(redemption.app, name="redemption")
app.add_typer(report.app, name="report")
app.add_typer(alert.app, name="alert")
app.add_typer(plugin.app, name="plugin")
app.add_typer(connection.app, name="connection")
app.add_typer(member.app, name="member")
app.add_typer(card.app, name="card")
app.add_typer(counter.app, name="counter")
app.add_typer(till.app, name="till")
app.add_typer(staff.app, name="staff")
app.add_typer(message.app, name="message")
app.add_typer(order.app, name="order")
app.add_typer(outbox.app, name="outbox")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(switching.app, name="switch")
app.add_typer(key.app, name="key")
app.add_typer(secret.app, name="secret")
app.add_typer(database.app, name="db")


def run() -> None:
    """The entry point of the script."""
    app()
