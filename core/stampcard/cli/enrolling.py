"""What a member takes part in, from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli.invocation import settings_of
from stampcard.cli.naming import Member, find_member
from stampcard.cli.printing import say, show, show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from stampcard.app import Application
    from stampcard.applying.unit import Unit

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
Program = Annotated[str, typer.Argument(metavar="PROGRAM", help="The program's id.", show_default=False)]


def memberships(context: typer.Context, member: Member, json: Json = False) -> None:
    """List the programs that a member takes part in."""
    from stampcard.cli.acting import acting
    from stampcard.storage.loading import load_members
    from stampcard_webhooks.memberships import membership_views
    from stampcard_webhooks.showing import check_member

    settings = settings_of(context)

    async def use(application: Application) -> list[dict[str, Any]]:
        def read(connection: Connection) -> list[dict[str, Any]]:
            setting = application.setting
            id_ = check_member(connection, setting, find_member(connection, settings, member))
            people = load_members(connection, setting.merchant, [id_], setting.sealer, attributes=False, lock=False)
            return [view.model_dump(mode="json") for view in membership_views(people[id_])]

        return await application.database.read(read)

    views = acting(settings, use)
    if json:
        show_json(views)
    elif not views:
        say("Takes part in nothing: stampcard member join MEMBER PROGRAM")
    else:
        show_table([("PROGRAM", "SINCE", "STATE"), *((v["program"], v["joined_at"][:10], v["state"]) for v in views)])


def join(context: typer.Context, member: Member, program: Program) -> None:
    """Let a member join a program, or come back to it."""
    from stampcard.applying import enrolling

    state = _act(context, member, program, enrolling.join)
    waits = ", unconfirmed: stampcard member confirm MEMBER PROGRAM" if state == "unconfirmed" else ""
    show(f"takes part in {program}{waits}")


def confirm(context: typer.Context, member: Member, program: Program) -> None:
    """Write down that a member confirmed that they want to take part: what waited for it can be used."""
    from stampcard.applying import enrolling

    _act(context, member, program, enrolling.confirm)
    show(f"takes part in {program}, confirmed")


def leave(
    context: typer.Context,
    member: Member,
    program: Program,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """End a member's part in a program: the points expire."""
    from stampcard.applying import enrolling

    if not yes:
        typer.confirm(f"End the part of {member} in {program}? The points expire.", abort=True, err=True)
    _act(context, member, program, enrolling.leave)
    show(f"left {program}")


def _act(context: typer.Context, named: str, program: str, does: Callable[[Unit, str, str], None]) -> str:
    from stampcard.applying.requests import Answer
    from stampcard.cli.acting import act

    settings = settings_of(context)

    def work(unit: Unit) -> Answer:
        id_ = find_member(unit.connection, settings, named)
        does(unit, id_, program)
        return Answer(status=200, body={"state": unit.members[id_].states.get(program, "active")}, member=id_)

    return str(act(settings, work).body["state"])
