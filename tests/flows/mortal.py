"""`stampcard`, but dying at a named point: a program that tests start, never a module that they import.

MORTAL=<point>:<passes> kills the process with SIGKILL when it passes that point for so many times. MORTAL_HELD: for so
many seconds others wait for what a dead process held. MORTAL_PIECE: so many bytes of a shop's past are read at once, and
nobody waits long for it to be gathered.

`--nest <socket>` is the parent of them all: it has everything imported, which takes most of a start, and forks whenever
somebody calls. `--from <socket> …` calls: what it was started for is done by such a child, with the caller's
environment, folder and outputs, and the caller ends as the child did.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import cache, partial
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType
from typing import Any

_lock = threading.Lock()
_ran = threading.local()
_left = 0


def passed() -> None:
    """One pass more; the last one is the end."""
    global _left  # noqa: PLW0603 - the process has one life
    with _lock:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def before(owner: ModuleType, name: str) -> None:
    """Die before a step of a transaction does anything."""
    step = getattr(owner, name)

    def mortal(*given: Any, **named: Any) -> Any:
        passed()
        return step(*given, **named)

    setattr(owner, name, mortal)


def inside(owner: ModuleType, name: str) -> None:
    """Die after a step of a transaction has written, before anything is committed."""
    step = getattr(owner, name)

    def mortal(*given: Any, **named: Any) -> Any:
        answer = step(*given, **named)
        passed()
        return answer

    setattr(owner, name, mortal)


def after(owner: ModuleType, name: str) -> None:
    """Die after the transaction of a step was committed, before anybody hears of it."""
    from stampcard.storage.database import Database

    step, write_now = getattr(owner, name), Database.write_now

    def marked(*given: Any, **named: Any) -> Any:
        _ran.step = True
        return step(*given, **named)

    def mortal(self: Database, work: Callable[[Any], Any]) -> Any:
        _ran.step = False
        answer = write_now(self, work)
        if _ran.step:
            passed()
        return answer

    setattr(owner, name, marked)
    Database.write_now = mortal  # type: ignore[method-assign]


def calling(_: ModuleType, name: str, kind: str = "") -> None:
    """Die before or after a call to the vendor, maybe of one kind alone."""
    from stampcard.calling.lines import Line

    attempt = Line.attempt

    async def mortal(self: Line, items: Any) -> Any:
        if kind not in {"", self.sink.kind}:
            return await attempt(self, items)
        if name == "before":
            passed()
        outcomes = await attempt(self, items)
        if name == "after":
            passed()
        return outcomes

    Line.attempt = mortal  # type: ignore[method-assign]


def issuing(owner: ModuleType, name: str) -> None:
    """Die before or after a call that makes a reward real."""
    from stampcard.domain.rewards import ISSUE

    calling(owner, name, ISSUE)


def showing(owner: ModuleType, name: str) -> None:
    """Die before or after a call that shows members at a CRM."""
    from stampcard.domain.commands import CONTACT

    calling(owner, name, CONTACT)


POINTS: dict[str, tuple[Callable[[ModuleType, str], None], str, str]] = {
    "before-storing": (before, "stampcard.inbox.batching", "take_in"),
    "while-storing": (inside, "stampcard.inbox.batching", "take_in"),
    "after-storing": (after, "stampcard.inbox.batching", "take_in"),
    "before-applying": (before, "stampcard.inbox.working", "apply_deliveries"),
    "while-applying": (inside, "stampcard.inbox.working", "apply_deliveries"),
    "after-applying": (after, "stampcard.inbox.working", "apply_deliveries"),
    "while-keeping-what-was-fetched": (inside, "stampcard.inbox.fetching", "take_in"),
    "after-keeping-what-was-fetched": (after, "stampcard.inbox.fetching", "take_in"),
    "while-keeping-the-past": (inside, "stampcard.inbox.backfilling", "keep_page"),
    "after-keeping-the-past": (after, "stampcard.inbox.backfilling", "keep_page"),
    "while-keeping-contacts": (inside, "stampcard.inbox.sweeping", "take_in"),
    "after-keeping-contacts": (after, "stampcard.inbox.sweeping", "take_in"),
    "after-showing": (showing, "stampcard.outbox.contacting", "after"),
    "while-settling-contacts": (inside, "stampcard.outbox.contacting", "settle_pushes"),
    "before-pushing": (calling, "stampcard.outbox.pushing", "before"),
    "after-pushing": (calling, "stampcard.outbox.pushing", "after"),
    "while-settling-pushes": (inside, "stampcard.outbox.pushing", "settle_pushes"),
    "after-settling-pushes": (after, "stampcard.outbox.pushing", "settle_pushes"),
    "while-redeeming": (inside, "stampcard.applying.redeeming", "redeem"),
    "after-redeeming": (after, "stampcard.applying.redeeming", "redeem"),
    "after-announcing": (after, "stampcard.outbox.commanding", "mark_attempting"),
    "before-issuing": (issuing, "stampcard.outbox.commanding", "before"),
    "after-issuing": (issuing, "stampcard.outbox.commanding", "after"),
    "while-settling-commands": (inside, "stampcard.outbox.commanding", "settle_commands"),
    "after-settling-commands": (after, "stampcard.outbox.commanding", "settle_commands"),
    "while-writing-to-all": (inside, "stampcard.inbox.timing", "mail"),
    "after-writing-to-all": (after, "stampcard.inbox.timing", "mail"),
    "after-marking-messages": (after, "stampcard.outbox.messaging", "mark_attempting"),
    "after-sending-messages": (calling, "stampcard.outbox.messaging", "after"),
    "while-settling-messages": (inside, "stampcard.outbox.messaging", "settle_messages"),
    "while-moving-on": (inside, "stampcard.applying.deliveries", "settle_command"),
    "after-moving-on": (after, "stampcard.applying.deliveries", "settle_command"),
    "while-sealing-anew": (inside, "stampcard.storage.resealing", "write_step"),
    "after-sealing-anew": (after, "stampcard.storage.resealing", "write_step"),
}


def arm() -> None:
    """Do what the environment says."""
    global _left  # noqa: PLW0603 - the process has one life
    if held := os.environ.get("MORTAL_HELD"):
        import stampcard.calling.leases
        import stampcard.storage.commanding
        import stampcard.storage.inboxing
        from stampcard.plugin import Channel
        from stampcard_shopify.fulfilling import ShopifyFulfilment
        from stampcard_twilio.sending import SmsChannel

        stampcard.calling.leases.SPAN = timedelta(seconds=float(held))
        stampcard.storage.inboxing.CLAIM = timedelta(seconds=float(held))
        stampcard.storage.commanding.ABANDONED = timedelta(seconds=float(held))
        for sink in (ShopifyFulfilment, Channel, SmsChannel):
            sink.visible_after = timedelta(seconds=float(held))
    if piece := os.environ.get("MORTAL_PIECE"):
        import stampcard_shopify.exporting

        stampcard_shopify.exporting.SOME = int(piece)
        stampcard_shopify.exporting.LOOKING = 0.1
    point, _, passes = os.environ.get("MORTAL", "").partition(":")
    if point:
        how, owner, name = POINTS[point]
        _left = int(passes)
        how(import_module(owner), name)


class Nest:
    """Forks a child for each caller, and ends with whoever started it."""

    def __init__(self, place: str) -> None:
        self._waiting = selectors.DefaultSelector()
        self._door = socket.create_server(place, family=socket.AF_UNIX)
        self._callers: list[socket.socket] = []

    def brood(self) -> None:
        """Wait for callers; goes on in each child, and never in the nest."""
        self._waiting.register(sys.stdin, selectors.EVENT_READ, partial(os._exit, 0))
        self._waiting.register(self._door, selectors.EVENT_READ, self._hatch)
        while True:
            for key, _ in self._waiting.select():
                if key.data():
                    return

    def _hatch(self) -> bool:
        """Answers whether this is the child."""
        caller, _ = self._door.accept()
        asked, outputs, _, _ = socket.recv_fds(caller, 65_536, 2)
        while not asked.endswith(b"\n"):
            asked += caller.recv(65_536)
        alive, life = os.pipe()  # whose other end closes when the child ends, however it does
        child = os.fork()
        if not child:
            self._leave(outputs, *json.loads(asked))
            return True
        for descriptor in (*outputs, life):
            os.close(descriptor)
        caller.sendall(f"{child}\n".encode())
        self._callers.append(caller)
        self._waiting.register(alive, selectors.EVENT_READ, partial(self._tell, child, alive, caller))
        self._waiting.register(caller, selectors.EVENT_READ, partial(self._orphan, child, caller))
        return False

    def _leave(self, outputs: list[int], words: list[str], folder: str, environment: dict[str, str]) -> None:
        """In the child: be what the caller is."""
        self._waiting.close()
        for one in (self._door, *self._callers):
            one.close()
        for here, there in enumerate((os.open(os.devnull, os.O_RDONLY), *outputs)):
            os.dup2(there, here)
            os.close(there)
        sys.argv[1:] = words
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)

    def _tell(self, child: int, alive: int, caller: socket.socket) -> None:
        """The child has ended."""
        _, status = os.waitpid(child, 0)
        with suppress(OSError):
            caller.sendall(f"{status}\n".encode())
        self._waiting.unregister(alive)
        os.close(alive)
        self._orphan(0, caller)

    def _orphan(self, child: int, caller: socket.socket) -> None:
        """The caller has ended, and its child does not outlive it."""
        if caller in self._callers:
            self._callers.remove(caller)
            self._waiting.unregister(caller)
            caller.close()
            if child:
                os.kill(child, signal.SIGKILL)


def load() -> None:
    """Import whatever a server does, build the command line and read whom to trust, which would take each child long."""
    import typer.main

    names = ("stampcard.app", "stampcard.cli.main", "stampcard.storage.migrating", "stampcard_webhooks.server")
    for name in (*names, "psycopg", "uvloop"):
        import_module(name)
    for entry in metadata.entry_points(group="stampcard.plugins"):
        entry.load()
    typer.main.get_command = cache(typer.main.get_command)
    typer.main.get_command(import_module("stampcard.cli.main").app)
    import_module("stampcard.host.guarding")._tls()
    gc.collect()
    gc.freeze()


def call(place: str, words: list[str]) -> int:
    """Let a child of the nest do it; answers what it ended with, or ends as it did."""
    with socket.socket(socket.AF_UNIX) as nest:
        nest.connect(place)
        asked = f"{json.dumps([words, str(Path.cwd()), dict(os.environ)])}\n".encode()
        sent = socket.send_fds(nest, [asked], [1, 2])
        nest.sendall(asked[sent:])
        with nest.makefile() as answers:
            child = int(answers.readline())
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda number, _: os.kill(child, number))
            code = os.waitstatus_to_exitcode(int(answers.readline()))
    if code < 0:
        with suppress(OSError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def main() -> None:
    """Arm the point, then do what `stampcard` does."""
    match sys.argv[1:]:
        case ["--from", place, *words]:
            sys.exit(call(place, words))
        case ["--nest", place]:
            load()
            nest = Nest(place)
            print("ready", flush=True)  # noqa: T201 - whoever started it waits for that
            nest.brood()
    arm()
    from stampcard.cli.main import run

    run()


if __name__ == "__main__":
    main()
