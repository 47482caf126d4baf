"""What channels tell: what became of messages, and what people write back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from stampcard.applying.addressing import email_print, phone_print
from stampcard.applying.messaging import SERVICES, go_on, reach_print, suppress, terms_of, too_many_services
from stampcard.clock import to_micros
from stampcard.domain.addresses import normal_phone
from stampcard.domain.commands import OWN
from stampcard.domain.consents import Consent, ConsentState, current, given
from stampcard.domain.events import MessageReceived, MessageReported
from stampcard.domain.messages import LOST, REPORTED, TRANSACTIONAL
from stampcard.engine.announcing import Planned
from stampcard.engine.replying import Meaning, meaning_of
from stampcard.program.rewards import FixedPrice
from stampcard.storage import loading, saving
from stampcard.storage.consenting import load_consents
from stampcard.storage.messages import (
    StoredMessage,
    add_messages,
    change,
    find_reference,
    load_messages,
    mark,
    settle_command,
)
from stampcard.storage.tables import identity, member, message, suppression

if TYPE_CHECKING:
    from stampcard.applying.setting import Setting
    from stampcard.applying.unit import Sourced, Unit
    from stampcard.domain.members import Member

OF_MESSAGES = (MessageReported, MessageReceived)
_ADDRESSES = {"email": member.c.email_print, "phone": member.c.phone_print}
#: Reports that tell of an attempt of unknown outcome that it left.
_LEFT = frozenset(REPORTED) - {"rejected"}
#: How a yes is taken back by STOP: as we heard it, or as the vendor did, whose news may come first.
STOPPED_HERE, STOPPED_THERE = "reply", "opted_out"
_BY_STOP = frozenset({STOPPED_HERE, STOPPED_THERE})


@dataclass(slots=True)
class Told:
    """The messages that reports of one transaction are about, and whose addresses write back, by the event."""

    messages: dict[int, StoredMessage] = field(default_factory=dict)
    people: dict[int, tuple[str, ...]] = field(default_factory=dict)
    #: The events whose address is one of theirs now, and not only one that something was sent to once.
    present: set[int] = field(default_factory=set)

    @property
    def owners(self) -> set[str]:
        """Everybody whom it concerns."""
        return {one.member for one in self.messages.values() if one.member} | {
            member for of in self.people.values() for member in of
        }


def listen(unit: Unit, events: Iterable[Sourced]) -> Told:
    """Find what reports are about, and who writes; nothing is locked yet."""
    told = Told()
    for sourced in events:
        event = sourced.event
        if isinstance(event, MessageReported):
            found = _message_of(unit, event, sourced.connection)
            if found is not None:
                told.messages[id(event)] = found
            elif event.address:
                _find_owners(unit, told, sourced)
        elif isinstance(event, MessageReceived):
            _find_owners(unit, told, sourced)
    return told


def _message_of(unit: Unit, event: MessageReported, connection: str) -> StoredMessage | None:
    """The message that a report is about: by our id, if that connection brought it, else by the vendor's."""
    merchant, sealer = unit.setting.merchant, unit.setting.sealer
    if event.message.isascii() and event.message.isdecimal() and len(event.message) < 20:  # noqa: PLR2004 - of 63 bits
        found = load_messages(unit.connection, merchant, [int(event.message)], sealer, lock=False)
        one = found.get(int(event.message))
        if one is not None and connection in {one.connection, OWN}:
            return one
    if not event.reference:
        return None
    return find_reference(unit.connection, merchant, connection, event.reference, sealer)


def _find_owners(unit: Unit, told: Told, sourced: Sourced) -> None:
    """Note whose address it is; of numbers that move on, whoever has one now is meant, and else who had it."""
    event = sourced.event
    assert isinstance(event, MessageReported | MessageReceived)
    setting, channel, address = unit.setting, event.channel, event.address
    print_ = reach_print(setting, channel, address)
    sent = select(message.c.member).where(
        message.c.merchant == setting.merchant, message.c.to_print == print_, message.c.test == 0
    )
    had = set(unit.connection.execute(sent.distinct().limit(100)).scalars())
    found = had | _known_by(unit, sourced.connection, address)
    standing = set(loading.standing_for(unit.connection, setting.merchant, found).values())
    people = loading.load_members(
        unit.connection, setting.merchant, sorted(standing), setting.sealer, attributes=True, lock=False
    )
    known = loading.load_identities_of(unit.connection, setting.merchant, sorted(standing))
    present = sorted(
        id_
        for id_, person in people.items()
        if print_ in _reached_by(setting, channel, sourced.connection, person, known.get(id_, ()))
    )
    told.people[id(event)] = tuple(present or sorted(standing))
    if present:
        told.present.add(id(event))


def _reached_by(setting: Setting, channel: str, connection: str, person: Member, known: Iterable[Any]) -> set[str]:
    """The prints of everything that reaches a member now."""
    addresses = [str(person.attributes.get(name) or "") for name in _ADDRESSES]
    addresses += [row.reference for row in known if row.connection == connection]
    return {reach_print(setting, channel, address) for address in addresses if address}


