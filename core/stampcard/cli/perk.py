from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.naming import Member, find_member
from stampcard.cli.people import user
from stampcard.cli.printing import say, show, show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from stampcard.app import Application
    from stampcard.applying.requests import Answer
    from stampcard.applying.unit import Unit
    from stampcard.domain.perks import Hand
    from stampcard.engine.entitling import PerkStanding
    from stampcard_webhooks.perks import PerkView

app = typer.Typer(no_args_is_help=True, help="Perks: who has which, whether one can be used, and using or giving one.")

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
Name = Annotated[
    str,
    typer.Argument(metavar="PERK", help="Its name; PROGRAM/NAME where several programs have it.", show_default=False),
]
Reason = Annotated[str, typer.Option(help="Why; for your own people.", show_default=False)]
Until = Annotated[str, typer.Option(help="The last day, as 2027-12-31; by default for good.", show_default=False)]


@app.command("list")
def list_perks(context: typer.Context, json: Json = False) -> None:
    """Show every perk with who has it, how often it can be used, and how many have it."""
    from stampcard.clock import SystemClock
    from stampcard.storage.entitling import count_perks
    from stampcard.storage.programming import load_programs

    merchant, now = settings_of(context).merchant, SystemClock().now()
    with opened(settings_of(context)) as database:
        counts, programs = database.read_now(lambda c: (count_perks(c, merchant), load_programs(c, merchant)))
    rows: list[dict[str, Any]] = [
        {
            "program": live.name,
            "perk": name,
            "members": counts.get((live.name, name), 0),
            "uses": str(perk.uses) if perk.uses is not None else None,
            "tag": perk.tag,
            "tiers": list(perk.tiers),
            "segments": list(perk.segments),
            "plans": list(perk.plans),
            "when": perk.when,
        }
        for live in programs.current(now)
        for name, perk in live.program.perks.items()
    ]
    if json:
        show_json(rows)
    elif not rows:
        say("No program has perks.")
    else:
        shown = [
            (row["program"], row["perk"], str(row["members"]), row["uses"] or "-", row["tag"] or "-", _who(row))
            for row in rows
        ]
        show_table([("PROGRAM", "PERK", "MEMBERS", "USES", "TAG", "WHO"), *shown])


def _who(row: dict[str, Any]) -> str:
    said = [f"{what} {one}" for what in ("tier", "segment", "plan") for one in row[f"{what}s"]]
    listed = " or ".join(said)
    return ", and ".join(filter(None, (listed, row["when"] or ""))) or "(by hand)"


@app.command("show")
def show_perks(context: typer.Context, member: Member, json: Json = False) -> None:
    """Show every perk for a member: who has it, until when, what is left, and why it cannot be used."""
    views = _views(context, member)
    if json:
        show_json([view.model_dump(mode="json") for view in views])
    elif not views:
        say("The member takes part in no program with perks.")
    else:
        show_table([("PROGRAM", "PERK", "HAS", "UNTIL", "LEFT", "NOW"), *map(_row, views)])


def _row(view: PerkView) -> tuple[str, ...]:
    until = f"{view.until:%Y-%m-%d %H:%M}Z" if view.until is not None else "-"
    left = f"{view.left} of {view.uses}" if view.left is not None else "-"
    now = "usable" if view.usable else view.detail
    return view.program, view.perk, "yes" if view.has else "no", until, left, view.error or now


@app.command()
def check(context: typer.Context, member: Member, name: Name, json: Json = False) -> None:
    """Say whether a member can use a perk now; ends with 1 if not."""
    from stampcard.errors import NotFound

    program, _, perk = name.rpartition("/")
    found = [view for view in _views(context, member) if view.perk == perk and program in {"", view.program}]
    if not found:
        raise NotFound("perk", name)
    if json:
        show_json([view.model_dump(mode="json") for view in found])
    else:
        for view in found:
            left = f", {view.left} left of {view.uses}" if view.left is not None else ""
            show(f"{view.program}/{view.perk}: {'yes' if view.usable else f'no, {view.detail}'}{left}")
    if not any(view.usable for view in found):
        raise typer.Exit(1)


