from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stampcard.cli.invocation import INTERRUPTED, opened, settings_of
from stampcard.cli.printing import say, show, show_json, show_table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from stampcard.app import Application
    from stampcard.engine.versions import Catalogued, LiveProgram, Programs

app = typer.Typer(no_args_is_help=True, help="Rewards: what is left of them, their codes, and codes that were issued.")

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
Name = Annotated[
    str,
    typer.Argument(metavar="REWARD", help="Its name; PROGRAM/NAME where several programs have it.", show_default=False),
]
#: Codes that one transaction takes, and redemptions that one step withdraws.
CHUNK = 500
#: Codes that one command lets a shop make.
MOST = 100_000


@app.command("list")
def list_rewards(context: typer.Context, json: Json = False) -> None:
    """Show every reward of the programs that are valid, with stock, free codes and what became of redemptions."""
    from stampcard.clock import SystemClock
    from stampcard.storage.programming import load_programs

    merchant, now = settings_of(context).merchant, SystemClock().now()

    def read(connection: Connection) -> list[dict[str, Any]]:
        programs = load_programs(connection, merchant)
        return [
            _row(connection, merchant, live, of, programs)
            for live in programs.current(now)
            for of in live.rewards.values()
        ]

    with opened(settings_of(context)) as database:
        rows = database.read_now(read)
    if json:
        show_json(rows)
    elif not rows:
        say("No program has a reward.")
    else:
        keys = ("program", "reward", "gives", "price", "by", "state", "left", "redemptions")
        shown = [[_text(row[key]) for key in keys] for row in rows]
        show_table([tuple(key.upper() for key in keys), *shown])


@app.command()
def upload(
    context: typer.Context,
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A code a line; - reads what is piped in.")],
) -> None:
    """Upload codes that a reward with `by: pool` gives out; those that it has already are left as they are."""
    from stampcard.app import open_sealer
    from stampcard.cli.progressing import progress
    from stampcard.clock import SystemClock
    from stampcard.errors import RequestRefused
    from stampcard.program.rewards import POOL
    from stampcard.storage.pooling import add_codes, count_codes
    from stampcard.storage.programming import load_programs

    settings = settings_of(context)
    merchant, sealer, now = settings.merchant, open_sealer(settings), SystemClock().now()
    text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf8")
    codes = [code for line in text.splitlines() if (code := line.strip())]
    with opened(settings) as database:
        live, of = _named(database.read_now(lambda c: load_programs(c, merchant)), name)
        if of.reward.source != POOL:
            raise RequestRefused("no_pool", f"{of.name} gives out no uploaded codes: write `by: pool` in the program")
        new = 0
        with progress("uploading codes", len(codes)) as told:
            for start in range(0, len(codes), CHUNK):
                chunk = codes[start : start + CHUNK]
                new += database.write_now(
                    lambda c: add_codes(c, merchant, sealer, live.name, of.name, chunk, now)  # noqa: B023 - runs at once
                )
                told(start + len(chunk))
        _, free = database.read_now(lambda c: count_codes(c, merchant, live.name, of.name))
    show(f"{new} of {len(codes)} codes are new; {free} are free now")


@app.command()
def fill(
    context: typer.Context,
    name: Name,
    count: Annotated[int, typer.Option(min=1, max=MOST, help="How many codes.", show_default=False)],
    connection: Annotated[
        str | None, typer.Option(help="The shop; by default the only one that makes rewards real.", show_default=False)
    ] = None,
) -> None:
    """Let a shop make codes that a reward with `by: pool` gives out, so that a redemption needs no call.

    They are for everybody, and at the shop they have no end of their own: one that expires is withdrawn there. Each batch is made there first and then put into the pool; what
    is in the pool stays there whatever happens to the rest. Ends with 5 when only a part was made.
    """
    from stampcard.cli.acting import acting
    from stampcard.cli.pooling import Filling, ending, fill_pool

    filling = Filling(count=count)

    async def use(application: Application) -> None:
        live, of = _named(application.setting.programs, name)
        await fill_pool(application, live, of, filling, connection or "")

    try:
        acting(settings_of(context), use, calls=True)
    except KeyboardInterrupt:
        say(f"stopped: {filling.made} of {count} codes are in the pool")
        raise typer.Exit(INTERRUPTED) from None
    if filling.made:
        free = "" if filling.free is None else f"; {filling.free} are free now"
        show(f"{filling.made} codes were made at {filling.connection}{free}")
    if filling.problem:
        say(f"error: {filling.problem}")
    raise typer.Exit(ending(filling))


