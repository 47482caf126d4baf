"""Which messages follow from what happened to a member: chosen by event, audience and condition."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from stampcard.domain.members import Member
from stampcard.domain.messages import TRANSACTIONAL, Form, Need
from stampcard.domain.value import Value
from stampcard.engine.describing import Past, history_variables, member_variables
from stampcard.engine.matching import Occasion, campaign_refusal, closed_to, fits
from stampcard.engine.versions import LiveProgram
from stampcard.program.history import HISTORY
from stampcard.program.messages import MessageTerms
from stampcard.program.occasions import CONSENT_ASKED, MEMBERSHIP_ENDED

#: States of a membership in which nothing is told.
_SILENT = frozenset({"frozen", "closed", "left"})


class Way(Value, frozen=True):
    """How a connection sends by one channel; see Channel of the plugin API."""

    connection: str
    channel: str
    form: Form = "text"
    needs: Need = "nothing"
    disturbs: bool = False
    kept: bool = False
    hears: bool = False


class Happening(Value, frozen=True):
    """Something that messages may be on, once under its `key`.

    `asks`: what conditions read as ``event.data``. `says`: what texts may name besides. `was`: how many points were missing
    before, of a reward that comes within reach.
    """

    member: str
    program: str
    event: str
    key: str
    asks: Mapping[str, Any] = {}
    says: Mapping[str, Any] = {}
    was: Decimal | None = None


class Planned(Value, frozen=True):
    """One message that is to leave by one channel; `then`: the channels that follow where that one fails.

    Without a `connection` nobody can bring it.
    """

    program: str
    name: str
    member: str
    channel: str
    connection: str
    purpose: str
    occasion: str
    due_at: datetime
    until: datetime | None
    says: Mapping[str, Any]
    asks: Mapping[str, Any] = {}
    then: tuple[str, ...] = ()
    rank: int = 0
    gathers: bool = False
    keep_until: datetime | None = None


def messages_on(live: LiveProgram, event: str) -> Iterator[tuple[str, MessageTerms]]:
    """The messages that are on something that happens, and not on a day."""
    for name, terms in live.program.messages.items():
        if terms.on.event == event and not terms.on.is_dated and terms.enabled:
            yield name, terms


def reminders(live: LiveProgram) -> Iterator[tuple[str, MessageTerms]]:
    """The messages that a day brings."""
    return ((name, terms) for name, terms in live.program.messages.items() if terms.on.is_dated and terms.enabled)


def is_told(live: LiveProgram, person: Member, terms: MessageTerms, now: datetime) -> bool:
    """Whether a program tells somebody this: its members, or those whom it invites or asks for their consent."""
    takes_part, event = live.name in person.programs, terms.on.event
    if not person.is_there or (takes_part and terms.invites):
        return False
    if not takes_part and not terms.invites and event != CONSENT_ASKED:
        return False
    if person.states.get(live.name) in _SILENT and event not in {MEMBERSHIP_ENDED, CONSENT_ASKED}:
        return False
    closed = closed_to(live, now, person.id, person.names)
    return not closed or (closed == "ended" and live.program.state == "ending")


def wants(
    live: LiveProgram,
    name: str,
    person: Member,
    past: Past,
    asks: Mapping[str, Any],
    now: datetime,
    stopped: Collection[str] = (),
) -> bool:
    """Whether a message is for this member now: its audience, its campaign and its condition."""
    terms = live.program.messages[name]
    conditions = live.message_conditions[terms.on.asked_as]
    seen = member_variables(person, conditions.reads, now, live.name)
    if conditions.reads & HISTORY.keys():
        seen |= history_variables(past, live.program, conditions.reads, now)
    seen |= {"event.data": dict(asks), "now": now}
    if terms.who is not None and not fits(terms.who, f"message:{live.name}/{name}", person.id, person.names, seen):
        return False
    campaign = live.program.campaigns.get(terms.campaign)
    if campaign is not None:
        asked = Occasion(at=now, member=person.id, variables=seen, names=person.names, stopped=stopped)
        if campaign_refusal(campaign, terms.campaign, live, "", asked):
            return False
    verdicts, _ = conditions.evaluate(seen)
    return verdicts[conditions.ids.index(name)] is True


def planned(
    live: LiveProgram,
    name: str,
    of: Happening,
    ways: Mapping[str, tuple[Way, ...]],
    due_at: datetime,
    until: datetime | None = None,
) -> tuple[Planned, ...]:
    """A message as it is to leave: by every channel, or by the first that anybody can bring it by.

    Whether a channel may be used is asked by that channel alone: only there it is shown whose the address is.
    """
    terms = live.program.messages[name]
    if of.event == CONSENT_ASKED:
        terms = terms.model_copy(update={"channels": (str(of.asks["channel"]),)})
    late = due_at + (terms.digest or timedelta(0)) + terms.late if terms.late is not None else None
    ends = [moment for moment in (until, late) if moment is not None]
    channels = terms.channels if terms.deliver == "all" else (next_channel(live, terms.channels, ways),)
    return tuple(
        Planned(
            program=live.name,
            name=name,
            member=of.member,
            channel=channel,
            connection=connection_for(live, channel, ways),
            purpose=TRANSACTIONAL if terms.is_asked else terms.purpose,
            occasion=of.key,
            due_at=due_at + (terms.digest or timedelta(0)),
            until=min(ends) if ends else None,
            says=of.says,
            asks=of.asks,
            then=terms.channels[terms.channels.index(channel) + 1 :] if terms.deliver != "all" else (),
            rank=0 if terms.is_asked else 1 if terms.is_transactional else 2,
            gathers=terms.digest is not None,
        )
        for channel in channels
    )


def next_channel(live: LiveProgram, channels: Iterable[str], ways: Mapping[str, tuple[Way, ...]]) -> str:
    """The first channel by which somebody can send, or the first of all."""
    known = list(channels)
    return next((one for one in known if connection_for(live, one, ways)), known[0])


def connection_for(live: LiveProgram, channel: str, ways: Mapping[str, tuple[Way, ...]]) -> str:
    """The connection that a channel goes by: the one that the program names, else the first."""
    able = [way.connection for way in ways.get(channel, ())]
    named = live.program.sending.channels.get(channel)
    if named is not None:
        return named  # also where it does not stand just now: what is for it waits
    return able[0] if able else ""
