"""Sending messages: each is decided and marked before its call, and never leaves a second time unasked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import structlog
from sqlalchemy import Connection

from stampcard.applying.messaging import Departing, Fate, depart, settle_messages
from stampcard.applying.setting import Setting, Stale
from stampcard.calling.lines import ATTEMPT, Line
from stampcard.clock import Clock
from stampcard.domain.commands import OWN
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import MessageReported
from stampcard.domain.messages import REPORTED, Message
from stampcard.domain.value import replace
from stampcard.engine.announcing import Way
from stampcard.host.channels import ChannelSink
from stampcard.outbox.commanding import Commanding
from stampcard.plugin.outcomes import Delivered, Lookup, Outcome, Rejected, Unknown
from stampcard.storage import leasing
from stampcard.storage.commanding import CommandResult, DueCommand, mark_attempting, settle_commands
from stampcard.storage.database import Database
from stampcard.storage.inboxing import take_in
from stampcard.storage.messages import load_messages

log = structlog.get_logger()

#: Seconds within which the call begins after the messages were marked, or they go back.
AT_ONCE = 5.0


class Messaging(Commanding):
    """The messages of one channel of one connection."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        line: Line,
        setting: Callable[[], Setting],
        stored: Callable[[], None],
    ) -> None:
        """`stored()` is called when something was put into the inbox."""
        now = setting()
        super().__init__(database, clock, now.merchant, now.sealer, line, now.numbering)
        assert isinstance(line.sink, ChannelSink)
        self._channel = line.sink.channel
        self._sink = line.sink
        self._setting = setting
        self._stored = stored

    @property
    def _way(self) -> Way:
        of = self._channel
        return Way(
            connection=self.line.connection,
            channel=of.name,
            form=of.form,
            needs=of.needs,
            disturbs=of.disturbs,
            kept=of.kept,
            hears=of.hears,
        )

    async def send(self, commands: Sequence[DueCommand], lease: str, token: int) -> list[Outcome]:
        """Find out about the unknown ones, send those of the others that may leave, and write down what became of all."""
        unknown = [command for command in commands if command.unknown]
        if unknown:
            await self._look_for(unknown)
        fresh = {command.id: command for command in commands if not command.unknown}
        marking = time.monotonic()
        leaving = await self._depart(list(fresh), lease, token) if fresh else {}
        if not leaving:
            return []
        messages = [one.message for one in leaving.values()]
        if time.monotonic() - marking > AT_ONCE:
            await self._put_back(fresh, leaving)
            return []
        outcomes = await self._attempt(messages)
        await self._write_down(fresh, leaving, outcomes)
        return outcomes

    async def _depart(self, ids: Sequence[int], lease: str, token: int) -> dict[int, Departing]:
        """Decide and mark while the lease is ours; nothing leaves where the program has just changed: that is asked anew."""
        setting, now = self._setting(), self._clock.now()

        def work(connection: Connection) -> dict[int, Departing]:
            if not leasing.holds(connection, self._merchant, lease, token):
                return {}
            leaving = depart(connection, setting, self.line.connection, self._way, ids, now)
            marked = mark_attempting(connection, self._merchant, list(leaving), now)
            return {id_: one for id_, one in leaving.items() if id_ in marked}

        try:
            return await self._database.write(work)
        except Stale:
            await asyncio.sleep(0.1)
            return {}

    async def _attempt(self, messages: Sequence[Message]) -> list[Outcome]:
        if self._channel.kept:
            return [Delivered(result={"state": "delivered"})] * len(messages)
        extra = sum(self._parts(message) for message in messages) - 1
        if extra > 0:
            self.line.charge(extra)
        return await self.line.attempt(messages)

    def _parts(self, message: Message) -> int:
        try:
            return max(1, self._channel.parts(message))
        except Exception as error:  # noqa: BLE001 - a plugin's mistake is its own
            log.error("parts_failed", connection=self.line.connection, error=type(error).__name__)
            return 1

    async def _put_back(self, fresh: dict[int, DueCommand], leaving: dict[int, Departing]) -> None:
        now = self._clock.now()
        results = [_result(fresh[id_], "ready", now, was="attempting") for id_ in leaving]
        fates = [Fate(stored=one.stored, state="", code="put_back") for one in leaving.values()]
        await self._settle_both(results, fates, [])

    async def _write_down(
        self, fresh: dict[int, DueCommand], leaving: dict[int, Departing], outcomes: Sequence[Outcome]
    ) -> None:
        now = self._clock.now()
        results: list[CommandResult] = []
        fates: list[Fate] = []
        told: list[MessageReported] = []
        for (id_, departing), outcome in zip(leaving.items(), outcomes, strict=True):
            result = self._result(fresh[id_], outcome, now)
            results.append(result)
            fates.append(self._fate(departing, outcome, result))
            if isinstance(outcome, Rejected) and outcome.because:
                told.append(self._told(departing, outcome, now))
        await self._settle_both(results, fates, told)

    def _fate(self, departing: Departing, outcome: Outcome, result: CommandResult) -> Fate:
        parts = self._parts(departing.message) if isinstance(outcome, Delivered | Unknown) else 0
        cost = int((self._channel.price() or 0) * parts * 10_000) if parts else 0
        fate = Fate(stored=departing.stored, state="", parts=parts, cost=cost, keeps=self._channel.kept)
        match outcome:
            case Delivered(result=given):
                return _with(fate, state=_reported(given), result=dict(given))
            case Rejected(reason=reason):
                return _with(fate, state="rejected", code=outcome.because, detail=reason)
        if result.status == "unknown":
            return _with(fate, state="unknown", detail=result.error or "")
        if result.status == "dead":
            return _with(fate, state="failed", code="gave_up", detail=result.error or "")
        return _with(fate, code="retrying")

    def _told(self, departing: Departing, outcome: Rejected, now: datetime) -> MessageReported:
        return MessageReported(
            channel=self._channel.name,
            state="rejected",
            occurred_at=now,
            message=departing.message.id,
            reason=outcome.reason,
            because=outcome.because,
            address=departing.message.to,
        )

    async def _settle_both(
        self, results: Sequence[CommandResult], fates: Sequence[Fate], told: Sequence[MessageReported]
    ) -> None:
        setting, now = self._setting(), self._clock.now()

        def work(connection: Connection) -> None:
            settled = settle_commands(connection, self._merchant, self.line.connection, self._sealer, results)
            ids = {result.id for result in settled}
            # What is known to have happened counts also where a report settled the command first.
            certain = [fate for fate in fates if fate.stored.id in ids or fate.state not in {"", "unknown"}]
            settle_messages(connection, setting, certain, now)
            deliveries = [_delivery(one) for one in told]
            if deliveries:
                take_in(connection, self._merchant, deliveries, self._sealer, self._numbering)

        await self._database.write(work)
        if told:
            self._stored()

    async def _look_for(self, commands: Sequence[DueCommand]) -> None:
        """Find out whether messages of unknown outcome left; where nobody can tell, a person decides."""
        stored = await self._database.read(
            lambda connection: load_messages(
                connection, self._merchant, [one.id for one in commands], self._sealer, lock=False
            )
        )
        for command in commands:
            one = stored.get(command.id)
            at = one.attempted_at if one is not None else None
            if one is None or at is None:
                gone = _result(command, "dropped", self._clock.now(), was="unknown")
                await self._settle_both([gone], [], [])
                continue
            lookup = await self._found(_message_of(one), at)
            result = self._looked(command, lookup, self._clock.now())
            given = result.result or {}
            state = _reported(given) if result.status == "done" else "unknown" if result.status == "unknown" else ""
            fate = Fate(stored=one, state=state, result=given, detail=result.error or "")
            await self._settle_both([result], [fate], [])

    async def _found(self, message: Message, attempted_at: datetime) -> Lookup:
        try:
            async with asyncio.timeout(ATTEMPT):
                return await self._sink.find_out(message, attempted_at)
        except Exception as error:  # noqa: BLE001 - a lookup that fails tells nothing
            return Unknown(reason=f"the lookup failed: {type(error).__name__}")


def _reported(result: Mapping[str, Any]) -> str:
    """How far a message came that the vendor has."""
    state = str(result.get("state", "sent"))
    return state if state in REPORTED else "sent"


def _with(fate: Fate, **changes: Any) -> Fate:
    return replace(fate, **changes)


def _result(command: DueCommand, status: str, due_at: datetime, *, was: str) -> CommandResult:
    return CommandResult(
        id=command.id,
        key=command.command.key,
        status=status,
        attempts=command.attempts,
        tried=command.attempts,
        due_at=due_at,
        was=was,
    )


def _message_of(one: Any) -> Message:
    """A message as it was written out, as far as it is still known."""
    known = one.content
    return Message(
        id=str(one.id),
        name=one.name,
        member=one.member,
        to=str(known.get("to", "")),
        purpose=one.purpose,
        language=one.language,
        direction="ltr",
        subject=str(known.get("subject", "")),
        text=str(known.get("text", "")),
        html=str(known.get("html", "")),
    )


def _delivery(one: MessageReported) -> Delivery:
    return Delivery(
        connection=OWN,
        key=f"message:{one.message}:{one.state}:{one.because}",
        topic="message_reported",
        body=msgspec.json.encode(one),
        received_at=one.occurred_at,
    )
