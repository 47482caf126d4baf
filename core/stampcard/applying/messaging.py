"""Messages that leave: whether each may is decided in the transaction that marks it, under its member's lock."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select

from stampcard.applying.addressing import email_print
from stampcard.applying.freshening import freshened
from stampcard.applying.passes import PAGE, number_for_pass
from stampcard.applying.setting import Setting, check_revision
from stampcard.applying.unit import Unit
from stampcard.clock import to_micros
from stampcard.domain.addresses import normal_phone
from stampcard.domain.consents import ConsentState, current
from stampcard.domain.members import Member
from stampcard.domain.messages import TRANSACTIONAL, Message
from stampcard.domain.value import Value, replace
from stampcard.domain.zones import zones_of
from stampcard.engine.announcing import Happening, Planned, Way, connection_for, is_told, next_channel, planned
from stampcard.engine.permitting import Bearing, Drop, Leave, Sent, Wait, permit
from stampcard.engine.rendering import render, values_of
from stampcard.engine.tokens import LINK as LINKED
from stampcard.engine.tokens import card_token, new_link, token_of
from stampcard.engine.versions import LiveProgram
from stampcard.errors import RequestRefused, TextFailed
from stampcard.program.messages import MessageTerms
from stampcard.program.occasions import LINK_ASKED, Occasion
from stampcard.program.texts import direction_of
from stampcard.program.windows import Hours, read_hours
from stampcard.storage import loading, saving
from stampcard.storage.consenting import load_consents
from stampcard.storage.contacts import by_prints
from stampcard.storage.messages import (
    StoredMessage,
    about_of,
    add_messages,
    change,
    drop_lost,
    key_of,
    known_occasions,
    let_go,
    load_messages,
    load_sent,
    load_suppressed,
    mark,
    postpone,
    settle_command,
)
from stampcard.storage.passes import reachable
from stampcard.storage.rows import seal_object
from stampcard.storage.switching import ALL
from stampcard.storage.tables import message

#: The longest window of a cap.
LONGEST = timedelta(days=30)
#: Hours in which nothing leaves by a channel that disturbs people, unless a program says otherwise.
NIGHT = "21:00-08:00"
#: Messages that no program has to write: answers, and the link that somebody asked for.
LINK = "link"
SERVICES = frozenset({LINK, "stopped", "started", "help", "balance", "rewards"})


class Departing(Value, frozen=True):
    """A message that may leave now, written out."""

    stored: StoredMessage
    message: Message


def depart(
    connection: Connection, setting: Setting, name: str, way: Way, ids: Collection[int], now: datetime
) -> dict[int, Departing]:
    """Decide which of these messages of one channel leave now, mark them, and write them out; raises Stale.

    All others wait on, or are dropped with the reason. Whoever calls this sends what it answers at once, and nothing else.
    """
    check_revision(connection, setting)
    seen = load_messages(connection, setting.merchant, ids, setting.sealer, lock=False)
    members = sorted({one.member for one in seen.values()})
    loading.load_members(connection, setting.merchant, members, setting.sealer, attributes=False, lock=True)
    stored = load_messages(connection, setting.merchant, ids, setting.sealer, lock=True)
    drop_lost(connection, setting.merchant, set(ids) - stored.keys())
    desk = _Desk(connection, setting, name, way, members, now)
    leaving: dict[int, Departing] = {}
    for one in stored.values():
        if one.member not in members:
            continue  # merged meanwhile: whoever they are now is locked the next time
        departing = desk.judged(one)
        if departing is not None:
            leaving[one.id] = departing
    return leaving


class _Desk:
    """What one transaction knows of the members whose messages are to leave by one channel."""

    def __init__(
        self, connection: Connection, setting: Setting, name: str, way: Way, members: Sequence[str], now: datetime
    ) -> None:
        self._connection, self._setting, self._name, self._way, self._now = connection, setting, name, way, now
        self.unit = Unit(connection, setting, now)
        self.unit.look(*members)
        merchant = setting.merchant
        said = load_consents(connection, merchant, members, setting.sealer, evidence=False)
        self._consents: dict[str, dict[str, ConsentState]] = {
            member: {name: one.state for name, one in current(of).items()} for member, of in said.items()
        }
        self._references = (
            reachable(connection, merchant, name, members)
            if name in setting.phones
            else {
                member: next((row.reference for row in rows if row.connection == name), "")
                for member, rows in loading.load_identities_of(connection, merchant, members).items()
            }
        )
        prints = {self.print_of(person) for person in self.unit.members.values()}
        self._suppressed = load_suppressed(connection, merchant, prints)
        self._sent = load_sent(connection, merchant, members, now - LONGEST)
        self._live = {live.name: live for live in setting.programs.current(now)}

    def address_of(self, person: Member) -> str:
        """Where a message of this channel reaches a member; nothing where it cannot."""
        return address_of(self._way, person, self._references.get(person.id, ""))

    def print_of(self, person: Member) -> str:
        """What the address is found by."""
        return reach_print(self._setting, self._way.channel, self.address_of(person))

    def judged(self, one: StoredMessage) -> Departing | None:
        """The message, marked and written out, if it may leave now."""
        if one.state != "waiting":
            # What became of it was told meanwhile: it left, or never will.
            settle_command(self._connection, self._setting.merchant, one, "dropped")
            return None
        live, person = self._live.get(one.program), self.unit.members.get(one.member)
        terms = terms_of(live, one.name) if live is not None else None
        if live is None or terms is None or person is None or not terms.enabled:
            self._drop(one, live, "gone")
            return None
        fresh = freshened(self.unit, live, terms, one)
        permission = permit(
            self._bearing(one, live, terms, person, stale="" if fresh is not None else "no_longer"), self._now
        )
        match permission:
            case Drop(why=why):
                self._drop(one, live, why)
            case Wait(until=until, why=why):
                postpone(self._connection, self._setting.merchant, one, until, why)
            case Leave():
                return self._written(replace(one, says=fresh or {}), live, terms, person)
        return None

    def _drop(self, one: StoredMessage, live: LiveProgram | None, code: str) -> None:
        let_go(self._connection, self._setting.merchant, one, self._now, code)
        if code not in {"gone", "no_longer", "erased"}:
            go_on(self._connection, self._setting, live, one, self._now)

    def _bearing(
        self, one: StoredMessage, live: LiveProgram, terms: MessageTerms, person: Member, stale: str
    ) -> Bearing:
        sending, way = live.program.sending, self._way
        address = str(one.says.get("to") or "") if one.is_test else self.address_of(person)
        gone = ""
        if not person.is_there:
            gone = "erased" if person.erased_at is not None else "merged"
        elif not one.is_test and not is_told(live, person, terms, self._now):
            gone = "a_member" if terms.invites and live.name in person.programs else "not_a_member"
        elif live.program.state == "test" and address.casefold() not in map(str.casefold, sending.allow):
            gone = "not_allowed"
        return Bearing(
            channel=way.channel,
            purpose=one.purpose,
            address=address,
            gone=gone,
            consents=self._consents.get(person.id, {}),
            suppressed="" if one.is_test else self._suppressed.get((way.channel, self.print_of(person)), ""),
            stale=stale,
            until=one.until,
            zones=zones_of(person.attributes, live.program.zone),
            quiet=quiet_of(live, way),
            caps=sending.caps,
            sent=() if one.is_test else self._sent.get(person.id, []),
            stopped=is_stopped(self._setting, live, terms, one.name),
            answers=terms.is_asked or one.is_test,
            fetched=way.kept,
        )

    def _written(self, one: StoredMessage, live: LiveProgram, terms: MessageTerms, person: Member) -> Departing | None:
        """The message written out and marked; dropped where its text fails."""
        try:
            message = written_out(self.unit, live, terms, one, person, self._way, self.address_of(person))
        except TextFailed as error:
            mark(self._connection, self._setting.merchant, one, "dropped", self._now, "text_failed", str(error))
            let_go(self._connection, self._setting.merchant, one, self._now, "text_failed")
            return None
        merchant, sealer = self._setting.merchant, self._setting.sealer
        content = {name: getattr(message, name) for name in ("to", "subject", "text", "html", "link")}
        change(
            self._connection,
            merchant,
            one.id,
            state="attempting",
            reason="",
            attempted_at=to_micros(self._now),
            language=message.language,
            to_print=reach_print(self._setting, one.channel, message.to),
            content_sealed=seal_object(sealer, content, about_of(merchant, one.id)),
            keep_until=_kept_until(terms, self._way, self._now),
        )
        sent = Sent(at=self._now, channel=one.channel, purpose=one.purpose)
        self._sent.setdefault(one.member, []).append(sent)
        return Departing(stored=replace(one, state="attempting", attempted_at=self._now), message=message)


def _kept_until(terms: MessageTerms, way: Way, now: datetime) -> int | None:
    return to_micros(now + timedelta(days=terms.keep.count)) if way.kept else None


def terms_of(live: LiveProgram, name: str) -> MessageTerms | None:
    """What a program says of a message; of those that nobody has to write, what we do."""
    known = live.program.messages.get(name)
    if known is not None or name not in SERVICES:
        return known
    return MessageTerms(on=Occasion(event=LINK_ASKED), use=name)


def is_stopped(setting: Setting, live: LiveProgram, terms: MessageTerms, name: str) -> bool:
    """Whether a message is switched off, by itself or with what it belongs to."""
    targets = {f"message:{live.name}/{name}", f"message:{live.name}/{ALL}", f"program:{live.name}"}
    targets |= {f"campaign:{live.name}/{terms.campaign}"} if terms.campaign else set()
    return bool(targets & setting.programs.stopped)


def quiet_of(live: LiveProgram, way: Way) -> Hours | None:
    """The hours in which nothing leaves by a channel."""
    known = live.program.sending.quiet
    if way.channel in known:
        return known[way.channel]
    return read_hours(NIGHT) if way.disturbs else None


def address_of(way: Way, person: Member, reference: str) -> str:
    """Where a channel reaches a member; nothing where it cannot."""
    match way.needs:
        case "email":
            return str(person.attributes.get("email") or "").strip()
        case "phone":
            return normal_phone(str(person.attributes.get("phone") or "")) or ""
        case "reference":
            return reference
    return person.id


def reach_print(setting: Setting, channel: str, address: str) -> str:
    """What an address is found by among those that got something, or get nothing."""
    return setting.sealer.fingerprint(f"reach:{channel}:{normal_phone(address) or address.strip().casefold()}")


def written_out(
    unit: Unit,
    live: LiveProgram,
    terms: MessageTerms,
    one: StoredMessage,
    person: Member,
    way: Way,
    address: str,
) -> Message:
    """A message in the member's language, with its links; raises TextFailed."""
    setting = unit.setting
    balances = {name: wallet.sums.get("active", 0) for (id_, name), wallet in unit.wallets.items() if id_ == person.id}
    base = setting.public_url

    def link(purpose: Any) -> str:
        return f"{base}/{purpose}/{token_of(setting.sealer, setting.merchant, purpose, one.id)}"

    urls: dict[str, str] = {"confirm_url": link("c"), "join_url": link("c"), "question_url": link("q")}
    if one.name == LINK and not one.is_test and one.occasion != PREVIEW:
        # Made as it leaves: the quarter of an hour begins with that, whatever it waited for.
        token, _ = new_link(setting.sealer, setting.merchant, one.member, unit.now)
        urls["link_url"] = f"{live.program.sending.page}#{token}" if live.program.sending.page else f"{base}/me/{token}"
    if one.occasion != PREVIEW and not one.is_test and (number := number_for_pass(unit, live, person.id)):
        urls["card_url"] = f"{base}{PAGE}{card_token(setting.sealer, setting.merchant, number)}"
    if not terms.is_asked:
        urls["preferences_url"] = link("p")
    if not terms.is_transactional:
        urls["unsubscribe_url"] = link("u")
    wanted = str(one.says.get("language") or person.attributes.get("language") or "")
    minutes = {"minutes": LINKED // timedelta(minutes=1)}
    values = {
        **values_of(live, person, balances, unit.now),
        **minutes,
        "items": [dict(one.says)],
        **one.says,
        **urls,
        **_question(live, terms, wanted),
    }
    content = render(live, terms, way.form, wanted, values)
    attributes = person.attributes
    return Message(
        id=str(one.id),
        name=one.name,
        member=one.member,
        to=str(one.says.get("to") or "") if one.is_test else address,
        purpose=one.purpose,
        language=content.language,
        direction=direction_of(content.language),
        subject=content.subject,
        text=content.text,
        html=content.html,
        link=terms.link,
        unsubscribe=urls.get("unsubscribe_url", ""),
        reports=f"{base}/webhooks/{way.connection}",
        until=one.until,
        to_name=" ".join(str(attributes[name]) for name in ("first_name", "last_name") if attributes.get(name)),
    )


def _question(live: LiveProgram, terms: MessageTerms, wanted: str) -> dict[str, str]:
    if terms.question is None:
        return {}
    texts, fallback = terms.question.texts, live.program.sending.language
    main = wanted.partition("-")[0].lower()
    return {"question": texts.get(wanted) or texts.get(main) or texts.get(fallback) or next(iter(texts.values()))}


def go_on(
    connection: Connection, setting: Setting, live: LiveProgram | None, one: StoredMessage, now: datetime
) -> None:
    """Where one channel failed, let the next of those bring the message that are left."""
    if live is None or not one.then or one.name not in live.program.messages or one.is_test:
        return
    channel = next_channel(live, one.then, setting.ways)
    of = Happening(
        member=one.member,
        program=live.name,
        event=live.program.messages[one.name].on.event,
        key=one.occasion,
        asks=one.asks,
        says=one.says,
    )
    (first, *_) = planned(live, one.name, of, setting.ways, now, one.until)
    following = replace(
        first,
        channel=channel,
        connection=connection_for(live, channel, setting.ways),
        due_at=now,
        until=one.until,
        then=one.then[one.then.index(channel) + 1 :],
        gathers=False,
    )
    if key_of(following) not in known_occasions(connection, setting.merchant, [following]):
        add_messages(connection, setting.merchant, setting.sealer, setting.numbering, [following], now)


class Fate(Value, frozen=True):
    """What became of an attempt: a state that was reported, or none for one that is tried again.

    `result`: what the vendor gave back. `parts` and `cost` (in ten-thousandths) of what left.
    """

    stored: StoredMessage
    state: str
    code: str = ""
    detail: str = ""
    result: Mapping[str, Any] = {}
    parts: int = 0
    cost: int = 0
    keeps: bool = False


def settle_messages(connection: Connection, setting: Setting, fates: Sequence[Fate], now: datetime) -> None:
    """Write down what became of messages, in the transaction that settles their commands."""
    live = {live.name: live for live in setting.programs.current(now)}
    stored = load_messages(connection, setting.merchant, [fate.stored.id for fate in fates], setting.sealer, lock=True)
    for fate in fates:
        one = stored.get(fate.stored.id)
        if one is None:
            continue
        if not fate.state:
            # It did not leave: what it took of a cap is free again.
            if one.state in {"attempting", "unknown"}:
                change(
                    connection,
                    setting.merchant,
                    one.id,
                    state="waiting",
                    attempted_at=None,
                    content_sealed=None,
                    reason=fate.code,
                )
            continue
        mark(connection, setting.merchant, one, fate.state, now, fate.code, fate.detail)
        values: dict[str, Any] = {"parts": fate.parts, "cost": fate.cost} if fate.parts else {}
        if fate.result.get("id"):
            values["reference"] = str(fate.result["id"])[:200]
        if not fate.keeps and fate.state != "unknown":
            values["content_sealed"] = None
        if values:
            change(connection, setting.merchant, one.id, **values)
        if fate.state in {"rejected", "failed"}:
            go_on(connection, setting, live.get(one.program), one, now)


def suppress(
    connection: Connection,
    setting: Setting,
    channel: str,
    address: str,
    reason: str,
    at: datetime,
    source: str = "",
    note: str = "",
) -> None:
    """Let an address get nothing more by a channel; the first reason stays."""
    print_ = reach_print(setting, channel, address)
    about = f"suppression:{setting.merchant}:{channel}:{print_}"
    row = {
        "merchant": setting.merchant,
        "channel": channel,
        "print": print_,
        "reason": reason,
        "at": to_micros(at),
        "source": source,
        "note": note,
        "address_sealed": seal_object(setting.sealer, {"address": address}, about),
    }
    saving.insert_new(connection, "suppression", [row])


#: The occasion of a message that is only looked at.
PREVIEW = "preview"
#: What an address of the usual channels looks like, where no connection says it.
_USUAL = {"email": "email", "sms": "phone"}


def hold_back(unit: Unit, channel: str, address: str, note: str, source: str) -> None:
    """Let an address that somebody wrote get nothing more; raises RequestRefused for what is none of that channel."""
    ways = unit.setting.ways.get(channel, ())
    needs = {way.needs for way in ways} if ways else {_USUAL.get(channel, "")}
    if needs == {"phone"} and normal_phone(address) is None:
        raise RequestRefused("no_address", f"{address!r} is no phone number: write it with its country, +49 30 123456")
    if needs == {"email"} and "@" not in address:
        raise RequestRefused("no_address", f"{address!r} is no e-mail address")
    suppress(unit.connection, unit.setting, channel, address, "hand", unit.now, source, note)


#: How many messages that they ask for somebody gets, within an hour and a day: each may cost, and anybody can ask.
MOST_SERVICES = ((timedelta(hours=1), 5), (timedelta(days=1), 20))


def too_many_services(connection: Connection, setting: Setting, member_: str, now: datetime) -> bool:
    """Whether a member has got so many answers and links lately that there is no further one."""
    return any(
        (
            connection.execute(
                select(func.count())
                .select_from(message)
                .where(
                    message.c.merchant == setting.merchant,
                    message.c.member == member_,
                    message.c.name.in_(sorted(SERVICES)),
                    message.c.created_at > to_micros(now - span),
                )
            ).scalar()
            or 0
        )
        >= most
        for span, most in MOST_SERVICES
    )


#: How many members of one address are sent their own link.
MOST_LINKS = 5


def send_link(connection: Connection, setting: Setting, address: str, now: datetime) -> int:
    """Let those members whose address that is get their own link by mail; answers how many those are."""
    print_ = email_print(setting.sealer, address)
    found = by_prints(connection, setting.merchant, "email_print", [print_]).get(print_, ())
    ids = sorted(found)[:MOST_LINKS]
    people = loading.load_members(connection, setting.merchant, ids, setting.sealer, attributes=False, lock=False)
    return send_links(connection, setting, people.values(), "email", now)


def send_links(
    connection: Connection, setting: Setting, people: Collection[Member], channel: str, now: datetime
) -> int:
    """Let these members get their own link by a channel, unless they got many lately; answers how many do."""
    wanted = [
        Planned(
            program=live.name,
            name=LINK,
            member=person.id,
            channel=channel,
            connection=connection_for(live, channel, setting.ways),
            purpose=TRANSACTIONAL,
            occasion=f"link:{person.id}:{setting.numbering.next(now)}",
            due_at=now,
            until=now + LINKED,
            says={},
        )
        for person in people
        if not too_many_services(connection, setting, person.id, now)
        and (live := next((live for live in setting.programs.current(now) if live.name in person.programs), None))
        is not None
    ]
    add_messages(connection, setting.merchant, setting.sealer, setting.numbering, wanted, now)
    return len(wanted)
