from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli.invocation import opened, settings_of
from stampcard.cli.naming import Member, find_member
from stampcard.cli.printing import say, show, show_json, show_table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from stampcard.app import Application
    from stampcard.applying.requests import Answer
    from stampcard.applying.unit import Unit
    from stampcard.engine.versions import LiveProgram, Programs

app = typer.Typer(no_args_is_help=True, help="Segments: who is in which, why, and putting members in by hand.")

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
Name = Annotated[
    str,
    typer.Argument(
        metavar="SEGMENT", help="Its name; PROGRAM/NAME where several programs have it.", show_default=False
    ),
]
#: Members that one step looks at.
CHUNK = 200


@app.command("list")
def list_segments(context: typer.Context, json: Json = False) -> None:
    """Show every segment with its condition and how many are in it."""
    from stampcard.clock import SystemClock
    from stampcard.storage.programming import load_programs
    from stampcard.storage.segmenting import count_segments

    merchant, now = settings_of(context).merchant, SystemClock().now()
    with opened(settings_of(context)) as database:
        counts, programs = database.read_now(lambda c: (count_segments(c, merchant), load_programs(c, merchant)))
    rows: list[dict[str, Any]] = [
        {
            "program": live.name,
            "segment": name,
            "members": counts.get((live.name, name), 0),
            "when": segment.when,
        }
        for live in programs.current(now)
        for name, segment in live.program.segments.items()
    ]
    if json:
        show_json(rows)
    elif not rows:
        say("No program has segments.")
    else:
        shown = [(row["program"], row["segment"], str(row["members"]), row["when"] or "(by hand)") for row in rows]
        show_table([("PROGRAM", "SEGMENT", "MEMBERS", "WHEN"), *shown])


@app.command("show")
def show_segment(
    context: typer.Context,
    name: Name,
    after: Annotated[str, typer.Option(metavar="ID", help="Go on behind this id.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="So many at most.")] = 50,
    json: Json = False,
) -> None:
    """List who is in a segment, by id."""
    from stampcard.storage.programming import load_programs
    from stampcard.storage.segmenting import members_in

    merchant = settings_of(context).merchant
    with opened(settings_of(context)) as database:
        live, segment = _named(database.read_now(lambda c: load_programs(c, merchant)), name)
        found = database.read_now(lambda c: members_in(c, merchant, live.name, segment, after, limit))
    if json:
        show_json(found)
    elif not found:
        say("Nobody is in it.")
    else:
        for member in found:
            show(member)
        if len(found) == limit:
            say(f"There may be more: stampcard segment show {name} --after {found[-1]}")


@app.command()
def explain(context: typer.Context, member: Member, json: Json = False) -> None:
    """Say in which segments a member is, in which not, and by which conditions."""
    from stampcard.applying.judging import insights
    from stampcard.applying.unit import Unit
    from stampcard.cli.acting import acting

    settings = settings_of(context)

    async def use(application: Application) -> list[dict[str, Any]]:
        def read(connection: Connection) -> list[dict[str, Any]]:
            id_ = find_member(connection, settings, member)
            found = insights(Unit(connection, application.setting, application.clock.now()), id_)
            return [{"program": one.program, **one.judged._asdict(), "when": one.when} for one in found]

        return await application.database.read(read)

    rows = acting(settings, use)
    if json:
        show_json(rows)
    elif not rows:
        say("No program has segments.")
    else:
        shown = [
            (
                row["program"],
                row["segment"],
                "in" if row["inside"] else "not in",
                row["error"] or row["when"] or "(by hand)",
            )
            for row in rows
        ]
        show_table([("PROGRAM", "SEGMENT", "MEMBER IS", "BECAUSE OF"), *shown])


@app.command()
def add(
    context: typer.Context,
    name: Name,
    members: Annotated[
        list[str], typer.Argument(metavar="MEMBER...", help="By id, or CONNECTION:REFERENCE.", show_default=False)
    ],
) -> None:
    """Put members into a segment that has no condition."""
    _put(context, name, members, entered=True)


@app.command()
def remove(
    context: typer.Context,
    name: Name,
    members: Annotated[
        list[str], typer.Argument(metavar="MEMBER...", help="By id, or CONNECTION:REFERENCE.", show_default=False)
    ],
) -> None:
    """Take members out of a segment that has no condition."""
    _put(context, name, members, entered=False)


def _put(context: typer.Context, name: str, members: list[str], *, entered: bool) -> None:
    from stampcard.applying.judging import put
    from stampcard.applying.requests import Answer
    from stampcard.cli.acting import act

    settings = settings_of(context)

    def work(unit: Unit) -> Answer:
        live, segment = _named(unit.setting.programs, name)
        ids = [find_member(unit.connection, settings, one) for one in members]
        count = put(unit, live.name, segment, ids if entered else [], [] if entered else ids)
        return Answer(status=200, body={"count": count, "segment": segment})

    body = act(settings, work).body
    show(f"members {'put into' if entered else 'taken out of'} {body['segment']}: {body['count']}")


@app.command()
def preview(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="PROGRAM_FILE", help="A changed program.", show_default=False)],
    name: Annotated[str, typer.Argument(metavar="SEGMENT", help="One of its segments.", show_default=False)],
    samples: Annotated[int, typer.Option(min=0, max=1000, help="So many of those who would be in.")] = 10,
    json: Json = False,
) -> None:
    """Say how many, and who, would be in a segment if the program were this one; nothing is written."""
    from stampcard.applying.judging import count_judged, suppose
    from stampcard.cli.acting import acting
    from stampcard.cli.progressing import progress
    from stampcard.clock import EPOCH
    from stampcard.engine.versions import compiled
    from stampcard.errors import NotFound
    from stampcard.storage.programming import read_file

    program, _ = read_file(file)
    if name not in program.segments:
        raise NotFound("segment", name)

    async def use(application: Application) -> tuple[int, int, list[str]]:
        setting, now, database = application.setting, application.clock.now(), application.database
        live = compiled(program, 1, EPOCH)
        total = await database.read(lambda c: count_judged(c, setting.merchant, live))
        place, looked, inside, some, count = "", 0, 0, list[str](), 1
        with progress("looking at members", total) as told:
            while count:
                step = partial(suppose, setting=setting, now=now, live=live, segment=name, after=place, limit=CHUNK)
                count, place, found = await database.read(step)
                looked, inside = looked + count, inside + len(found)
                some += found[: max(0, samples - len(some))]
                told(looked)
        return looked, inside, some

    looked, inside, some = acting(settings_of(context), use)
    if json:
        show_json({"members": looked, "inside": inside, "samples": some})
        return
    show(f"{inside} of {looked} members would be in {name}")
    for member in some:
        show(member)


def _named(programs: Programs, name: str) -> tuple[LiveProgram, str]:
    """The program and the segment that are meant; raises NotFound, or Conflict where several programs have it."""
    from stampcard.clock import SystemClock
    from stampcard.errors import Conflict, NotFound

    program, _, segment = name.rpartition("/")
    current = programs.current(SystemClock().now())
    found = [live for live in current if segment in live.program.segments and program in {"", live.name}]
    if not found:
        raise NotFound("segment", name)
    if len(found) > 1:
        there = ", ".join(f"{live.name}/{segment}" for live in found)
        raise Conflict("several_programs", f"several programs have a segment {segment!r}: say which: {there}")
    return found[0], segment
