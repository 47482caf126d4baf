"""Several processes that apply orders under one budget: a program that a test starts, never a module it imports.

``crowd.py URL PROCESSES ORDERS``: in each process so many orders of 10, each by another member, in units of work of a few.
"""

from __future__ import annotations

import multiprocessing
import sys
from datetime import timedelta

from stampcard.applying.deliveries import Prepared, decide_all
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Sourced, Unit
from stampcard.domain.events import OrderSeen
from stampcard.engine.versions import assembled, compiled
from stampcard.host.discovering import PluginTable
from stampcard.host.hooks import Hooks
from stampcard.program.reading import read_program
from stampcard.sealing import new_key_text, read_keys
from stampcard.storage.database import Database
from stampcard.storage.numbering import Numbering
from stampcard.testing.building import LONG_AGO, NOON, order

PROGRAM = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
campaigns:
  points: {limits: ["995 points ever, in all"]}
  first: {limits: [70 members ever]}
  money: {limits: ["1234 EUR per day, in all"]}
rules:
  - {id: points, on: purchase, award: 1 per 1 EUR, campaign: points}
  - {id: first, on: purchase, award: 3, campaign: first}
  - {id: money, on: purchase, award: 1 per 1 EUR, campaign: money}
"""
BATCH = 5


def main(url: str, process: str, count: int) -> None:
    setting = Setting(
        merchant="main",
        sealer=read_keys(new_key_text()),
        numbering=Numbering(),
        hooks=Hooks(PluginTable(ready={})),
        programs=assembled([compiled(read_program(PROGRAM, "crowd"), 1, LONG_AGO)], 0),
        targets={},
        plugins={},
        active=frozenset(),
        fulfilling={},
        fetching=frozenset(),
        coalesce=timedelta(0),
        longest=timedelta(0),
    )
    database = Database(url)
    for start in range(0, count, BATCH):
        batch = [_bought(f"{process}-{number}") for number in range(start, start + BATCH)]
        database.write_now(lambda connection: _apply(Unit(connection, setting, NOON), batch))  # noqa: B023 - runs at once
    database.close()


def _bought(name: str) -> Prepared:
    event = OrderSeen(reference=name, snapshot=order(10, customer=name))
    sourced = Sourced(event=event, connection="shop", source="shop", received_at=NOON)
    return Prepared(delivery=0, connection="shop", source="shop", events=(sourced,))


def _apply(unit: Unit, batch: list[Prepared]) -> None:
    settled = decide_all(unit, batch)
    if any(one.status != "done" for one in settled):
        raise RuntimeError([one.detail for one in settled])
    unit.save()


def crowd(url: str, processes: int, count: int) -> int:
    """All of them at once, each with what is imported here; answers with how many of them something went wrong."""
    context = multiprocessing.get_context("fork")
    running = [context.Process(target=main, args=(url, f"p{number}", count)) for number in range(processes)]
    for process in running:
        process.start()
    for process in running:
        process.join()
    return sum(process.exitcode != 0 for process in running)


if __name__ == "__main__":
    sys.exit(crowd(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
