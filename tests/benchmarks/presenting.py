# ruff: noqa: T201 - a script that people run
"""A changed program on very many cards in phones: python tests/benchmarks/presenting.py 10000

Google's limit of 20 requests a second makes 10,000 cards take more than eight minutes; what is looked at is whether the limit is
kept and used up, and what memory does meanwhile. How soon one change is on a card is looked at before, and while all change.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from contextlib import closing, suppress
from datetime import datetime, timedelta
from functools import partial
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# `python -P` leaves this folder out.
sys.path.insert(0, str(Path(__file__).parent))

import processes
from processes import running
from sqlalchemy import ColumnElement, Connection, func, select

from stampcard.app import Application
from stampcard.applying.requests import Answer, adjust, answer
from stampcard.applying.unit import Unit
from stampcard.clock import SystemClock, to_micros
from stampcard.domain.commands import PASS
from stampcard.engine.codes import new_number
from stampcard.program.reading import read_program
from stampcard.sealing import new_key_text
from stampcard.settings import DeliverSettings, HttpSettings, SecuritySettings, Settings
from stampcard.storage import saving
from stampcard.storage.database import Database
from stampcard.storage.looks import Look
from stampcard.storage.programming import store_version
from stampcard.storage.tables import pass_, push
from stampcard.testing.demonstration import prepare_database
from stampcard_google_wallet.simulator import GoogleWalletSimulator

PROGRAM = """
program: main
name: Bean Club
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules: [{id: buy, on: purchase, award: 1 per 1 EUR}]
card: {name: {en: NAME}, logo: 'https://shop.example/logo.png'}
"""
#: In so many parts memory is looked at.
PARTS = 5
#: Changes whose way to the card is timed.
SINGLE = 10
#: What Google lets an issuer send in a second.
LIMIT = 20
AT_ONCE = 500
#: What cards show before.
OLD = "another"


def main(cards: int) -> None:
    """Measure, and say so."""
    processes.PATIENCE = 60.0 + cards / LIMIT * 2
    asyncio.run(_measure(cards))


async def _measure(cards: int) -> None:
    google = GoogleWalletSimulator(1)
    await google.start()
    try:
        with tempfile.TemporaryDirectory(prefix="stampcard-bench-") as folder:
            settings = _settings(Path(folder), google)
            await asyncio.to_thread(_fill, settings, cards)
            _put(google, cards)
            with running(work, settings.model_dump(), settings.connections) as child:
                soon = [await asyncio.to_thread(child.ask, ("one", number)) for number in range(SINGLE)]
                print(f"one change on its card after {min(soon):.2f} to {max(soon):.2f} s")
                began, calls = time.perf_counter(), len(google.calls)
                await asyncio.to_thread(child.ask, ("change", 0))
                course = []
                for part in range(1, PARTS + 1):
                    if part == PARTS:
                        meanwhile = await asyncio.to_thread(child.ask, ("one", cards - 1))
                    took, memory = await asyncio.to_thread(child.ask, ("left", cards - cards * part // PARTS))
                    course.append(f"{cards * part // PARTS:,}: {memory:.0f} MB")
                took = time.perf_counter() - began
                shown = sum("loyaltyPoints" in one for one in google.book.kept["loyaltyObject"].values())
                rate = (len(google.calls) - calls) / took
                print(f"{shown:,} cards changed in {took:.0f} s: {rate:.1f} requests a second of {LIMIT}")
                print(f"one change meanwhile after {meanwhile:.2f} s")
                print(f"refused by Google for haste: {google.tally.throttled}; memory after {', '.join(course)}")
    finally:
        await google.stop()


def _settings(folder: Path, google: GoogleWalletSimulator) -> Settings:
    key_file = folder / "stampcard.key"
    key_file.touch(mode=0o600)
    key_file.write_text(new_key_text(), encoding="utf8")
    return Settings(
        database=f"sqlite:///{folder / 'cards.db'}",
        key_file=key_file,
        programs=(),
        http=HttpSettings(port=0),
        security=SecuritySettings(outbound_allow=(urlsplit(google.api_url).netloc,)),
        deliver=DeliverSettings(coalesce=0.2),
        connections={"phone": {"plugin": "google_wallet", **google.settings()}},
    )


def _fill(settings: Settings, cards: int) -> None:
    """Members with cards and passes that nobody has told Google of."""
    prepare_database(settings.database, "main", PROGRAM.replace("NAME", "First"), SystemClock().now())
    now = to_micros(SystemClock().now())
    with closing(Database(settings.database)) as database:
        for start in range(0, cards, AT_ONCE):
            numbers = range(start, min(cards, start + AT_ONCE))
            database.write_now(partial(_add, numbers=list(numbers), now=now))
        look, at = Look("main", PASS, "phone"), SystemClock().now()
        terms = f"main 1 True {settings.http.base_url}"
        database.write_now(lambda connection: look.save(connection, terms, "", at, ended=True))


def _put(google: GoogleWalletSimulator, cards: int) -> None:
    """Let Google have the cards, as something else than they are to be."""
    class_id = f"{google.issuer}.phone_main"
    google.book.kept["loyaltyClass"][class_id] = {"id": class_id}
    for number in range(cards):
        id_ = f"{google.issuer}.{number:024x}"
        google.book.kept["loyaltyObject"][id_] = {"id": id_, "classId": class_id, "state": "ACTIVE"}


def _add(connection: Connection, numbers: list[int], now: int) -> None:
    ids = [(number, f"m_{number:08}", f"{number:024x}") for number in numbers]
    base = {"merchant": "main"}
    tables: dict[str, list[dict[str, Any]]] = {
        "member": [{**base, "id": id_, "joined_at": now, "version": 1} for _, id_, _ in ids],
        "membership": [
            {**base, "member": id_, "program": "main", "joined_at": now, "anniversary": "01-01", "state": "active"}
            for _, id_, _ in ids
        ],
        "card": [{**base, "number": new_number(), "member": id_, "made_at": now} for _, id_, _ in ids],
        "pass": [
            {**base, "connection": "phone", "serial": s, "member": id_, "made_at": now, "content": OLD}
            for _, id_, s in ids
        ],
        "identity": [{**base, "connection": "phone", "reference": s, "member": id_} for _, id_, s in ids],
        "push": [
            {**base, "connection": "phone", "kind": "pass", "member": id_, "wanted": 1, "sent": 1, "since": now,
             "due_at": now, "attempts": 0, "error": None, "dead": 0}
            for _, id_, _ in ids
        ],
    }  # fmt: skip
    for name, rows in tables.items():
        saving.insert(connection, name, rows)


def work(pipe: Pipe, told: dict[str, Any], connections: dict[str, dict[str, Any]]) -> None:
    """A process that serves, and does what it is asked."""
    asyncio.run(_work(pipe, Settings.model_validate({**told, "connections": connections})))


async def _work(pipe: Pipe, settings: Settings) -> None:
    async with Application(settings) as application:
        pipe.send("ready")
        with suppress(EOFError):
            while True:
                what, number = await asyncio.to_thread(pipe.recv)
                began = time.perf_counter()
                if what == "one":
                    await _give(application, f"m_{number:08}")
                    await _until(application, push.c.member == f"m_{number:08}", push.c.wanted > push.c.sent)
                if what == "change":
                    await application.database.write(partial(_change, now=application.clock.now()))
                if what == "left":
                    await _until(application, pass_.c.content == OLD, most=number)
                took = time.perf_counter() - began
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                await asyncio.to_thread(pipe.send, took if what == "one" else (took, memory))


async def _give(application: Application, member: str) -> None:
    def work_(unit: Unit) -> Answer:
        adjust(unit, member, "points", 5, f"a-{time.time_ns()}", "a gift")
        return Answer(status=200, body={})

    now = application.clock.now()
    _, changes = await application.database.write(lambda c: answer(c, application.setting, None, now, work_))
    await application.announce(changes)


def _change(connection: Connection, now: datetime) -> None:
    text = PROGRAM.replace("NAME", "Second")
    store_version(connection, "main", read_program(text, "bench"), text, "", "", now + timedelta(microseconds=1))


async def _until(application: Application, *conditions: ColumnElement[bool], most: int = 0) -> None:
    """Wait until this holds for so few cards."""
    waiting = select(func.count()).where(*conditions)
    while await application.database.read(lambda c: c.execute(waiting).scalar() or 0) > most:  # noqa: ASYNC110 - of another process
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
