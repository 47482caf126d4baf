"""Messages that people send: looked at beforehand, tried on one address, sent to everybody whom they are for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from sqlalchemy import Connection

from stampcard.applying.announcing import write_down
from stampcard.applying.messaging import PREVIEW, address_of, reach_print, terms_of, written_out
from stampcard.applying.setting import Setting, check_revision
from stampcard.applying.unit import Unit
from stampcard.domain.consents import current
from stampcard.domain.decisions import Change
from stampcard.domain.members import Member
from stampcard.domain.messages import Message
from stampcard.domain.texting import parts_of
from stampcard.domain.value import Value
from stampcard.engine.announcing import Happening, Planned, Way, is_told, planned, wants
from stampcard.engine.describing import Past
from stampcard.engine.permitting import Bearing, Drop, permit
from stampcard.engine.versions import LiveProgram, Programs
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.program.messages import MessageTerms
from stampcard.program.occasions import BY_HAND
from stampcard.program.placeholders import shape_of
from stampcard.storage.consenting import load_consents
from stampcard.storage.loading import load_identities_of
from stampcard.storage.messages import StoredMessage, add_messages, load_suppressed
from stampcard.storage.reminders import Due, Look, customers, everybody

#: Before the name of a job that writes a message down for everybody.
MAILING = "mail:"
#: What texts say of what has not happened, where somebody only looks.
SAMPLES: Mapping[str, Any] = {
    "points": 120,
    "wallet": "points",
    "days": 3,
    "missing": 50,
    "minutes": 15,
    "channel": "email",
    "purpose": "marketing",
    "confirm_url": "https://example.com/confirm",
    "join_url": "https://example.com/join",
    "link_url": "https://example.com/link",
    "card_url": "https://example.com/card",
    "question_url": "https://example.com/question",
}
_NAMED: Mapping[str, Mapping[str, Any]] = {
    "reward": {"name": "A sample reward", "description": "For you to see how it looks.", "code": "SAMPLE-1234"},
    "tier": {"name": "Gold", "before": "Silver", "missing": 50, "next": "Platinum", "next_missing": 250},
    "segment": {"name": "Sample segment"},
    "perk": {"name": "Sample perk"},
    "plan": {"name": "Sample plan"},
    "proof": {"name": "Sample proof"},
}


def named_message(programs: Programs, program: str, name: str, now: datetime) -> tuple[LiveProgram, MessageTerms]:
    """A message by its name, also where only one program has it; raises NotFound or Conflict."""
    current_ = programs.current(now)
    found = [live for live in current_ if program in {"", live.name} and terms_of(live, name) is not None]
    having = [live for live in found if name in live.program.messages]
    found = having or found
    if not found:
        known = [one for live in current_ if program in {"", live.name} for one in live.program.messages]
        raise NotFound("message", name, "".join(get_close_matches(name, known, n=1)))
    if len(found) > 1:
        raise Conflict(
            "several_programs", f"several programs have it: say which: {', '.join(live.name for live in found)}"
        )
    terms = terms_of(found[0], name)
    assert terms is not None
    return found[0], terms


def sample_of(live: LiveProgram, terms: MessageTerms, now: datetime) -> dict[str, Any]:
    """What a message says, made up: every name of its texts has a value."""
    today = now.astimezone(live.program.zone).date()
    days: dict[str, date] = {
        name: today + timedelta(days=3) for name in ("expires_on", "last_earn", "last_redeem", "valid_until", "until")
    }
    says: dict[str, Any] = {}
    for name, inner in shape_of(live.program, terms).items():
        if name in SAMPLES:
            says[name] = SAMPLES[name]
        elif name in days:
            says[name] = days[name]
        elif name in _NAMED and isinstance(inner, Mapping):
            says[name] = {**{one: days.get(one) for one in inner}, **_NAMED[name]}
        elif name == "event" and isinstance(inner, Mapping):
            says[name] = dict.fromkeys(inner, "sample")
    return says


def preview(
    unit: Unit, live: LiveProgram, name: str, terms: MessageTerms, member: str, channel: str, language: str
) -> Message:
    """A message as a member would get it, with made-up facts; nothing leaves. Raises NotFound, TextFailed."""
    way = way_of(unit.setting, live, channel)
    unit.look(member)
    person = unit.members.get(member)
    if person is None or not person.is_there:
        raise NotFound("member", member)
    says = {**sample_of(live, terms, unit.now), **({"language": language} if language else {})}
    stored = _imagined(live, name, terms, member, way, says, unit.now)
    return written_out(unit, live, terms, stored, person, way, address_of(way, person, ""))


def _imagined(
    live: LiveProgram, name: str, terms: MessageTerms, member: str, way: Way, says: Mapping[str, Any], now: datetime
) -> StoredMessage:
    return StoredMessage(
        id=1,
        program=live.name,
        name=name,
        member=member,
        channel=way.channel,
        connection=way.connection,
        purpose=terms.purpose,
        occasion=PREVIEW,
        state="waiting",
        created_at=now,
        due_at=now,
        says=says,
    )


def way_of(setting: Setting, live: LiveProgram, channel: str) -> Way:
    """How a channel is sent by; without any connection as such channels mostly are."""
    found = setting.ways.get(channel, ())
    named = live.program.sending.channels.get(channel)
    chosen = next((way for way in found if way.connection == named), None) or next(iter(found), None)
    if chosen is not None:
        return chosen
    usual = {"email": ("mail", "email"), "sms": ("text", "phone")}.get(channel, ("note", "nothing"))
    return Way(connection="", channel=channel, form=usual[0], needs=usual[1])  # type: ignore[arg-type]


def send_test(
    unit: Unit, live: LiveProgram, name: str, terms: MessageTerms, member: str, channel: str, to: str, language: str
) -> int:
    """Let a message leave to one address, with made-up facts, whatever was agreed to; answers its id.

    Raises NotFound, RequestRefused for a channel that nobody sends by.
    """
    way = way_of(unit.setting, live, channel)
    if not way.connection:
        raise RequestRefused(
            "no_channel", f"no connection sends by {channel!r}: add one, or see `stampcard connection list`"
        )
    unit.look(member)
    person = unit.members.get(member)
    if person is None or not person.is_there:
        raise NotFound("member", member)
    says = {**sample_of(live, terms, unit.now), "to": to, **({"language": language} if language else {})}
    one = Planned(
        program=live.name,
        name=name,
        member=member,
        channel=channel,
        connection=way.connection,
        purpose=terms.purpose,
        occasion=f"test:{unit.setting.numbering.next(unit.now)}",
        due_at=unit.now,
        until=unit.now + timedelta(hours=1),
        says=says,
    )
    setting = unit.setting
    (id_,) = add_messages(
        unit.connection, setting.merchant, setting.sealer, setting.numbering, [one], unit.now, test=True
    )
    return id_


class Estimate(Value, frozen=True):
    """What sending a message would come to: whom it is for, how many could get it by each channel, and why others not.

    `parts`: of texts, as the first of them is long; `cost` in the program's currency, where the settings say what a part does.
    """

    audience: int = 0
    reached: Mapping[str, int] = {}
    dropped: Mapping[str, int] = {}
    parts: int = 0
    cost: Decimal | None = None

    def and_(self, more: Estimate) -> Estimate:
        """Both together."""
        costs = [one for one in (self.cost, more.cost) if one is not None]
        return Estimate(
            audience=self.audience + more.audience,
            reached=dict(Counter(self.reached) + Counter(more.reached)),
            dropped=dict(Counter(self.dropped) + Counter(more.dropped)),
            parts=self.parts + more.parts,
            cost=sum(costs, Decimal(0)) if costs else None,
        )


def estimate(
    connection: Connection,
    setting: Setting,
    now: datetime,
    live: LiveProgram,
    name: str,
    prices: Mapping[str, Decimal],
    after: str,
    limit: int,
) -> tuple[int, str, Estimate]:
    """What the next members behind `after` would come to; nothing is written. `prices`: connection → what a part costs."""
    terms = live.program.messages[name]
    today = now.astimezone(live.program.zone).date()
    due = _audience(terms)(connection, Look(setting.merchant, live, today, today, now, after, limit))
    if not due:
        return 0, after, Estimate()
    unit = Unit(connection, setting, now)
    members = sorted({one.member for one in due})
    unit.look(*members)
    said = load_consents(connection, setting.merchant, members, setting.sealer, evidence=False)
    references = load_identities_of(connection, setting.merchant, members)
    reached, dropped, audience, parts, cost = Counter[str](), Counter[str](), 0, 0, None
    for member in members:
        person = unit.members[member]
        if not is_told(live, person, terms, now) or not wants(
            live, name, person, unit.pasts.get(member, Past()), {}, now, setting.programs.stopped
        ):
            continue
        audience += 1
        why, before = "", reached.total()
        for channel in terms.channels:
            way = way_of(setting, live, channel)
            reference = next(
                (row.reference for row in references.get(member, ()) if row.connection == way.connection), ""
            )
            address = address_of(way, person, reference) if way.connection else ""
            suppressed = load_suppressed(connection, setting.merchant, [reach_print(setting, channel, address)])
            bearing = Bearing(
                channel=channel,
                purpose=terms.purpose,
                address=address,
                consents={key: one.state for key, one in current(said.get(member, ())).items()},
                suppressed=next(iter(suppressed.values()), ""),
                fetched=way.kept,
            )
            answer = permit(bearing, now)
            if isinstance(answer, Drop):
                why = "no_channel" if not way.connection else answer.why
                continue
            reached[channel] += 1
            if way.form == "text":
                count = _parts(unit, live, name, terms, person, way)
                parts += count
                price = prices.get(way.connection)
                cost = (cost or Decimal(0)) + price * count if price is not None else cost
            if terms.deliver != "all":
                break
        if why and reached.total() == before:
            dropped[why] += 1
    return (
        len(due),
        due[-1].place,
        Estimate(audience=audience, reached=dict(reached), dropped=dict(dropped), parts=parts, cost=cost),
    )


def _parts(unit: Unit, live: LiveProgram, name: str, terms: MessageTerms, person: Member, way: Way) -> int:
    stored = _imagined(live, name, terms, person.id, way, sample_of(live, terms, unit.now), unit.now)
    return parts_of(written_out(unit, live, terms, stored, person, way, "").text)


def mailing_name(program: str, message: str, mailing: str) -> str:
    """What the job is called that writes a message down for everybody."""
    return f"{MAILING}{program}:{message}:{mailing}"


def mailing_of(job: str) -> tuple[str, str, str]:
    """Program, message and the mailing's own name, of the name of its job."""
    _, program, message, mailing = job.split(":", 3)
    return program, message, mailing


