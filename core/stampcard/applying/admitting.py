"""People who become members by themselves: whoever is new gets a card, and whoever is known already their own link."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from stampcard.applying.addressing import known_by
from stampcard.applying.concerning import sign_up_keys
from stampcard.applying.consenting import counts_as
from stampcard.applying.enrolling import join_by_request
from stampcard.applying.hearing import say
from stampcard.applying.messaging import MOST_LINKS, send_links
from stampcard.applying.passes import ensure_number
from stampcard.applying.requests import create_member
from stampcard.applying.unit import Unit
from stampcard.domain.consents import Consent
from stampcard.domain.value import Value
from stampcard.engine.matching import closed_to
from stampcard.engine.versions import LiveProgram, Programs
from stampcard.errors import NotFound
from stampcard.program.occasions import MEMBERSHIP_ASKED

#: Where somebody said yes who became a member by themselves.
SOURCE, MARKETING = "join page", "marketing"
#: The attribute that keeps at which branch somebody became a member, where the program declares it.
BRANCH = "branch"


class Applicant(Value, frozen=True):
    """Somebody who wants to become a member. `agrees`: channel → the words beside the tick; `ip`: from where, as evidence."""

    program: str
    email: str = ""
    phone: str = ""
    first_name: str = ""
    language: str = ""
    branch: str = ""
    agrees: Mapping[str, str] = {}
    ip: str = ""


class Admitted(Value, frozen=True):
    """Who is a member now, and the number of their card; both empty for whoever was known before."""

    member: str = ""
    number: str = ""


def closed_for(programs: Programs, live: LiveProgram, now: datetime) -> str:
    """Why nobody can join a program by themselves: ``ended``, or ``closed`` to whoever it does not name; or nothing."""
    if closed_to(live, now, "", ()) == "ended":
        return "ended"
    program = live.program
    named = program.state in {"draft", "test"} or program.audience is not None or program.enrolment.how == "segment"
    return "closed" if named or f"program:{live.name}" in programs.stopped else ""


def admit(unit: Unit, one: Applicant) -> Admitted:
    """Make somebody a member, unless their address is known already.

    Whoever is known takes part from now on, too, and gets their link where we know them to be: it may be anybody who typed that.
    """
    known = known_by(unit.connection, unit.setting, one.phone, one.email, unit.now)
    if known:
        _welcome_back(unit, one, dict(sorted(known.items())[:MOST_LINKS]))
        return Admitted()
    told = {"email": one.email, "phone": one.phone, "first_name": one.first_name, "language": one.language}
    live = _live(unit, one.program)
    if live.program.attributes.get(BRANCH) == "string":
        told[BRANCH] = one.branch
    member = create_member(unit, None, {name: text for name, text in told.items() if text}, one.program)
    number = ensure_number(unit, member)
    for channel, words in one.agrees.items():
        _agree(unit, member, one, channel, words)
    if waits_for_a_yes(live) and not any(
        terms.enabled and terms.on.event == MEMBERSHIP_ASKED for terms in live.program.messages.values()
    ):
        _send_by(unit, "email" if one.email else "sms", [member])
    return Admitted(member=member, number=number)


def waits_for_a_yes(live: LiveProgram) -> bool:
    """Whether new members confirm that they want to take part, at the address that somebody typed."""
    return live.program.enrolment.confirm is not None


def _live(unit: Unit, program: str) -> LiveProgram:
    live = next((live for live in unit.setting.programs.current(unit.now) if live.name == program), None)
    if live is None:
        raise NotFound("program", program)
    return live


def _welcome_back(unit: Unit, one: Applicant, known: Mapping[str, str]) -> None:
    unit.lock(sorted(known), attributes=True)
    here = [id_ for id_ in sorted(known) if id_ in unit.members and unit.members[id_].is_there]
    unit.count(set(sign_up_keys(unit, here, unit.now)))
    for id_ in here:
        join_by_request(unit, id_, one.program)
        ensure_number(unit, id_)
    for channel in ("email", "sms"):
        _send_by(unit, channel, [id_ for id_ in here if known[id_] == channel])


def _send_by(unit: Unit, channel: str, members: Collection[str]) -> None:
    """By e-mail also to whoever is known by phone, where nobody sends texts: to the address that we know of them."""
    people = [unit.members[id_] for id_ in members]
    by = channel if unit.setting.ways.get(channel) else "email"
    send_links(unit.connection, unit.setting, people, by, unit.now)


def _agree(unit: Unit, member: str, one: Applicant, channel: str, words: str) -> None:
    """Keep a yes with its evidence; where the program wants it confirmed, they are asked."""
    yes = Consent(channel=channel, purpose=MARKETING, state="given", at=unit.now, recorded_at=unit.now)
    state = counts_as(unit, member, yes, None, confirmed=False)
    source = f"{SOURCE}, {one.branch}" if one.branch else SOURCE
    say(unit, member, channel, MARKETING, state, unit.now, source, words, one.ip)