def _views(context: typer.Context, member: str) -> list[PerkView]:
    from stampcard.applying.unit import Unit
    from stampcard.applying.using import perk_standings
    from stampcard.cli.acting import acting
    from stampcard_webhooks.perks import perk_view

    settings = settings_of(context)

    async def use(application: Application) -> list[PerkView]:
        def read(connection: Connection) -> list[PerkView]:
            id_ = find_member(connection, settings, member)
            unit = Unit(connection, application.setting, application.clock.now())
            return list(map(perk_view, perk_standings(unit, id_)))

        return await application.database.read(read)

    return acting(settings, use)


@app.command("use")
def use_one(
    context: typer.Context,
    member: Member,
    name: Name,
    key: Annotated[
        str, typer.Option(help="The same key counts once, such as an order's; made up if left out.", show_default=False)
    ] = "",
    note: Annotated[str, typer.Option(help="For your own people.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Count one use of a perk."""
    from stampcard.applying.using import use_perk
    from stampcard.storage.numbering import new_use_key

    wanted = key or new_use_key()
    body = _changed(
        context, member, name, lambda unit, id_, program, perk: use_perk(unit, id_, program, perk, wanted, user(), note)
    )
    if json:
        show_json({**body, "key": wanted})
        return
    show(f"{body['perk']} is used{_left(body)}")
    say(f"To take it back: stampcard perk cancel {member} {name} {wanted}")


@app.command("cancel")
def cancel_one(
    context: typer.Context,
    member: Member,
    name: Name,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The key of the use.", show_default=False)],
    json: Json = False,
) -> None:
    """Let a use count no more."""
    from stampcard.applying.using import cancel_use

    body = _changed(context, member, name, lambda unit, id_, program, perk: cancel_use(unit, id_, program, perk, key))
    if json:
        show_json(body)
    else:
        show(f"the use {key} of {body['perk']} counts no more{_left(body)}")


@app.command("give")
def give_one(
    context: typer.Context, member: Member, name: Name, reason: Reason = "", until: Until = "", json: Json = False
) -> None:
    """Give a member a perk by hand, whatever the program says."""
    _hand(context, member, name, "given", reason, until, json=json)


@app.command("take")
def take_one(
    context: typer.Context, member: Member, name: Name, reason: Reason = "", until: Until = "", json: Json = False
) -> None:
    """Take a perk from a member by hand, whatever the program says."""
    _hand(context, member, name, "taken", reason, until, json=json)


@app.command("release")
def release_one(context: typer.Context, member: Member, name: Name, json: Json = False) -> None:
    """Leave a perk that was given or taken to the program again."""
    _hand(context, member, name, "", "", "", json=json)


def _hand(context: typer.Context, member: str, name: str, hand: Hand, reason: str, until: str, *, json: bool) -> None:
    from stampcard.applying.using import give_perk, named_perk
    from stampcard.cli.spans import last_moment

    def work(unit: Unit, id_: str, program: str, perk: str) -> PerkStanding:
        live = named_perk(unit.setting.programs.current(unit.now), program, perk)
        return give_perk(unit, id_, live.name, perk, hand, last_moment(until, live.program.zone), reason)

    body = _changed(context, member, name, work)
    if json:
        show_json(body)
        return
    end = f" until {datetime.fromisoformat(body['until']):%Y-%m-%d %H:%M}Z" if body["until"] else ""
    show(f"member {body['member']} {'has' if body['has'] else 'does not have'} {body['perk']}{end}")


def _left(body: dict[str, Any]) -> str:
    return f"; {body['left']} left of {body['uses']}" if body["left"] is not None else ""


def _changed(
    context: typer.Context, member: str, name: str, work: Callable[[Unit, str, str, str], PerkStanding]
) -> dict[str, Any]:
    """The perk as it stands for a member after the work."""
    from stampcard.applying.requests import Answer
    from stampcard.cli.acting import act
    from stampcard_webhooks.perks import perk_view

    settings = settings_of(context)
    program, _, perk = name.rpartition("/")

    def change(unit: Unit) -> Answer:
        id_ = find_member(unit.connection, settings, member)
        view = perk_view(work(unit, id_, program, perk)).model_dump(mode="json")
        return Answer(status=200, body={"member": id_, **view}, member=id_)

    return act(settings, change).body
