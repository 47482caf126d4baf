from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.printing import say, show, show_json, show_table

if TYPE_CHECKING:
    from stampcard.engine.versions import LiveProgram, Programs
    from stampcard.storage.campaigning import Group, Standing

app = typer.Typer(no_args_is_help=True, help="Campaigns: how they stand, and what they bring.")

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
Name = Annotated[
    str,
    typer.Argument(
        metavar="CAMPAIGN", help="Its name; PROGRAM/NAME where several programs have it.", show_default=False
    ),
]


@app.command("list")
def list_campaigns(context: typer.Context, json: Json = False) -> None:
    """Show every campaign of the programs that are valid, with what is used of its budgets."""
    from stampcard.clock import SystemClock
    from stampcard.storage.campaigning import standings
    from stampcard.storage.programming import load_programs

    merchant, now = settings_of(context).merchant, SystemClock().now()
    with opened(settings_of(context)) as database:
        found = database.read_now(lambda c: standings(c, merchant, load_programs(c, merchant), now))
    rows = [_standing(one) for one in found]
    if json:
        show_json(rows)
    elif not rows:
        say("No program has a campaign.")
    else:
        shown = [(row["program"], row["name"], row["state"], row["open"], "; ".join(row["budgets"])) for row in rows]
        show_table([("PROGRAM", "CAMPAIGN", "STATE", "OPEN", "BUDGETS"), *shown])


@app.command()
def report(context: typer.Context, name: Name, json: Json = False) -> None:
    """Compare a campaign's variants and its control group: members, orders, spend and points while it was open."""
    from stampcard.cli.progressing import progress
    from stampcard.clock import SystemClock
    from stampcard.storage.campaigning import compare, span_of
    from stampcard.storage.listing import count_members
    from stampcard.storage.programming import load_programs

    merchant, now = settings_of(context).merchant, SystemClock().now()
    with opened(settings_of(context)) as database:
        live, campaign = _named(database.read_now(lambda c: load_programs(c, merchant)), name)
        since, until = span_of(live, live.program.campaigns[campaign], now)
        total = database.read_now(lambda c: count_members(c, merchant))
        with progress("looking at members", total) as told:
            groups = database.read_now(lambda c: compare(c, merchant, live, campaign, since, until, told))
    if json:
        rows = [_row(group) for group in groups]
        show_json({"program": live.name, "campaign": campaign, "since": since, "until": until, "groups": rows})
        return
    first, last = (f"{moment.astimezone(live.program.zone):%Y-%m-%d %H:%M}" for moment in (since, until))
    say(f"{campaign} of {live.name}, orders from {first} to {last}, in {live.program.currency}")
    keys = ("group", "members", "orders", "spend", "spend_each", "points")
    show_table(
        [tuple(key.upper().replace("_", " ") for key in keys), *([_row(g)[key] for key in keys] for g in groups)]
    )
    for line in _differences(groups):
        show(line)


def _named(programs: Programs, name: str) -> tuple[LiveProgram, str]:
    """The program and the campaign that are meant; raises NotFound, or Conflict where several programs have it."""
    from stampcard.clock import SystemClock
    from stampcard.errors import Conflict, NotFound

    program, slash, campaign = name.rpartition("/")
    found = [
        live
        for live in programs.current(SystemClock().now())
        if campaign in live.program.campaigns and (not slash or live.name == program)
    ]
    if not found:
        raise NotFound("campaign", name)
    if len(found) > 1:
        several = ", ".join(f"{live.name}/{campaign}" for live in found)
        raise Conflict("ambiguous", f"several programs have a campaign {campaign!r}; say which: {several}")
    return found[0], campaign


def _standing(one: Standing) -> dict[str, Any]:
    return {
        "program": one.program,
        "name": one.name,
        "state": one.state,
        "open": one.open,
        "budgets": [f"{of.used.normalize():f} of {of.limit} ({of.share} %)" for of in one.budgets],
    }


def _row(group: Group) -> dict[str, Any]:
    return {
        "group": group.name,
        "members": group.members,
        "orders": group.orders,
        "spend": f"{group.spend:.2f}",
        "spend_each": f"{group.spend_each:.2f}",
        "points": group.points,
    }


def _differences(groups: list[Group]) -> list[str]:
    """Each group's spend beside that of the control group."""
    control = next((group for group in groups if group.name == "control"), None)
    if control is None or not control.spend_each:
        return []
    return [
        f"{group.name}: {(group.spend_each / control.spend_each - 1) * 100:+.1f} % spend for each member beside the control group"
        for group in groups
        if group.name != "control" and group.members
    ]