def _known_by(unit: Unit, connection: str, address: str) -> set[str]:
    """The members who have an address as an attribute, or are called so at the connection."""
    setting = unit.setting
    called = select(identity.c.member).where(
        identity.c.merchant == setting.merchant, identity.c.connection == connection, identity.c.reference == address
    )
    found = set(unit.connection.execute(called).scalars()) - {""}
    plain = address.strip()
    prints = {email_print(setting.sealer, plain)} if "@" in plain else set[str]()
    prints |= {phone_print(setting.sealer, text) for text in {plain, normal_phone(plain) or plain}}
    for column in _ADDRESSES.values():
        mine = select(member.c.id).where(member.c.merchant == setting.merchant, column.in_(sorted(prints)))
        found |= set(unit.connection.execute(mine).scalars())
    return found


def hear_told(unit: Unit, sourced: Sourced, told: Told) -> str | None:
    """Take in what a channel tells; answers a member whom it concerns."""
    event = sourced.event
    if isinstance(event, MessageReported):
        return _hear_report(unit, sourced, event, told)
    return _hear_reply(unit, sourced, event, told) if isinstance(event, MessageReceived) else None


def _hear_report(unit: Unit, sourced: Sourced, event: MessageReported, told: Told) -> str | None:
    """Note what became of a message, and let what it says of the address count; the members are locked."""
    one = told.messages.get(id(event))
    owners: tuple[str, ...] = told.people.get(id(event), ())
    address = event.address
    if one is not None:
        stored = load_messages(unit.connection, unit.setting.merchant, [one.id], unit.setting.sealer, lock=True)
        one = stored.get(one.id, one)
        moved = mark(
            unit.connection, unit.setting.merchant, one, event.state, event.occurred_at, event.code, event.reason
        )
        if event.reference and not one.reference:
            change(unit.connection, unit.setting.merchant, one.id, reference=event.reference[:200])
        if event.state in _LEFT:
            settle_command(unit.connection, unit.setting.merchant, one, "done")
        if moved and event.state in LOST:
            live = next((live for live in unit.setting.programs.current(unit.now) if live.name == one.program), None)
            go_on(unit.connection, unit.setting, live, one, unit.now)
        # What becomes of a test says nothing of the member whom it was made up for.
        owners, address = () if one.is_test else (one.member,), str(one.content.get("to", "")) or address
        if event.state in _LEFT and not _is_kept(unit.setting, one):
            change(unit.connection, unit.setting.merchant, one.id, content_sealed=None)
    purpose = one.purpose if one is not None else ""
    _let_count(unit, event, sourced.connection, owners, address, purpose, one)
    return owners[0] if owners else None


def _is_kept(setting: Setting, one: StoredMessage) -> bool:
    """Whether members come to read it, so that it stays."""
    return any(way.kept for way in setting.ways.get(one.channel, ()) if way.connection == one.connection)


def _let_count(
    unit: Unit,
    event: MessageReported,
    connection: str,
    owners: Collection[str],
    address: str,
    purpose: str,
    one: StoredMessage | None,
) -> None:
    """What a report says of an address and of its owner's will."""
    at = min(event.occurred_at, unit.now)
    reason = {"bounced": "bounced", "complained": "complained"}.get(
        event.state, "address" if event.because == "address" else ""
    )
    if event.state == "bounced" and event.because != "address":
        reason = ""  # a mailbox that is full today is not one that is not there
    if event.because == "opted_out":
        reason = "unsubscribed"
    print_ = _print_of(unit, event.channel, address, one)
    if reason and print_:
        _suppress(unit, event.channel, address, print_, reason, at, connection)
    source = f"{connection}:{STOPPED_THERE if event.because == 'opted_out' else event.state}"
    for owner in owners:
        if owner not in unit.members or not unit.members[owner].is_there:
            continue
        if event.because == "opted_out" or event.state == "complained":
            withdraw_all(
                unit, owner, event.channel, at, source, also=TRANSACTIONAL if event.because == "opted_out" else ""
            )
        elif event.state == "unsubscribed":
            withdraw(unit, owner, event.channel, [purpose or "marketing"], at, source)


def _print_of(unit: Unit, channel: str, address: str, one: StoredMessage | None) -> str:
    if address:
        return reach_print(unit.setting, channel, address)
    if one is None:
        return ""
    known = select(message.c.to_print).where(message.c.merchant == unit.setting.merchant, message.c.id == one.id)
    return unit.connection.execute(known).scalar() or ""


def _suppress(unit: Unit, channel: str, address: str, print_: str, reason: str, at: datetime, source: str) -> None:
    if address:
        suppress(unit.connection, unit.setting, channel, address, reason, at, source)
        return
    row = {
        "merchant": unit.setting.merchant,
        "channel": channel,
        "print": print_,
        "reason": reason,
        "at": to_micros(at),
        "source": source,
        "note": "",
        "address_sealed": None,
    }
    saving.insert_new(unit.connection, "suppression", [row])


def _said(unit: Unit, owner: str, *, evidence: bool = False) -> list[Consent]:
    """Everything that a member said, also just now."""
    setting = unit.setting
    stored = load_consents(unit.connection, setting.merchant, [owner], setting.sealer, evidence=evidence)
    return [*stored.get(owner, ()), *(one for of, one in unit.touched.consents if of == owner)]


