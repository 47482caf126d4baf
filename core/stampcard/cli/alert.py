from __future__ import annotations

from typing import Annotated

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.printing import moment, say, show_json, show_table

app = typer.Typer(no_args_is_help=True, help="Alerts: what somebody should know.")

Limit = Annotated[int, typer.Option(min=1, max=10_000, help="So many at most.")]
Json = Annotated[bool, typer.Option("--json", help="For other programs.")]


@app.callback()
def alert() -> None:
    """Keep `list` a command of its own."""


@app.command("list")
def list_told(context: typer.Context, limit: Limit = 50, json: Json = False) -> None:
    """Show budgets that run low, unusual days, silent connections and what was given up, the newest first."""
    from stampcard.clock import SystemClock
    from stampcard.engine.wording import alert_words
    from stampcard.storage.alerting import list_alerts
    from stampcard.storage.programming import load_programs

    merchant = settings_of(context).merchant
    with opened(settings_of(context)) as database:
        found, programs = database.read_now(
            lambda c: (list_alerts(c, merchant, limit=limit), load_programs(c, merchant))
        )
    live = {one.name: one for one in programs.current(SystemClock().now())}
    told = [(one.at, one.alert.kind, alert_words(one.alert, live.get(one.alert.program))) for one in found]
    if json:
        show_json([{"at": at, "kind": kind, "words": words} for at, kind, words in told])
    elif not told:
        say("No alerts.")
    else:
        show_table([("AT", "KIND", "WHAT"), *((moment(at), kind, words) for at, kind, words in told)])
