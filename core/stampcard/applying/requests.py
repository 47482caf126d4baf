"""What REST and CLI ask for, each in one unit of work; the same key gets the same answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from stampcard.applying.concerning import counter_keys, freed_order, sign_up_keys
from stampcard.applying.deliveries import decide_event
from stampcard.applying.enrolling import join_by_request
from stampcard.applying.locking import lock_member, present
from stampcard.applying.resolving import Resolved, resolve
from stampcard.applying.setting import Setting, check_revision
from stampcard.applying.unit import Sourced, Unit
from stampcard.clock import to_micros
from stampcard.domain.commands import OWN
from stampcard.domain.decisions import Change
from stampcard.domain.events import CustomerSeen, CustomEvent
from stampcard.domain.value import Value, replace
from stampcard.engine.deciding import enrol
from stampcard.engine.requesting import PendingAction, decide_adjust, decide_pending
from stampcard.engine.versions import Programs
from stampcard.engine.world import NO_FACTS, Draft, Facts
from stampcard.errors import Conflict, ItemsRefused, NotFound, RequestRefused
from stampcard.storage import loading, saving
from stampcard.storage.numbering import new_member_id
from stampcard.storage.rows import open_object, seal_object
from stampcard.storage.tables import idempotency

_KNOWN = select(idempotency).where(
    idempotency.c.merchant == bindparam("merchant"),
    idempotency.c.key == bindparam("key"),
    idempotency.c.path == bindparam("path"),
)


class Once(Value, frozen=True):
    """What makes a repeated request the same: the caller's key, the path, and what was asked."""

    key: str
    path: str
    body: bytes

    @property
    def digest(self) -> str:
        """Of what was asked."""
        return hashlib.sha256(self.body).hexdigest()


class Answer(Value, frozen=True):
    """A JSON answer with its HTTP status; `member` is whom it tells about."""

    status: int
    body: dict[str, Any]
    member: str | None = None


Work = Callable[[Unit], Answer]
#: Completes an answer with what can only be told once everything is written.
Show = Callable[[Connection, Answer], Answer]


def answer(
    connection: Connection,
    setting: Setting,
    once: Once | None,
    now: datetime,
    work: Work,
    show: Show = lambda _, given: given,
) -> tuple[Answer, list[Change]]:
    """Do the work, or give the answer that the same request got before.

    A concurrent second request with the same key waits for the first, on the row that both insert. Raises Conflict for
    the same key with another body; a request that is refused leaves no trace, its key is free again.
    """
    check_revision(connection, setting)
    unit = Unit(connection, setting, now)
    if once is None:
        given = work(unit)
        changes = unit.save()
        return show(connection, given), changes
    row = {
        "merchant": setting.merchant,
        "key": once.key,
        "path": once.path,
        "body_hash": once.digest,
        "status": 0,
        "created_at": to_micros(now),
    }
    saving.insert_new(connection, "idempotency", [row])
    before = stored(connection, setting, once)
    if before is not None:
        return before, []
    given = work(unit)
    changes = unit.save()
    given = show(connection, given)
    about = _about(setting, once)
    connection.execute(
        update(idempotency)
        .where(
            idempotency.c.merchant == setting.merchant, idempotency.c.key == once.key, idempotency.c.path == once.path
        )
        .values(status=given.status, answer_sealed=seal_object(setting.sealer, given.body, about), member=given.member)
    )
    return given, changes


def stored(connection: Connection, setting: Setting, once: Once) -> Answer | None:
    """The answer that this request got before.

    Raises Conflict if the key was used for another request, or if the answer was erased with the member it told about.
    """
    known = connection.execute(_KNOWN, {"merchant": setting.merchant, "key": once.key, "path": once.path}).one_or_none()
    if known is None:
        return None
    if known.body_hash != once.digest:
        raise Conflict("idempotency_key_reused", f"the Idempotency-Key was used for another request to {once.path}")
    if not known.status:
        return None
    if known.answer_sealed is None:
        raise Conflict("answer_erased", "this was done before; its answer was deleted with the member it told about")
    return Answer(status=known.status, body=open_object(setting.sealer, known.answer_sealed, _about(setting, once)))


def _about(setting: Setting, once: Once) -> str:
    return f"idempotency:{setting.merchant}:{once.path}:{once.key}"


def adjust(
    unit: Unit, member: str, wallet: str, points: int, key: str, note: str, until: datetime | None = None
) -> None:
    """Add or take points by hand; what is added may wait until some moment."""
    lock_member(unit, member)
    unit.absorb(decide_adjust(unit.world, member, wallet, points, key, note, until))


def change_pending(
    unit: Unit, member: str, wallet: str, lot: int, action: PendingAction, until: datetime | None, note: str
) -> None:
    """Activate, cancel or reschedule points that wait."""
    lock_member(unit, member)
    known = unit.wallets.get((member, wallet))
    if known is None:
        raise NotFound("wallet", wallet)
    unit.absorb(decide_pending(unit.world, known, lot, action, until, note))


def record_event(unit: Unit, event: CustomEvent, source: str, facts: Facts = NO_FACTS) -> str:
    """Apply an event of the merchant's own; raises NotFound for an unknown event or customer, RequestRefused."""
    fields = event_fields(unit.setting.programs, event.name, unit.now)
    if fields is None:
        raise NotFound("event", event.name)
    check_fields(fields, event.data, f"event {event.name}")
    unit.subscribing.check(event)
    key = (source, event.customer)
    identities = loading.load_identities(unit.connection, unit.setting.merchant, [key])
    if key not in identities:
        raise NotFound("customer", f"{source}:{event.customer}")
    _record(unit, event, source, Resolved(rows=identities, erased={}), facts)
    return str(identities[key].member)