def withdraw_all(
    unit: Unit, owner: str, channel: str, at: datetime, source: str, text: str = "", also: str = TRANSACTIONAL
) -> None:
    """A member wants nothing more by a channel, for any purpose that they ever agreed to."""
    known = _said(unit, owner)
    purposes = {one.purpose for one in known if one.channel == channel} | {"marketing"} | ({also} if also else set())
    withdraw(unit, owner, channel, sorted(purposes), at, source, text)


def withdraw(
    unit: Unit, owner: str, channel: str, purposes: Collection[str], at: datetime, source: str, text: str = ""
) -> None:
    """A member takes back what they agreed to; what is taken back already stays as it is."""
    for purpose in purposes:
        say(unit, owner, channel, purpose, "withdrawn", at, source, text)


def say(
    unit: Unit,
    owner: str,
    channel: str,
    purpose: str,
    state: ConsentState,
    at: datetime,
    source: str,
    text: str = "",
    ip: str = "",
) -> None:
    """Keep what a locked member said, unless just that counts already."""
    known = _said(unit, owner)
    said = Consent(
        channel=channel, purpose=purpose, state=state, at=at, recorded_at=unit.now, source=source, text=text, ip=ip
    )
    before = current(known).get(said.name)
    if before is not None and before.state == state:
        return
    unit.touched.consents.append((owner, said))
    unit.set_consents(owner, given([*known, said]), said)


def _hear_reply(unit: Unit, sourced: Sourced, event: MessageReceived, told: Told) -> str | None:
    """Do what somebody asks who writes back, and answer once; the members are locked."""
    owners = [one for one in told.people.get(id(event), ()) if one in unit.members and unit.members[one].is_there]
    meaning = meaning_of(event.text)
    at = min(event.occurred_at, unit.now)
    source = f"{sourced.connection}:{STOPPED_HERE}"
    if meaning == "stop":
        for owner in owners:
            withdraw_all(unit, owner, event.channel, at, source, text=event.text[:100])
        suppress(unit.connection, unit.setting, event.channel, event.address, "unsubscribed", at, sourced.connection)
    elif meaning == "start":
        _start(unit, event, owners, at, source)
    if meaning and owners and not event.answered and id(event) in told.present:
        _answer(unit, sourced, event, owners[0], meaning)
    return owners[0] if owners else None


def _start(unit: Unit, event: MessageReceived, owners: Collection[str], at: datetime, source: str) -> None:
    """Only who said STOP before is brought back by START; nobody agrees to what they were never asked."""
    setting = unit.setting
    gone = suppression.delete().where(
        suppression.c.merchant == setting.merchant,
        suppression.c.channel == event.channel,
        suppression.c.print == reach_print(setting, event.channel, event.address),
        suppression.c.reason == "unsubscribed",
    )
    unit.connection.execute(gone)
    for owner in owners:
        for one in current(_said(unit, owner, evidence=True)).values():
            if one.channel == event.channel and one.state == "withdrawn" and one.source.rpartition(":")[2] in _BY_STOP:
                say(unit, owner, event.channel, one.purpose, "given", at, source, text=event.text[:100])


_ANSWERS: Mapping[Meaning, str] = {
    "stop": "stopped",
    "start": "started",
    "help": "help",
    "balance": "balance",
    "rewards": "rewards",
}


def _answer(unit: Unit, sourced: Sourced, event: MessageReceived, owner: str, meaning: Meaning) -> None:
    """Let exactly one answer leave, by the way that the question came."""
    name, person = _ANSWERS[meaning], unit.members[owner]
    live = next((live for live in unit.setting.programs.current(unit.now) if live.name in person.programs), None)
    if live is None or name not in SERVICES or terms_of(live, name) is None:
        return
    if too_many_services(unit.connection, unit.setting, owner, unit.now):
        return
    items = _rewards(unit, owner) if meaning == "rewards" else None
    answer = Planned(
        program=live.name,
        name=name,
        member=owner,
        channel=event.channel,
        connection=sourced.connection,
        purpose=TRANSACTIONAL,
        occasion=f"reply:{sourced.connection}:{event.key}",
        due_at=unit.now,
        until=None,
        says={"items": items} if items is not None else {},
    )
    setting = unit.setting
    add_messages(unit.connection, setting.merchant, setting.sealer, setting.numbering, [answer], unit.now)


def _rewards(unit: Unit, owner: str) -> list[dict[str, object]]:
    """What the member's points are enough for."""
    found: list[tuple[int, str]] = []
    for live in unit.setting.programs.current(unit.now):
        for name, reward in live.program.rewards.items():
            wallet = unit.wallets.get((owner, reward.wallet))
            if not isinstance(reward.price, FixedPrice) or not reward.enabled or wallet is None:
                continue
            scale = live.program.wallets[reward.wallet].scale
            if reward.price.points.scaleb(scale) <= wallet.sums.get("active", 0):
                found.append((int(reward.price.points), reward.name or name))
    return [{"name": name, "points": points} for points, name in sorted(found)[:5]]
