from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from stampcard.cli.invocation import PARTLY, opened, settings_of
from stampcard.cli.printing import say, show, show_json, show_table
from stampcard.errors import ConfigurationError, RequestRefused

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sqlalchemy import Connection

    from stampcard.sealing import Sealer
    from stampcard.settings import Settings
    from stampcard.storage.database import Database

app = typer.Typer(no_args_is_help=True, help="The keys that encrypt what is stored.")

Json = Annotated[bool, typer.Option("--json", help="For other programs.")]
_JOB = "reseal:"
#: How often everything is gone through for what a running process still sealed with a former key.
_PASSES = 5
#: Seconds after each transaction on SQLite, whose writers take turns only by trying again: a server must get its own.
_PAUSE = 0.1


@app.command("list")
def list_keys(context: typer.Context, json: Json = False) -> None:
    """Show every key by its id, never itself, and how many stored values are encrypted with it."""
    from stampcard.app import open_sealer
    from stampcard.storage.resealing import count_keys

    settings = settings_of(context)
    sealer = open_sealer(settings)
    with opened(settings) as database:
        counts = database.read_now(count_keys)
    rows = [(id_, "encrypts" if id_ == sealer.newest else "decrypts") for id_ in sealer.known]
    rows += [(id_, "missing") for id_ in sorted(counts.keys() - set(sealer.known))]
    if json:
        show_json([{"key": id_.hex(), "state": state, "values": counts.get(id_, 0)} for id_, state in rows])
        return
    show_table([("KEY", "STATE", "VALUES"), *((id_.hex(), state, counts.get(id_, 0)) for id_, state in rows)])


@app.command()
def rotate(
    context: typer.Context,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Only add the key, to be taken to other machines before it is used.")
    ] = False,
    reseal_now: Annotated[
        bool, typer.Option("--reseal", help="Then encrypt everything anew with it: see `secret reseal`.")
    ] = False,
    drop_old: Annotated[
        bool, typer.Option("--drop-old", help="Make no key: take away those with which nothing is encrypted any more.")
    ] = False,
) -> None:
    """Put a new key first in the key file; running processes encrypt with it within a second, and former keys decrypt."""
    from stampcard.cli import keyfile
    from stampcard.storage.revising import bump_all

    if prepare + drop_old + reseal_now > 1:
        raise typer.BadParameter("--prepare, --reseal and --drop-old are three different steps")
    settings = settings_of(context)
    path = _file_of(settings)
    before = keyfile.read(path)
    with opened(settings) as database:
        if drop_old:
            text = _dropped(database, settings, before)
        else:
            text = keyfile.prepared(before) if prepare else keyfile.rotated(before)
        if text != before:
            keyfile.replace(path, text, before)
        database.write_now(lambda connection: bump_all(connection, settings.merchant))
        _tell(path, changed=text != before, prepare=prepare, drop_old=drop_old)
        if reseal_now:
            _reseal(database, settings)
    if not drop_old and not prepare and not reseal_now:
        say("Then encrypt what is there anew: stampcard secret reseal")


@app.command("reseal")
def reseal(context: typer.Context) -> None:
    """Encrypt everything that is stored anew with the newest key, while a server runs or not.

    Interrupted, it goes on where it stopped. Ends with 5 where something cannot be decrypted by any key here.
    """
    settings = settings_of(context)
    with opened(settings) as database:
        _reseal(database, settings)


def _tell(path: Path, *, changed: bool, prepare: bool, drop_old: bool) -> None:
    if drop_old:
        show("former keys are taken away" if changed else "there is no former key")
        say("Backups of the database from before need them: keep the copies of the key file that belong to those.")
        say("Links for follows and shares from before lead nowhere any more: make new ones.")
        return
    if prepare:
        show(
            f"a key is prepared in {path}; nothing is encrypted with it yet" if changed else "a key is prepared already"
        )
        say(f"Copy {path} to every machine that serves this database; then: stampcard secret rotate")
        return
    show(f"a new key stands first in {path}; running processes encrypt with it within a second")
    say(f"Copy {path} to a safe place now, and to every other machine that serves this database.")


def _file_of(settings: Settings) -> Path:
    if settings.keys is not None:
        remedy = "Put a new line 'seal …' first there, and restart; see docs/how-to/rotate-keys-and-secrets.md"
        raise ConfigurationError("keys", "come from the environment, which no command can change", remedy)
    return settings.key_file


def _dropped(database: Database, settings: Settings, text: str) -> str:
    """The text without former keys; raises RequestRefused while anything is encrypted with one of them."""
    from stampcard.app import open_sealer
    from stampcard.cli import keyfile
    from stampcard.storage.resealing import count_keys

    sealer = open_sealer(settings)
    counts = database.read_now(count_keys)
    used = {id_: counts[id_] for id_ in sealer.known if id_ != sealer.newest and counts.get(id_)}
    if used:
        words = ", ".join(f"{count} with {id_.hex()}" for id_, count in used.items())
        raise RequestRefused(
            "key_in_use", f"values are encrypted with former keys: {words}. Run: stampcard secret reseal"
        )
    return keyfile.without(text, sealer.known)


def _reseal(database: Database, settings: Settings) -> None:
    """Seal everything anew, and again what a process that had not read the new key yet sealed meanwhile."""
    from stampcard.app import open_sealer
    from stampcard.cli.progressing import progress
    from stampcard.storage.resealing import count_keys

    sealer, done = open_sealer(settings), 0

    def left() -> int:
        counts = database.read_now(count_keys)
        return sum(count for id_, count in counts.items() if id_ != sealer.newest)

    with progress("encrypting values anew", left()) as told:
        for _ in range(_PASSES):
            found, closed = _pass(database, settings, sealer, lambda now: told(done + now))  # noqa: B023 - called at once
            done += found
            if left() <= closed:
                break
    show(f"{done} values are encrypted anew with the key {sealer.newest.hex()}")
    if closed:
        say(
            f"{closed} values are encrypted with keys that are not in the key file: add those. See: stampcard secret list"
        )
        raise typer.Exit(PARTLY)
    say("When no process uses a former key any more: stampcard secret rotate --drop-old")


def _pass(database: Database, settings: Settings, sealer: Sealer, told: Callable[[int], None]) -> tuple[int, int]:
    """Go through everything once, from where the last try was interrupted; answers how much was sealed, and what not."""
    from stampcard.clock import SystemClock
    from stampcard.storage.jobs import begin_job, move_job
    from stampcard.storage.resealing import next_step, write_step

    name, merchant, clock = f"{_JOB}{sealer.newest.hex()}", settings.merchant, SystemClock()
    job = database.write_now(lambda connection: begin_job(connection, merchant, name, 0, clock.now()))
    place, done, closed = job.place, 0, 0
    while True:
        step = database.read_now(lambda connection: next_step(connection, sealer, place))  # noqa: B023 - called at once
        ended = None if step.place else clock.now()

        def write(connection: Connection) -> int:
            written = write_step(connection, step.stale)  # noqa: B023
            move_job(connection, merchant, name, step.place, job.done + done + written, ended)  # noqa: B023
            return written

        done, closed, place = done + database.write_now(write), closed + step.closed, step.place
        told(done)
        if not place:
            return done, closed
        if step.stale and database.is_sqlite:
            time.sleep(_PAUSE)
