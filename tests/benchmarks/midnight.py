"""A midnight at which very many lots expire, while webhooks come in: what that costs their senders, and memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import growing
import samples
from loading import Answers, Load, load
from measuring import Scale
from processes import MEASURING, Child, running
from reporting import Figure
from serving import stampcard_server, vendor_server

from stampcard.clock import SystemClock, to_micros
from stampcard.sealing import new_key_text
from stampcard.storage.database import Database

#: Webhooks a second meanwhile, and for how long (seconds) each look lasts.
RATE, LOOK = 200.0, 4.0
#: Seconds after which a midnight that is not over is broken off.
PATIENCE = 600.0


def measure(scale: Scale) -> Iterator[Figure]:
    """One midnight; answers are waited for with and without it."""
    with samples.database() as database, running(load, core=MEASURING) as loader, vendor_server() as vendor:
        growing._grow(database, scale.members, new_key_text())
        lots = _bring_due(database)
        host, port = vendor.ready
        with stampcard_server(database.url, api_url=f"http://{host}:{port}") as server:
            before, started = server.ask("memory"), time.monotonic()
            during, number, peak = [], 0, before
            while _left(database):
                during.append(_look(loader, server, number))
                peak = max(peak, server.ask("memory"))
                number += 1
                if time.monotonic() - started > PATIENCE:
                    message = f"{_left(database)} wallets are still due after {PATIENCE:g} s"
                    raise TimeoutError(message)
            took = time.monotonic() - started
            quiet = [_look(loader, server, number + 1 + more) for more in range(max(2, len(during) // 2))]
    busy, calm = (max(one.wait(0.99) for one in looks) for looks in (during, quiet))
    also = f"{lots:,} lots of {scale.members:,} members in {took:.0f} s, {lots / took:,.0f} a second"
    yield Figure(name="midnight", rounds=((busy, calm),), also=also)
    yield Figure(name="midnight-memory", rounds=((peak, before),))


def _look(loader: Child, server: Child, number: int) -> Answers:
    """A few seconds of webhooks at an even pace."""
    answers: Answers = loader.ask(
        Load(address=server.ready, count=int(RATE * LOOK), first_order=60_000_000 + number * 100_000, rate=RATE)
    )
    answers.rate  # noqa: B018 - raises unless all were answered 200
    return answers


def _bring_due(database: Database) -> int:
    """Let every lot expire at a midnight that has just passed; answers how many there are."""
    due = to_micros(SystemClock().now()) - 1
    with closing(database.engine.raw_connection()) as connection:
        run = connection.cursor().execute
        run("UPDATE lot SET expires_at = ? WHERE remaining > 0", (due,))
        run("UPDATE balance SET next_change_at = ?, booked_to = min(booked_to, ?)", (due, due))
        return int(run("SELECT count(*) FROM lot WHERE remaining > 0").fetchone()[0])


def _left(database: Database) -> int:
    with closing(database.engine.raw_connection()) as connection:
        now = to_micros(SystemClock().now())
        statement = "SELECT count(*) FROM balance WHERE next_change_at <= ?"
        return int(connection.cursor().execute(statement, (now,)).fetchone()[0])
