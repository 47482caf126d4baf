"""Whatever is said, sent, broken and reported, in whatever order: nothing is attempted without consent, and nothing twice."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.core.letters import Box, Letters, with_messages

from stampcard.applying.setting import Setting
from stampcard.domain.consents import current
from stampcard.domain.events import MessageReceived, MessageReported
from stampcard.plugin import Delivered, Done, Lookup, Message, Outcome, Rejected, RetryLater, Unknown
from stampcard.plugin.outcomes import Absent
from stampcard.storage.consenting import load_consents
from stampcard.storage.database import Database
from stampcard.storage.tables import message
from stampcard.testing.applying import rows

PROGRAM = with_messages("""
sending: {quiet: {sms: none}}
messages:
  earned: {on: points_earned, use: points_earned, channels: [email, sms]}
  receipt: {on: points_earned, use: points_earned, channels: [email, sms], deliver: all, purpose: transactional}
""")
PHONE = "+4915112345678"

OUTCOMES = st.sampled_from(["sent", "later", "lost", "refused", "bad", "opted_out", "crash", "raises"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("buys"), st.integers(1, 99)),
        st.tuples(st.just("says"), st.sampled_from(["email", "sms"]), st.sampled_from(["given", "withdrawn", "refused", "pending"]),
                  st.sampled_from(["marketing", "transactional"])),
        st.tuples(st.just("post"), st.lists(OUTCOMES, max_size=4)),
        st.tuples(st.just("waits"), st.sampled_from([1, 90, 600, 90_000])),
        st.tuples(st.just("reports"), st.sampled_from(["delivered", "bounced", "complained", "failed", "opened"])),
        st.tuples(st.just("writes"), st.sampled_from(["STOP", "START", "what?"])),
        st.tuples(st.just("finds"), st.booleans()),
    ),
    min_size=4,
    max_size=18,
)  # fmt: skip


class Witness(Box):
    """Looks, at each call, whether what it is given may be sent."""

    visible_after = timedelta(minutes=2)

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.letters: Letters
        self.outcomes: list[str] = []
        self.left: Counter[str] = Counter()
        self.found = False

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        for one in messages:
            self.check(one)
        return [self.outcome(one) for one in messages]

    def check(self, one: Message) -> None:
        letters = self.letters
        said = letters.database.read_now(
            lambda c: load_consents(c, "main", [one.member], letters.setting.sealer, evidence=False)
        )
        state = {name: of.state for name, of in current(said.get(one.member, ())).items()}.get(
            f"{self.name}.{one.purpose}"
        )
        if one.name not in {"stopped", "started"}:
            assert state == "given" if one.purpose == "marketing" else state in {None, "given", "pending"}
        (row,) = rows(letters.database, message.select().where(message.c.id == int(one.id)))
        assert row.state == "attempting"
        assert not self.left[one.id], "it may have left before"

    def outcome(self, one: Message) -> Outcome:
        match self.outcomes.pop(0) if self.outcomes else "sent":
            case "later":
                return RetryLater(reason="busy")
            case "refused":
                return Rejected(reason="no")
            case "bad":
                return Rejected(reason="no such address", because="address")
            case "opted_out":
                return Rejected(reason="they want nothing", because="opted_out")
            case "lost":
                self.left[one.id] += 1
                return Unknown(reason="no answer")
            case "crash":
                self.left[one.id] += 1
                raise asyncio.CancelledError
            case "raises":
                self.left[one.id] += 1
                raise RuntimeError
        self.left[one.id] += 1
        return Delivered(result={"id": f"v{one.id}"})

    async def lookup(self, message: Message, attempted_at: Any) -> Lookup:
        assert (self.letters.clock.now() - attempted_at) >= timedelta(minutes=1)
        if not self.found:
            return Unknown(reason="not now")
        return Done(result={"id": f"v{message.id}"}) if self.left[message.id] else Absent()


async def live(letters: Letters, boxes: Sequence[Witness], steps: Sequence[tuple[Any, ...]]) -> None:
    letters.joins(phone=PHONE)
    for number, (what, *of) in enumerate(steps):
        if what == "post":
            await post(letters, boxes, of[0])
        else:
            OTHERS[what](letters, boxes, number, of)
        letters.clock.advance(timedelta(seconds=1))


async def post(letters: Letters, boxes: Sequence[Witness], outcomes: Sequence[str]) -> None:
    for box in boxes:
        box.outcomes = list(outcomes)
    try:
        await letters.post()
    except asyncio.CancelledError:  # the process ended in the middle of a call; another goes on
        for job in letters.jobs:
            job._flying.clear()


def finds(_letters: Letters, boxes: Sequence[Witness], _number: int, of: Sequence[Any]) -> None:
    for box in boxes:
        box.found = of[0]


def writes(letters: Letters, _boxes: Sequence[Witness], number: int, of: Sequence[Any]) -> None:
    at = letters.clock.now()
    letters.tell(MessageReceived(channel="sms", address=PHONE, text=of[0], key=str(number), occurred_at=at))


def reports(letters: Letters, _boxes: Sequence[Witness], _number: int, of: Sequence[Any]) -> None:
    """Of the newest message, whatever became of it."""
    known = rows(letters.database, message.select().order_by(message.c.id.desc()))
    if known:
        row, at = known[0], letters.clock.now()
        letters.tell(MessageReported(channel=row.channel, state=of[0], occurred_at=at, message=str(row.id)))


OTHERS: dict[str, Callable[[Letters, Sequence[Witness], int, Sequence[Any]], None]] = {
    "buys": lambda letters, _, number, of: letters.buys(f"O{number}", *of),
    "says": lambda letters, _boxes, _number, of: letters.says("ann", *of),
    "waits": lambda letters, _boxes, _number, of: letters.clock.advance(timedelta(seconds=of[0])),
    "finds": finds,
    "writes": writes,
    "reports": reports,
}


@given(steps=STEPS)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_nothing_is_attempted_without_consent_and_nothing_twice(
    steps: Sequence[tuple[Any, ...]], setting: Setting, sqlite_template: Path, tmp_path_factory: Any
) -> None:
    file = tmp_path_factory.mktemp("law") / "stampcard.db"
    shutil.copy(sqlite_template, file)
    database = Database(f"sqlite:///{file}")
    try:
        boxes = [Witness("email"), Witness("sms")]
        letters = Letters(database, setting, PROGRAM, *boxes, connection="shop")
        for box in boxes:
            box.letters = letters
        asyncio.run(live(letters, boxes, steps))
        letters.proves()
    finally:
        database.close()
        file.unlink()