def _audience(terms: MessageTerms) -> Callable[[Connection, Look], list[Due]]:
    return customers if terms.invites else everybody


def mail(
    connection: Connection,
    setting: Setting,
    now: datetime,
    live: LiveProgram,
    name: str,
    mailing: str,
    after: str,
    limit: int,
) -> tuple[int, str, list[Change]]:
    """Write a message down for the next members behind `after` whom it is for; answers as a step of a long job does."""
    check_revision(connection, setting)
    if name not in live.program.messages:
        return 0, after, []
    today = now.astimezone(live.program.zone).date()
    terms = live.program.messages[name]
    due = _audience(terms)(connection, Look(setting.merchant, live, today, today, now, after, limit))
    if not due:
        return 0, after, []
    unit = Unit(connection, setting, now)
    unit.look(*sorted({one.member for one in due}))
    wanted: list[Planned] = []
    for one in due:
        person = unit.members.get(one.member)
        if person is None or not is_told(live, person, terms, now):
            continue
        if wants(live, name, person, unit.pasts.get(one.member, Past()), {}, now):
            of = Happening(member=one.member, program=live.name, event=BY_HAND, key=f"{BY_HAND}:{one.member}:{mailing}")
            wanted += planned(live, name, of, setting.ways, now)
    write_down(unit, wanted)
    return len(due), due[-1].place, []