@app.command()
def withdraw(context: typer.Context, name: Name) -> None:
    """Switch every unused code of a stopped reward off, at the shop too; `restore` switches them on again."""
    _switch(context, name, back=False)


@app.command()
def restore(context: typer.Context, name: Name) -> None:
    """Switch unused codes on again that `withdraw` switched off."""
    _switch(context, name, back=True)


def _switch(context: typer.Context, name: str, *, back: bool) -> None:
    from stampcard.applying.redeeming import withdraw_codes
    from stampcard.applying.setting import Stale
    from stampcard.cli.acting import acting, setting_of
    from stampcard.cli.progressing import progress
    from stampcard.errors import Conflict
    from stampcard.storage.redemptions import count_by_status

    async def use(application: Application) -> tuple[str, int]:
        database, clock, merchant = application.database, application.clock, application.setting.merchant
        live, of = _named(application.setting.programs, name)
        target = f"reward:{live.name}/{of.name}"
        if not back and of.reward.enabled and target not in application.setting.programs.stopped:
            raise Conflict("not_stopped", f"{of.name} is still given out: stampcard stop reward {of.name} --note …")
        counts = await database.read(lambda c: count_by_status(c, merchant, live.name, of.name))
        place, done, count = "", 0, 1
        with progress("codes", counts.get("issued", 0)) as told:
            while count:
                setting = await setting_of(application)
                try:
                    count, place, changes = await database.write(
                        partial(
                            withdraw_codes,
                            setting=setting,
                            now=clock.now(),
                            program=live.name,
                            reward=of.name,
                            after=place,
                            limit=CHUNK,
                            back=back,
                        )
                    )
                except Stale:
                    await application.refresh()
                    continue
                await application.announce(changes)
                done += count
                told(done)
        return of.name, done

    reward, done = acting(settings_of(context), use)
    what = "on again" if back else "off"
    show(
        f"unused codes of {reward} looked at: {done}; those that a shop made are switched {what} there as fast as it lets us"
    )


def _named(programs: Programs, name: str) -> tuple[LiveProgram, Catalogued]:
    """The program and the reward that are meant; raises NotFound, or Conflict where several programs have it."""
    from stampcard.clock import SystemClock
    from stampcard.engine.taking import find_reward
    from stampcard.engine.world import World

    program, _, reward = name.rpartition("/")
    return find_reward(World(now=SystemClock().now(), programs=programs), reward, program)


def _row(
    connection: Connection, merchant: str, live: LiveProgram, of: Catalogued, programs: Programs
) -> dict[str, Any]:
    from stampcard.engine.counting import CounterKey
    from stampcard.program.rewards import POOL
    from stampcard.storage.loading import load_counters
    from stampcard.storage.pooling import count_codes
    from stampcard.storage.redemptions import count_by_status

    reward, left = of.reward, None
    if reward.stock is not None:
        key = CounterKey(live.name, of.bounds[0].scope, "", "")
        left = max(0, reward.stock - load_counters(connection, merchant, [key], lock=False).get(key, 0))
    if reward.source == POOL:
        free = count_codes(connection, merchant, live.name, of.name)[1]
        left = free if left is None else min(left, free)
    is_stopped = not reward.enabled or f"reward:{live.name}/{of.name}" in programs.stopped
    return {
        "program": live.name,
        "reward": of.name,
        "gives": str(reward.gives),
        "price": None if reward.price is None else str(reward.price),
        "by": reward.source,
        "state": "stopped" if is_stopped else "offered",
        "left": left,
        "redemptions": count_by_status(connection, merchant, live.name, of.name),
    }


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{count} {status}" for status, count in sorted(value.items())) or "none"
    return "-" if value is None else str(value)
