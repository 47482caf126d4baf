"""What people do behind the links of messages: end them, choose, confirm, answer a question."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from stampcard.applying import enrolling
from stampcard.applying.consenting import counts_as
from stampcard.applying.hearing import say, withdraw
from stampcard.applying.locking import lock_member
from stampcard.applying.messaging import address_of, reach_print, terms_of
from stampcard.applying.requests import record_of
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.clock import to_micros
from stampcard.domain.commands import OWN
from stampcard.domain.consents import Consent, current
from stampcard.domain.events import CustomEvent
from stampcard.domain.members import Member
from stampcard.domain.messages import TRANSACTIONAL
from stampcard.domain.value import Value
from stampcard.engine.tokens import Purpose, is_genuine, message_in
from stampcard.engine.versions import LiveProgram
from stampcard.errors import Conflict, NotFound, RequestRefused
from stampcard.program.events import ANSWERED, NEWSLETTER
from stampcard.program.messages import MessageTerms
from stampcard.program.occasions import CONSENT_ASKED, MEMBERSHIP_ASKED
from stampcard.storage.consenting import load_consents
from stampcard.storage.loading import load_identities_of, load_members, standing_for
from stampcard.storage.messages import StoredMessage, about_of, change, load_messages, mark
from stampcard.storage.rows import seal_object
from stampcard.storage.tables import message

#: The highest score.
MOST_SCORE = 10
#: Characters of an answer that are kept.
LONGEST_ANSWER = 2000


class Opened(Value, frozen=True):
    """What a link opens: a message, whose it was, and what its program says of it. Nobody is there any more who was erased."""

    stored: StoredMessage
    live: LiveProgram | None
    terms: MessageTerms | None
    member: Member | None


def opened(connection: Connection, setting: Setting, purpose: Purpose, token: str, now: datetime) -> Opened | None:
    """The message of a link, if we made it for this; whoever was merged is who they are now."""
    id_ = message_in(token)
    if id_ is None or not is_genuine(setting.sealer, setting.merchant, purpose, token):
        return None
    stored = load_messages(connection, setting.merchant, [id_], setting.sealer, lock=False).get(id_)
    if stored is None:
        return None
    live = next((live for live in setting.programs.current(now) if live.name == stored.program), None)
    standing = standing_for(connection, setting.merchant, [stored.member]).get(stored.member)
    people = load_members(
        connection, setting.merchant, [standing] if standing else [], setting.sealer, attributes=True, lock=False
    )
    return Opened(
        stored=stored,
        live=live,
        terms=terms_of(live, stored.name) if live is not None else None,
        member=people.get(standing or ""),
    )


def unsubscribe(unit: Unit, member: str, of: StoredMessage, source: str) -> None:
    """End messages of this purpose by this channel."""
    lock_member(unit, member)
    withdraw(unit, member, of.channel, [of.purpose], unit.now, source, _evidence(of))
    mark(unit.connection, unit.setting.merchant, of, "unsubscribed", unit.now)


def subscribe(unit: Unit, member: str, of: StoredMessage, source: str, ip: str) -> None:
    """Take that back."""
    lock_member(unit, member)
    say(unit, member, of.channel, of.purpose, "given", unit.now, source, _evidence(of), ip)


def preferences(
    connection: Connection, setting: Setting, live: LiveProgram, member: str
) -> dict[tuple[str, str], bool]:
    """(channel, purpose) → whether the member gets it, of all that the program sends or that they ever spoke of."""
    said = load_consents(connection, setting.merchant, [member], setting.sealer, evidence=False).get(member, [])
    states = {(one.channel, one.purpose): one.state for one in current(said).values()}
    sent = {
        (channel, terms.purpose)
        for terms in live.program.messages.values()
        if not terms.is_asked
        for channel in terms.channels
    }
    return {
        pair: states.get(pair) == "given"
        if pair[1] != TRANSACTIONAL
        else states.get(pair) not in {"refused", "withdrawn"}
        for pair in sorted(sent | states.keys())
    }


def choose(
    unit: Unit, member: str, wanted: Mapping[tuple[str, str], bool], of: StoredMessage, source: str, ip: str
) -> None:
    """Let a member get just this; what is as it was is not said once more. `of`: the message that led to the choice."""
    lock_member(unit, member, attributes=True)
    came_by = of.channel if went_to_them(unit, member, of) else ""
    known = load_consents(unit.connection, unit.setting.merchant, [member], unit.setting.sealer, evidence=False)
    states = {(one.channel, one.purpose): one.state for one in current(known.get(member, ())).values()}
    for (channel, purpose), wants in wanted.items():
        before = states.get((channel, purpose))
        if wants:
            yes = Consent(channel=channel, purpose=purpose, state="given", at=unit.now, recorded_at=unit.now)
            state = counts_as(unit, member, yes, before, confirmed=channel == came_by)
            say(unit, member, channel, purpose, state, unit.now, source, ip=ip)
        elif before == "given" or (before is None and purpose == TRANSACTIONAL):
            say(unit, member, channel, purpose, "withdrawn", unit.now, source, ip=ip)
        elif before in {None, "pending"}:
            say(unit, member, channel, purpose, "refused", unit.now, source, ip=ip)


def confirm(unit: Unit, member: str, of: Opened, source: str, ip: str) -> None:
    """Confirm what the message asked; raises Conflict where its time is over, NotFound where it asked nothing."""
    event = of.terms.on.event if of.terms is not None else ""
    if of.live is None or not asks_back(of.terms):
        raise NotFound("link", of.stored.name)
    if unit.now > good_until(of):
        raise Conflict("link_over", "the time to confirm is over: ask once more")
    if event != CONSENT_ASKED:
        invited = of.terms is not None and of.terms.invites
        try:
            (enrolling.accept if invited else enrolling.confirm)(unit, member, of.live.name)
        except Conflict:
            return  # done before
        # Who confirms by a link in a mail has shown that the address is theirs.
        return
    lock_member(unit, member, attributes=True)
    if not went_to_them(unit, member, of.stored):
        raise Conflict("link_over", "the address is another by now: ask once more")
    channel, purpose = str(of.stored.says.get("channel", "")), str(of.stored.says.get("purpose", ""))
    stored = load_consents(unit.connection, unit.setting.merchant, [member], unit.setting.sealer, evidence=True)
    asked = current(stored.get(member, ())).get(f"{channel}.{purpose}")
    if asked is not None and asked.state == "pending":
        say(unit, member, channel, purpose, "given", unit.now, source, _evidence(of.stored), ip)
        if (channel, purpose) == ("email", "marketing"):
            _subscribed(unit, member, asked.source)


def went_to_them(unit: Unit, member: str, of: StoredMessage) -> bool:
    """Whether a message went to an address that is still theirs; only then its link shows whose that is."""
    setting = unit.setting
    known = load_identities_of(unit.connection, setting.merchant, [member]).get(member, ())
    reference = next((row.reference for row in known if row.connection == of.connection), "")
    way = next((way for way in setting.ways.get(of.channel, ()) if way.connection == of.connection), None)
    if way is None:
        return False
    there = reach_print(setting, of.channel, address_of(way, unit.members[member], reference))
    sent = select(message.c.to_print).where(message.c.merchant == setting.merchant, message.c.id == of.id)
    return unit.connection.execute(sent).scalar() == there


def _subscribed(unit: Unit, member: str, source: str) -> None:
    """They have subscribed to the newsletter; told as the shop does where it was said, so that it counts once."""
    known = load_identities_of(unit.connection, unit.setting.merchant, [member]).get(member, ())
    source, customer = next(
        ((row.connection, row.reference) for row in known if row.connection == source), (OWN, member)
    )
    event = CustomEvent(name=NEWSLETTER, customer=customer, key="", occurred_at=unit.now)
    record_of(unit, member, event, source=source)


def asks_back(terms: MessageTerms | None) -> bool:
    """Whether a message has a link to say yes by: to messages, to taking part, or to an invitation."""
    return terms is not None and (terms.invites or terms.on.event in {CONSENT_ASKED, MEMBERSHIP_ASKED})


def good_until(of: Opened) -> datetime:
    """Until when a link to say yes by is good."""
    if of.terms is not None and of.terms.invites:
        return of.stored.created_at + timedelta(days=of.terms.keep.count)
    days = of.live.program.sending.confirm_within.count if of.live is not None else 7
    return of.stored.created_at + timedelta(days=days)


class Reply(Value, frozen=True):
    """What somebody answered."""

    score: int | None = None
    choice: str = ""
    text: str = ""


def check_reply(terms: MessageTerms, reply: Reply) -> None:
    """Raise RequestRefused for what is no answer to the question."""
    question = terms.question
    if question is None:
        raise NotFound("question", "of this message")
    if question.kind == "score" and (reply.score is None or not 0 <= reply.score <= MOST_SCORE):
        raise RequestRefused("no_answer", f"a score is a number of 0 to {MOST_SCORE}")
    if question.kind == "choice" and reply.choice not in question.choices:
        raise RequestRefused("no_answer", f"one of {', '.join(question.choices)}")
    if question.kind == "text" and not reply.text.strip():
        raise RequestRefused("no_answer", "some words")


def answer(unit: Unit, member: str, of: Opened, reply: Reply) -> bool:
    """Keep an answer, once, and let rules pay for it; False where it was answered before."""
    stored, merchant = of.stored, unit.setting.merchant
    lock_member(unit, member)
    known = select(message.c.answered_at).where(message.c.merchant == merchant, message.c.id == stored.id)
    if unit.connection.execute(known.with_for_update()).scalar() is not None:
        return False
    kept = {"text": reply.text.strip()[:LONGEST_ANSWER]} if reply.text.strip() else None
    change(
        unit.connection,
        merchant,
        stored.id,
        answered_at=to_micros(unit.now),
        score=reply.score,
        choice=reply.choice,
        answer_sealed=seal_object(unit.setting.sealer, kept, about_of(merchant, stored.id)) if kept else None,
    )
    facts = {"score": reply.score} if reply.score is not None else {}
    data = {"message": stored.name, **facts, **({"choice": reply.choice} if reply.choice else {})}
    record_of(
        unit,
        member,
        CustomEvent(name=ANSWERED, customer=member, key=f"message:{stored.id}", occurred_at=unit.now, data=data),
    )
    return True


def _evidence(of: StoredMessage) -> str:
    return f"message {of.name} of {of.created_at:%Y-%m-%d}"
