"""`stampcard`, but dying at a named point: a program that tests start, never a module that they import.

MORTAL=<point>:<passes> kills the process with SIGKILL when it passes that point for so many times. MORTAL_HELD: for so
many seconds others wait for what a dead process held. MORTAL_PIECE: so many bytes of a shop's past are read at once, and
nobody waits long for it to be gathered.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from types import ModuleType
from typing import Any

import stampcard.applying.deliveries
import stampcard.applying.redeeming
import stampcard.calling.leases
import stampcard.inbox.backfilling
import stampcard.inbox.batching
import stampcard.inbox.fetching
import stampcard.inbox.sweeping
import stampcard.inbox.working
import stampcard.outbox.commanding
import stampcard.outbox.contacting
import stampcard.outbox.pushing
import stampcard.storage.commanding
import stampcard.storage.inboxing
import stampcard.storage.resealing
import stampcard_shopify.exporting
from stampcard.calling.lines import Line
from stampcard.cli.main import run
from stampcard.domain.commands import CONTACT
from stampcard.domain.rewards import ISSUE
from stampcard.storage.database import Database
from stampcard_shopify.fulfilling import ShopifyFulfilment

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
    calling(owner, name, ISSUE)


def showing(owner: ModuleType, name: str) -> None:
    """Die before or after a call that shows members at a CRM."""
    calling(owner, name, CONTACT)


POINTS: dict[str, tuple[Callable[[ModuleType, str], None], ModuleType, str]] = {
    "before-storing": (before, stampcard.inbox.batching, "take_in"),
    "while-storing": (inside, stampcard.inbox.batching, "take_in"),
    "after-storing": (after, stampcard.inbox.batching, "take_in"),
    "before-applying": (before, stampcard.inbox.working, "apply_deliveries"),
    "while-applying": (inside, stampcard.inbox.working, "apply_deliveries"),
    "after-applying": (after, stampcard.inbox.working, "apply_deliveries"),
    "while-keeping-what-was-fetched": (inside, stampcard.inbox.fetching, "take_in"),
    "after-keeping-what-was-fetched": (after, stampcard.inbox.fetching, "take_in"),
    "while-keeping-the-past": (inside, stampcard.inbox.backfilling, "keep_page"),
    "after-keeping-the-past": (after, stampcard.inbox.backfilling, "keep_page"),
    "while-keeping-contacts": (inside, stampcard.inbox.sweeping, "take_in"),
    "after-keeping-contacts": (after, stampcard.inbox.sweeping, "take_in"),
    "after-showing": (showing, stampcard.outbox.contacting, "after"),
    "while-settling-contacts": (inside, stampcard.outbox.contacting, "settle_pushes"),
    "before-pushing": (calling, stampcard.outbox.pushing, "before"),
    "after-pushing": (calling, stampcard.outbox.pushing, "after"),
    "while-settling-pushes": (inside, stampcard.outbox.pushing, "settle_pushes"),
    "after-settling-pushes": (after, stampcard.outbox.pushing, "settle_pushes"),
    "while-redeeming": (inside, stampcard.applying.redeeming, "redeem"),
    "after-redeeming": (after, stampcard.applying.redeeming, "redeem"),
    "after-announcing": (after, stampcard.outbox.commanding, "mark_attempting"),
    "before-issuing": (issuing, stampcard.outbox.commanding, "before"),
    "after-issuing": (issuing, stampcard.outbox.commanding, "after"),
    "while-settling-commands": (inside, stampcard.outbox.commanding, "settle_commands"),
    "after-settling-commands": (after, stampcard.outbox.commanding, "settle_commands"),
    "while-moving-on": (inside, stampcard.applying.deliveries, "settle_command"),
    "after-moving-on": (after, stampcard.applying.deliveries, "settle_command"),
    "while-sealing-anew": (inside, stampcard.storage.resealing, "write_step"),
    "after-sealing-anew": (after, stampcard.storage.resealing, "write_step"),
}


def main() -> None:
    """Arm the point, then do what `stampcard` does."""
    global _left  # noqa: PLW0603 - the process has one life
    if held := os.environ.get("MORTAL_HELD"):
        stampcard.calling.leases.SPAN = timedelta(seconds=float(held))
        stampcard.storage.inboxing.CLAIM = timedelta(seconds=float(held))
        stampcard.storage.commanding.ABANDONED = timedelta(seconds=float(held))
        ShopifyFulfilment.visible_after = timedelta(seconds=float(held))
    if piece := os.environ.get("MORTAL_PIECE"):
        stampcard_shopify.exporting.SOME = int(piece)
        stampcard_shopify.exporting.LOOKING = 0.1
    point, _, passes = os.environ.get("MORTAL", "").partition(":")
    if point:
        arm, owner, name = POINTS[point]
        _left = int(passes)
        arm(owner, name)
    run()


if __name__ == "__main__":
    main()
