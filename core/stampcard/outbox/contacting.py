"""Showing members at a CRM: what is new of each contact, in the vendor's batches; who has none is looked for, then made."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection as DatabaseConnection

from stampcard.applying.setting import Setting
from stampcard.applying.showing import pictures
from stampcard.calling.lines import ATTEMPT, Line
from stampcard.clock import Clock, to_micros
from stampcard.domain.commands import CONTACT, OWN
from stampcard.domain.contacts import Person
from stampcard.domain.deliveries import Delivery
from stampcard.domain.events import ContactSeen, ContactWritten
from stampcard.domain.value import Value, replace
from stampcard.engine.syncing import Base, Digest
from stampcard.errors import told
from stampcard.host.connecting import Connection
from stampcard.host.contacts import ContactSink
from stampcard.outbox.comparing import DueContact, bases_of, compared
from stampcard.outbox.retrying import not_taken, worst
from stampcard.plugin.outcomes import Delivered, Outcome, Rejected, RetryLater
from stampcard.storage import contacts, leasing
from stampcard.storage.contacts import Dispute
from stampcard.storage.database import Database
from stampcard.storage.fetching import want_records
from stampcard.storage.inboxing import take_in
from stampcard.storage.pushing import PushResult, due_rows, settle_pushes

#: How long somebody waits whose contact was found, until it is read and linked.
LINKING = timedelta(seconds=3)
#: How long a call waits for more to show in it, where it has room.
LINGER = timedelta(seconds=0.5)
#: How often a contact that is nobody's is read for somebody, before it is taken for somebody else's.
LOOKS = 2


class _Found(Value, frozen=True):
    """What is written down when a batch is settled, beside the pushes."""

    written: Sequence[tuple[DueContact, Mapping[str, Any]]] = ()
    deliveries: Sequence[Delivery] = ()
    wanted: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()


class Contacting:
    """The contacts of one CRM."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        line: Line,
        connection: Connection,
        setting: Callable[[], Setting],
        stored: Callable[[], None],
    ) -> None:
        """`stored()` is called when something was put into the inbox."""
        self._database, self._clock, self.line = database, clock, line
        self._connection, self._setting, self._stored = connection, setting, stored
        self._flying: set[str] = set()
        self._looking = asyncio.Lock()

    async def due(self) -> list[DueContact]:
        """The next batch; its members are ours until `release` them."""
        async with self._looking:  # two flights that look at once must not find the same
            flying, now = set(self._flying), self._clock.now()
            due = await self._database.read(lambda connection: self._load(connection, flying, now))
            self._flying |= {one.item.member for one in due}
            return due

    def release(self, batch: Sequence[DueContact]) -> None:
        """Let go of a batch."""
        self._flying -= {one.item.member for one in batch}

    def _load(self, connection: DatabaseConnection, flying: set[str], now: datetime) -> list[DueContact]:
        setting, crm = self._setting(), self._connection.crm
        if crm is None or crm.name not in setting.crms or setting.crms[crm.name].halted:
            return []
        name, merchant = crm.name, setting.merchant
        most = self.line.sink.batch_size
        rows = due_rows(connection, merchant, name, CONTACT, now, most, flying)
        if not rows or (len(rows) < most and to_micros(now) - rows[0].due_at < LINGER // timedelta(microseconds=1)):
            return []
        members = [row.member for row in rows]
        shown = pictures(connection, setting, crm, members, now)
        known = contacts.contacts_of(connection, merchant, name, members)
        doubtful = contacts.candidates_at(connection, merchant, name, members)
        digest = contacts.digester(setting.sealer)
        batch: list[DueContact] = []
        for row in rows:
            mine = compared(row, crm, shown.get(row.member), known.get(row.member, ()), doubtful, digest)
            if batch and len(batch) + len(mine) > most:  # somebody has two contacts: the rest is due as before
                break
            batch += mine
        return batch

    async def send(self, batch: Sequence[DueContact], lease: str, token: int) -> list[Outcome]:
        """Show them, and write down what became of each, unless another process took the connection over meanwhile."""
        outcomes: dict[int, Outcome] = {place: Delivered() for place, one in enumerate(batch) if one.is_idle}
        looked = await self._look_for(
            [one.person for one in batch if one.person is not None],
            {one.item.member for one in batch if one.attempts >= LOOKS},
        )
        found = {place: looked.get(one.item.member, ()) for place, one in enumerate(batch) if one.person is not None}
        outcomes |= {place: _waits() for place, deliveries in found.items() if deliveries}
        outcomes |= {place: looked.failure for place in found if looked.failure is not None}
        sent = [place for place in range(len(batch)) if place not in outcomes]
        answers = await self.line.attempt([batch[place].item for place in sent]) if sent else []
        outcomes |= dict(zip(sent, answers, strict=True))
        in_order = [outcomes[place] for place in range(len(batch))]
        await self._settle(batch, in_order, [one for of in found.values() for one in of], lease, token)
        return [outcomes[place] for place in sent]

    async def _look_for(self, people: Sequence[Person], often: Collection[str]) -> _Looked:
        """Contacts that people may have, which nobody has read yet; `often`: those for whom that was done again and again."""
        reachable = [one for one in people if one.emails or one.phones]
        sink = self.line.sink
        if not reachable or not isinstance(sink, ContactSink):
            return _Looked()
        try:
            async with asyncio.timeout(ATTEMPT):
                found = await sink.contacts.find(reachable)
        except Exception as error:  # noqa: BLE001 - a plugin's own code; they are looked for again later
            return _Looked(failure=RetryLater(reason=f"looking for contacts failed: {told(error)}"))
        by_member = dict(zip((one.member for one in reachable), found, strict=False))
        return _Looked(found=await self._unread(by_member, often))

    async def _unread(
        self, found: Mapping[str, Sequence[Delivery]], often: Collection[str]
    ) -> dict[str, list[Delivery]]:
        """Those that were never decided about; whoever is known and is not theirs is not asked about again and again."""
        webhook = self._connection.capabilities.webhook if self._connection.capabilities is not None else None
        merchant, name = self._setting().merchant, self._connection.name
        named = {
            (one.reference, member): delivery
            for member, deliveries in found.items()
            for delivery in deliveries
            for one in (webhook.events(delivery) if webhook is not None else ())
            if isinstance(one, ContactSeen)
        }
        keys = [(name, reference) for reference, _ in named]
        known = await self._database.read(lambda connection: contacts.load_contacts(connection, merchant, keys))
        fresh: dict[str, list[Delivery]] = {}
        for (reference, member), delivery in named.items():
            before = known.get((name, reference))
            if before is None or (before.state == "skipped" and before.why == "nobody" and member not in often):
                # The same may have been taken in before, and forgotten since.
                key = f"{delivery.key}:{member}@{to_micros(self._clock.now())}"
                fresh.setdefault(member, []).append(replace(delivery, key=key, past=False))
        return fresh

    async def _settle(
        self,
        batch: Sequence[DueContact],
        outcomes: Sequence[Outcome],
        deliveries: Sequence[Delivery],
        lease: str,
        token: int,
    ) -> None:
        now, setting, name = self._clock.now(), self._setting(), self._connection.name
        results = worst(
            replace(self._result(one, outcome, now), was_due=one.due_at)
            for one, outcome in zip(batch, outcomes, strict=True)
        )
        found = _sorted_out(batch, outcomes, deliveries)

        def settle(connection: DatabaseConnection) -> None:
            if not leasing.holds(connection, setting.merchant, lease, token):
                return
            self._write_down(connection, setting, found, now)
            settle_pushes(connection, setting.merchant, name, CONTACT, results)

        await self._database.write(settle)
        if found.deliveries or found.written:
            self._stored()

    def _write_down(self, connection: DatabaseConnection, setting: Setting, found: _Found, now: datetime) -> None:
        """Keep what both sides show now, and let what follows of it come to ourselves."""
        name, merchant, digest = self._connection.name, setting.merchant, contacts.digester(setting.sealer)
        written = {one.item.reference: (one, result) for one, result in found.written if one.item.reference}
        keys = [(name, reference) for reference in {*written, *found.gone, *found.wanted}]
        known = contacts.load_contacts(connection, merchant, keys, lock=True)
        kept = {one.reference: one for one in known.values()}
        for reference in written.keys() & kept.keys():
            one, (due, result) = kept[reference], written[reference]
            fields = {**one.fields, **self._bases(due, result, digest)}
            at = max(one.changed_at, _changed_at(result))
            # Somebody may have changed it between what was heard of it last and what was written now.
            content = one.content if at == one.changed_at else ""
            kept[reference] = replace(one, fields=fields, changed_at=at, content=content)
        for reference in found.gone & kept.keys():
            kept[reference] = replace(kept[reference], state="gone", content="", fields={}, at=now)
        for reference in found.wanted & kept.keys():
            kept[reference] = replace(kept[reference], content="")  # it is looked at whatever it says
        contacts.save_contacts(connection, merchant, kept.values())
        self._tell_refused(connection, setting, found, now)
        want_records(connection, merchant, name, CONTACT, found.wanted, now)
        made = [
            self._made(due, result, digest, setting, now) for due, result in found.written if not due.item.reference
        ]
        deliveries = [*found.deliveries, *made]
        if deliveries:
            take_in(connection, merchant, deliveries, setting.sealer, setting.numbering)

    def _tell_refused(self, connection: DatabaseConnection, setting: Setting, found: _Found, now: datetime) -> None:
        """List values that the vendor does not take, once each, among what both sides do not agree on."""
        name, merchant, sealer, disputes = self._connection.name, setting.merchant, setting.sealer, list[Dispute]()
        crm = self._connection.crm
        turn = {pair.theirs: pair.ours for pair in crm.pairs} if crm is not None else {}
        for due, result in found.written:
            for field, why in _refused(result).items():
                reference, text = due.item.reference or str(result.get("reference", "")), due.item.fields.get(field, "")
                last = contacts.last_dispute(connection, merchant, sealer, (name, reference), turn.get(field, field))
                if last is None or (last.ours, last.theirs) != (text, why):
                    disputes.append(
                        Dispute(
                            id=setting.numbering.next(now),
                            connection=name,
                            reference=reference,
                            member=due.item.member,
                            field=turn.get(field, field),
                            rule="refused",
                            kept="neither",
                            at=now,
                            ours=text,
                            theirs=why,
                        )
                    )
        contacts.save_disputes(connection, merchant, sealer, disputes)

    def _bases(self, due: DueContact, result: Mapping[str, Any], digest: Digest) -> dict[str, Base]:
        crm, shown = self._connection.crm, result.get("fields", {})
        if crm is None:
            return {}
        return bases_of(due, crm, shown if isinstance(shown, Mapping) else {}, _refused(result), digest)

    def _made(
        self, due: DueContact, result: Mapping[str, Any], digest: Digest, setting: Setting, now: datetime
    ) -> Delivery:
        """What we tell ourselves of a contact that was made."""
        made = ContactWritten(
            connection=self._connection.name,
            reference=str(result.get("reference", "")),
            member=due.item.member,
            occurred_at=now,
            fields={name: (base.ours, base.theirs) for name, base in self._bases(due, result, digest).items()},
        )
        return Delivery(
            connection=OWN,
            key=f"contact:{setting.numbering.next(now)}",
            topic="contact_written",
            body=msgspec.json.encode(made),
            received_at=now,
        )

    def _result(self, due: DueContact, outcome: Outcome, now: datetime) -> PushResult:
        member, attempts, version = due.item.member, due.attempts + 1, due.item.version
        match outcome:
            case Delivered(result=result) if result.get("found") and attempts < self.line.sink.retry.tries:
                waits = now + LINKING * attempts
                return PushResult(
                    member=member, sent=due.sent, due_at=waits, attempts=attempts, error="its contact is read"
                )
            case Delivered(result=result) if result.get("found"):
                reason = f"the contact {result.get('reference')} has the same address and is another's, or nobody's yet"
                return PushResult(member=member, sent=due.sent, due_at=now, attempts=attempts, error=reason, dead=True)
            case Delivered():
                return PushResult(member=member, sent=version, due_at=now + self._setting().coalesce, since=now)
            case Rejected(gone=True):
                return PushResult(member=member, sent=version, due_at=now, since=now)
        return not_taken(
            outcome, due.attempts, self.line.sink.retry, now, random.random(), member=member, sent=due.sent
        )


def _refused(result: Mapping[str, Any]) -> dict[str, str]:
    """Their fields that the vendor did not take, with its word for why."""
    told_ = result.get("refused")
    return {str(name): str(why) for name, why in told_.items()} if isinstance(told_, Mapping) else {}


def _changed_at(result: Mapping[str, Any]) -> int:
    """When a contact changed by what was written, in microseconds; 0 where the vendor does not tell."""
    told_ = result.get("changed_at")
    try:
        at = datetime.fromisoformat(told_) if isinstance(told_, str) else None
        return to_micros(at) if at is not None else 0
    except (ValueError, TypeError, OverflowError):
        return 0


class _Looked(Value, frozen=True):
    """What looking for contacts brought, by member, or why it brought nothing."""

    found: Mapping[str, Sequence[Delivery]] = {}
    failure: RetryLater | None = None

    def get(self, member: str, default: Sequence[Delivery]) -> Sequence[Delivery]:
        return self.found.get(member, default)


def _waits() -> RetryLater:
    """Each time counts: whoever is found again and again is nobody that they could be. Once linked they are due at once."""
    return RetryLater(reason="its contact is read")


def _sorted_out(batch: Sequence[DueContact], outcomes: Sequence[Outcome], deliveries: Sequence[Delivery]) -> _Found:
    """What follows of each outcome beside the push."""
    written, wanted, gone = [], set[str](), set[str]()
    for one, outcome in zip(batch, outcomes, strict=True):
        match outcome:
            case Delivered(result=result) if result.get("found"):
                wanted.add(str(result.get("reference", "")))
            case Delivered(result=result) if not one.is_idle:
                written.append((one, result))
            case Rejected(gone=True) if one.item.reference:
                gone.add(one.item.reference)
        if one.looks:
            wanted.add(one.item.reference)
    return _Found(written=written, deliveries=deliveries, wanted=frozenset(wanted - {""}), gone=frozenset(gone))