def record_of(unit: Unit, member: str, event: CustomEvent, facts: Facts = NO_FACTS, source: str = OWN) -> None:
    """Apply an event that is known to be a member's, whoever they are at any shop; raises NotFound."""
    rows = {(source, event.customer): _Known(member=member)}
    _record(unit, event, source, Resolved(rows=rows, erased={}), facts)


class _Known(Value, frozen=True):
    """Stands for the row of an identity."""

    member: str


def _record(unit: Unit, event: CustomEvent, source: str, identities: Resolved, facts: Facts) -> None:
    sourced = Sourced(event=event, connection=source, source=source, received_at=unit.now, facts=facts)
    freed = freed_order(sourced)
    lock_member(unit, identities.of(sourced).member, attributes=True, orders=[freed] if freed else [])
    unit.count(set(counter_keys(unit, sourced, identities)))
    decide_event(unit, sourced, identities)


def create_member(
    unit: Unit, identity: tuple[str, str] | None, attributes: Mapping[str, Any], program: str = ""
) -> str:
    """A new member, known by an identity at a connection, or by our own id; signs up for every program.

    `program`: of those that take nobody who does not ask, for this one alone.
    """
    check_attributes(unit.setting.programs, attributes, unit.now)
    if identity is not None and loading.load_identities(unit.connection, unit.setting.merchant, [identity]):
        raise Conflict("member_exists", f"{identity[0]}:{identity[1]} is a member already")
    key = identity or (OWN, new_member_id())
    event = CustomerSeen(reference=key[1], occurred_at=unit.now, attributes=attributes)
    sourced = Sourced(event=event, connection=key[0], source=key[0], received_at=unit.now)
    found = resolve(unit, [sourced])
    row = found.of(sourced)
    if row is None:
        raise Conflict("erased", f"{key[0]}:{key[1]} was erased just now")
    member: str = row.member
    unit.lock([member], attributes=True)
    unit.count(set(counter_keys(unit, sourced, found)))
    if unit.members[member].programs and key not in found.claimed:
        # Somebody else made this member while we waited for the identity.
        raise Conflict("member_exists", f"{key[0]}:{key[1]} is a member already")
    decide_event(unit, sourced, found)
    join_by_request(unit, member, program)
    return member


def change_attributes(unit: Unit, member: str, attributes: Mapping[str, Any]) -> None:
    """Change attributes of a member; null removes one. Raises RequestRefused for what the program does not declare."""
    check_attributes(unit.setting.programs, attributes, unit.now)
    lock_member(unit, member, attributes=True)
    unit.count(set(sign_up_keys(unit, [member], unit.now)))
    _merge(unit, member, attributes)


def change_many(unit: Unit, wanted: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    """Change attributes of several members, of all or of none; raises ItemsRefused with everything that is wrong."""
    unit.lock([member for member, _ in wanted], attributes=True)
    unit.count(set(sign_up_keys(unit, list(unit.members), unit.now)))
    refused: list[tuple[int, RequestRefused]] = []
    for index, (member, attributes) in enumerate(wanted):
        try:
            check_attributes(unit.setting.programs, attributes, unit.now)
            present(unit, member)
        except RequestRefused as error:
            refused.append((index, error))
        else:
            _merge(unit, member, attributes)
    if refused:
        raise ItemsRefused(refused)


def _merge(unit: Unit, member: str, attributes: Mapping[str, Any]) -> None:
    known = unit.members[member]
    merged = {**known.attributes, **attributes}
    changed = replace(known, attributes={name: value for name, value in merged.items() if value is not None})
    draft = Draft(unit.world)
    draft.member = changed
    enrol(draft, changed, unit.now)
    unit.absorb(draft.decision())


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "date": lambda value: isinstance(value, str) and _is_date(value),
}


def _is_date(value: str) -> bool:
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def check_attributes(programs: Programs, attributes: Mapping[str, Any], now: datetime) -> None:
    """Raise RequestRefused unless every attribute is declared and of its type."""
    declared: dict[str, str] = {}
    for live in programs.current(now):
        declared.update(live.program.attribute_types)
    check_fields(declared, attributes, "attribute")


def event_fields(programs: Programs, name: str, now: datetime) -> dict[str, str] | None:
    """The fields that an event may have in any program; None if none knows it."""
    known = [live.program.event_fields(name) for live in programs.current(now)]
    if all(fields is None for fields in known):
        return None
    return {field: kind for fields in known if fields for field, kind in fields.items()}


def check_fields(declared: Mapping[str, str], given: Mapping[str, Any], what: str) -> None:
    """Raise RequestRefused unless every field is declared and of its type."""
    for name, value in given.items():
        kind = declared.get(name)
        if kind is None:
            known = ", ".join(sorted(declared)) or "none"
            raise RequestRefused("unknown_field", f"{what}: {name!r} is not declared by the program; known: {known}")
        if value is not None and not _TYPES[kind](value):
            raise RequestRefused("wrong_type", f"{what}: {name!r} must be a {kind}, not {value!r}")
