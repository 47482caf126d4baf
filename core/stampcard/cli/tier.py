from __future__ import annotations

from collections import Counter
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
    from stampcard.applying.recounting import Moving
    from stampcard.applying.requests import Answer
    from stampcard.applying.unit import Unit
    from stampcard.engine.versions import LiveProgram
    from stampcard_webhooks.tiers import TierView

app = typer.Typer(no_args_is_help=True, help="Tiers: who has which, what other tiers would change, and giving one.")

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
Program = Annotated[str, typer.Option(help="The program; by default the only one that has tiers.", show_default=False)]
#: Members that one step looks at.
CHUNK = 500


@app.command("list")
def list_tiers(context: typer.Context, json: Json = False) -> None:
    """Show every tier with what it takes and how many members have it."""
    from stampcard.clock import SystemClock
    from stampcard.storage.programming import load_programs
    from stampcard.storage.tiering import count_tiers
    from stampcard_webhooks.tiers import least_text

    merchant, now = settings_of(context).merchant, SystemClock().now()
    with opened(settings_of(context)) as database:
        counts, programs = database.read_now(lambda c: (count_tiers(c, merchant), load_programs(c, merchant)))
    rows: list[dict[str, Any]] = [
        {
            "program": ladder.program,
            "tier": rung.name,
            "by": ladder.tiers.by,
            "from": least_text(ladder, rung),
            "held": str(rung.held),
            "members": counts.get((ladder.program, rung.name), 0),
        }
        for ladder in programs.ladders(now)
        for rung in ladder.rungs
    ]
    if json:
        show_json(rows)
    elif not rows:
        say("No program has tiers.")
    else:
        show_table([tuple(name.upper() for name in rows[0]), *(tuple(map(str, row.values())) for row in rows)])


@app.command("show")
def show_tiers(context: typer.Context, member: Member, json: Json = False) -> None:
    """Show a member's tiers, and what is missing for the next."""
    from stampcard.cli.acting import acting
    from stampcard_webhooks.tiers import tier_views

    settings = settings_of(context)

    async def use(application: Application) -> list[TierView]:
        now = application.clock.now()

        def read(connection: Connection) -> list[TierView]:
            id_ = find_member(connection, settings, member)
            (views,) = tier_views(connection, application.setting, [id_], now)
            return views

        return await application.database.read(read)

    views = acting(settings, use)
    if json:
        show_json([view.model_dump(mode="json") for view in views])
    elif not views:
        say("The member takes part in no program with tiers.")
    else:
        found = [view.model_dump() for view in views]
        names = ("program", "tier", "until", "by", "amount", "to_keep", "next", "missing")
        shown = [tuple(cell if cell not in {None, ""} else "-" for cell in map(view.get, names)) for view in found]
        show_table([tuple(name.upper().replace("_", " ") for name in names), *shown])


@app.command("set")
def set_tier(
    context: typer.Context,
    member: Member,
    tier: Annotated[str, typer.Argument(metavar="TIER", help="Its name; none: take the one that there is.")],
    until: Annotated[
        str,
        typer.Option(help="The last day, as 2027-12-31; by default as the program holds the tier.", show_default=False),
    ] = "",
    program: Program = "",
    json: Json = False,
) -> None:
    """Give a member a tier by hand, or take it; one that was given is not lost by refunds."""
    from stampcard.applying.promoting import give_tier
    from stampcard.applying.requests import Answer
    from stampcard.cli.acting import act
    from stampcard.cli.spans import last_moment

    settings = settings_of(context)

    def work(unit: Unit) -> Answer:
        live = _with_tiers(unit.tiering.live, program)
        id_ = find_member(unit.connection, settings, member)
        given = give_tier(unit, id_, live.name, "" if tier == "none" else tier, last_moment(until, live.program.zone))
        return Answer(status=200, body={"member": id_, "tier": given.name, "until": given.until}, member=id_)

    body = act(settings, work).body
    if json:
        show_json({**body, "until": body["until"].isoformat() if body["until"] else None})
        return
    end = f" until {body['until']:%Y-%m-%d %H:%M}Z" if body["until"] else ""
    show(f"member {body['member']} has {body['tier'] or 'no tier'}{end}")


@app.command()
def preview(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="PROGRAM_FILE", help="A changed program.", show_default=False)],
    samples: Annotated[int, typer.Option(min=0, max=1000, help="So many members whom it moves.")] = 10,
    json: Json = False,
) -> None:
    """Say who would rise and fall today if the program were this one; nothing is written.

    A tier with an end that is ahead is kept until then, whatever it takes by then.
    """
    from stampcard.storage.programming import read_file

    program, _ = read_file(file)
    if program.tiers is None:
        say(f"{file} has no tiers.")
        raise typer.Exit(1)
    looked, moving = _moving(context, program)
    counts = Counter((one.before, one.after) for one in moving)
    if json:
        told = [{"before": before, "after": after, "members": n} for (before, after), n in sorted(counts.items())]
        examples = [one._asdict() for one in moving[:samples]]
        show_json({"members": looked, "moving": told, "samples": examples})
        return
    show(f"{len(moving)} of {looked} members would move")
    if counts:
        shown = [(before or "none", after or "none", str(n)) for (before, after), n in sorted(counts.items())]
        show_table([("BEFORE", "AFTER", "MEMBERS"), *shown])
    for one in moving[:samples]:
        show(f"{one.member}: {one.before or 'none'} -> {one.after or 'none'}")


def _moving(context: typer.Context, program: Any) -> tuple[int, list[Moving]]:
    from stampcard.applying.recounting import count_members, suppose
    from stampcard.cli.acting import acting
    from stampcard.cli.progressing import progress
    from stampcard.clock import EPOCH
    from stampcard.engine.versions import compiled

    async def use(application: Application) -> tuple[int, list[Moving]]:
        setting, now, database = application.setting, application.clock.now(), application.database
        live = compiled(program, 1, EPOCH)
        total = await database.read(lambda c: count_members(c, setting.merchant, live.name))
        place, looked, count, found = "", 0, 1, list[Any]()
        with progress("looking at members", total) as told:
            while count:
                step = partial(suppose, setting=setting, now=now, live=live, after=place, limit=CHUNK)
                count, place, moving = await database.read(step)
                looked, found = looked + count, found + moving
                told(looked)
        return looked, found

    return acting(settings_of(context), use)


def _with_tiers(lives: tuple[LiveProgram, ...], name: str) -> LiveProgram:
    from stampcard.errors import Conflict, NotFound

    found = [live for live in lives if name in {"", live.name}]
    if not found:
        raise NotFound("program with tiers", name or "any")
    if len(found) > 1:
        raise Conflict("several_programs", f"say which: --program {' or '.join(live.name for live in found)}")
    return found[0]
