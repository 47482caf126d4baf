"""Members who are one person, from the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli.invocation import settings_of
from stampcard.cli.naming import find_member
from stampcard.cli.printing import say, show, show_json, show_table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from stampcard.app import Application
    from stampcard.applying.requests import Answer
    from stampcard.applying.unit import Unit
    from stampcard.domain.merges import Merge
    from stampcard.storage.addressing import Duplicate

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
_WHO = "A member's id, or CONNECTION:REFERENCE."


def merge(
    context: typer.Context,
    gone: Annotated[str, typer.Argument(metavar="GONE", help=f"Who goes on in the other. {_WHO}", show_default=False)],
    kept: Annotated[str, typer.Argument(metavar="KEPT", help=f"Who has everything then. {_WHO}", show_default=False)],
    note: Annotated[str, typer.Option(help="Why.", show_default=False)] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Merge a member into another, who is the same person; `unmerge` undoes it."""
    from stampcard.applying import merging
    from stampcard.applying.requests import Answer
    from stampcard.cli.acting import act

    settings = settings_of(context)
    if not yes:
        typer.confirm(f"Merge {gone} into {kept}?", abort=True, err=True)

    def work(unit: Unit) -> Answer:
        source, target = (find_member(unit.connection, settings, one) for one in (gone, kept))
        done = merging.merge(unit, source, target, by="cli", note=note)
        return Answer(status=201, body={"id": done.id, "source": source, "target": target}, member=target)

    body = act(settings, work).body
    show(f"{body['id']}: all of {body['source']} is {body['target']}'s now")
    say(f"If that was wrong: stampcard member unmerge {body['id']}")


def unmerge(
    context: typer.Context,
    id_: Annotated[str, typer.Argument(metavar="MERGE", help="As `merge` and `merges` print it.", show_default=False)],
) -> None:
    """Undo a merge: what is left of the source goes back to it."""
    from stampcard.applying import merging
    from stampcard.applying.requests import Answer
    from stampcard.cli.acting import act

    settings = settings_of(context)

    def work(unit: Unit) -> Answer:
        apart = merging.unmerge(unit, id_, by="cli")
        left = {
            name: f"{points / 10 ** unit.scale_of(name):.{unit.scale_of(name)}f}"
            for name, points in apart.spent.items()
        }
        body = {"source": apart.merge.source, "target": apart.merge.target, "spent": left, "orders": apart.orders}
        return Answer(status=200, body=body, member=apart.merge.target)

    body = act(settings, work).body
    show(
        f"{body['source']} and {body['target']} are two members again; orders since then that went back: {body['orders']}"
    )
    for name, points in sorted(body["spent"].items()):
        show(f"{points} of {name!r} had been spent by {body['target']} meanwhile, and stay spent")


def merges(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 50,
    json: Json = False,
) -> None:
    """List merges, the newest first."""
    from stampcard.cli.acting import acting
    from stampcard.storage.merging import merges_before

    settings = settings_of(context)

    async def use(application: Application) -> list[Merge]:
        def read(connection: Connection) -> list[Merge]:
            return merges_before(connection, settings.merchant, None, None, limit)

        return await application.database.read(read)

    found = acting(settings, use)
    if json:
        show_json([_plain(one) for one in found])
    elif not found:
        say("No members were merged.")
    else:
        rows = [(one.id, f"{one.at:%Y-%m-%d %H:%M}Z", one.source, one.target, one.by, _stands(one)) for one in found]
        show_table([("MERGE", "AT", "GONE", "KEPT", "BY", "STATE"), *rows])


def duplicates(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 50,
    json: Json = False,
) -> None:
    """List members who may be one person, and why they were not merged by themselves."""
    from stampcard.cli.acting import acting
    from stampcard.storage.addressing import duplicates_before
    from stampcard_webhooks.merges import duplicate_view

    settings = settings_of(context)

    async def use(application: Application) -> list[Duplicate]:
        def read(connection: Connection) -> list[Duplicate]:
            return duplicates_before(connection, settings.merchant, "doubtful", None, limit)

        return await application.database.read(read)

    found = acting(settings, use)
    if json:
        show_json([duplicate_view(one).model_dump(mode="json") for one in found])
    elif not found:
        say("Nobody seems to be there twice.")
    else:
        rows = [(f"{one.found_at:%Y-%m-%d %H:%M}Z", one.first, one.second, one.kind, one.reason) for one in found]
        show_table([("FOUND", "ONE", "OTHER", "SAME", "WHY NOT MERGED"), *rows])
        say("The same person: stampcard member merge GONE KEPT. Two people: stampcard member apart ONE OTHER")


def apart(
    context: typer.Context,
    one: Annotated[str, typer.Argument(metavar="ONE", help=_WHO, show_default=False)],
    other: Annotated[str, typer.Argument(metavar="OTHER", help=_WHO, show_default=False)],
) -> None:
    """Say that two members are two people, whatever they have in common."""
    from stampcard.applying import matching
    from stampcard.applying.requests import Answer
    from stampcard.cli.acting import act

    settings = settings_of(context)

    def work(unit: Unit) -> Answer:
        first, second = (find_member(unit.connection, settings, named) for named in (one, other))
        matching.keep_apart(unit, first, second)
        return Answer(status=200, body={"first": first, "second": second})

    body = act(settings, work).body
    show(f"{body['first']} and {body['second']} are two people")


def _stands(one: Merge) -> str:
    return "stands" if one.undone_at is None else f"undone {one.undone_at:%Y-%m-%d}"


def _plain(one: Merge) -> dict[str, Any]:
    from stampcard_webhooks.merges import merge_view

    return merge_view(one).model_dump(mode="json")
