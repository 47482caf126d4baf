"""Which rules of a version pay for an event, and why the others do not."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from stampcard.domain.decisions import Reason
from stampcard.domain.members import Member
from stampcard.domain.value import Value, replace
from stampcard.engine.versions import LiveProgram, Matched, Offer
from stampcard.program.amounts import WHOLE, Award
from stampcard.program.campaigns import CONTROL, Campaign
from stampcard.program.conditions import ConditionError, Verdict, value_key
from stampcard.program.model import Program
from stampcard.program.rules import Rule, Who
from stampcard.program.windows import During

_SPACE = Decimal(2**64)


class Occasion(Value, frozen=True):
    """What rules are asked about: who, when, and what conditions read.

    `stopped`: what was switched off when the subject was first decided. `zone`: the member's, `offset`: minutes that the
    shop's clock was ahead of UTC, each where it is known.
    """

    at: datetime
    member: str
    variables: Mapping[str, Any]
    names: Collection[str] = ()
    stopped: Collection[str] = ()
    zone: str = ""
    offset: int | None = None
    lacking: Mapping[str, str] = {}


class Chosen(Value, frozen=True):
    """A rule that pays, and what: its award, or that of the first of its values that fits."""

    offer: Offer
    award: Award


def choose(live: LiveProgram, on: str, occasion: Occasion) -> tuple[list[Chosen], list[Matched]]:
    """The rules for this kind of event that pay, and those that do not, with their reasons."""
    conditions = live.conditions.get(on)
    if conditions is None:
        return [], []
    verdicts, values = conditions.evaluate(occasion.variables)
    chosen: list[Chosen] = []
    refused: list[Matched] = []
    for (true, not_true), verdict in zip(live.verdicts[on], verdicts, strict=True):
        if verdict is False:
            refused.append(not_true)
        elif verdict is not True:
            refused.append(_undecided(live, verdict, true, occasion))
        elif true.offer.plain and not occasion.stopped:
            chosen.append(Chosen(offer=true.offer, award=true.offer.rule.award))
        elif (reason := _refusal(live, true.offer, occasion)) is not None:
            refused.append(Matched(offer=true.offer, reason=reason))
        else:
            award = _award(true.offer.rule, occasion, values)
            if isinstance(award, ConditionError):
                refused.append(_undecided(live, award, true, occasion))
            else:
                chosen.append(Chosen(offer=true.offer, award=award))
    return chosen, refused


def _undecided(live: LiveProgram, error: ConditionError, matched: Matched, occasion: Occasion) -> Matched:
    detail = error.message
    for name, why in occasion.lacking.items():
        if repr(name) in detail:
            detail = f"the fact {name!r} is not known: {why}"
    reason = Reason(
        rule=matched.offer.rule.id, outcome="undecided", code="condition_failed", detail=detail, program=live.name
    )
    return replace(matched, reason=reason, undecided=True)


def _award(rule: Rule, occasion: Occasion, values: Mapping[str, Verdict]) -> Award | ConditionError:
    for index, value in enumerate(rule.values):
        if value.tier is not None and value.tier != occasion.variables.get("member.tier", ""):
            continue
        verdict = values[value_key(rule.id, index)] if value.when is not None else True
        if isinstance(verdict, ConditionError):
            return verdict
        if verdict:
            return value.award
    return rule.award


def _refusal(live: LiveProgram, offer: Offer, occasion: Occasion) -> Reason | None:
    """Why a rule whose condition holds does not pay."""
    rule, program = offer.rule, live.program
    code, detail = "", ""
    if not rule.enabled or f"rule:{live.name}/{rule.id}" in occasion.stopped:
        code = "stopped"
    elif rule.during is not None and not is_open(rule.during, program, occasion):
        code = "not_now"
    elif rule.who is not None and not fits(
        rule.who, f"rule:{live.name}/{rule.id}", occasion.member, occasion.names, occasion.variables
    ):
        code = "not_for_this_member"
    elif offer.campaign is not None:
        code = campaign_refusal(offer.campaign, rule.campaign, live, rule.variant, occasion)
        detail = f"campaign {rule.campaign}"
    if not code:
        return None
    return Reason(rule=rule.id, outcome="not_matched", code=code, detail=detail, program=live.name)


def campaign_refusal(campaign: Campaign, name: str, live: LiveProgram, variant: str, occasion: Occasion) -> str:
    """Why a campaign does not let what belongs to it, or to its variant, be had; nothing if it does."""
    salt = f"campaign:{live.name}/{name}"
    if not campaign.enabled or salt in occasion.stopped:
        return "stopped"
    if campaign.during is not None and not is_open(campaign.during, live.program, occasion):
        return "not_now"
    if campaign.who is not None and not fits(campaign.who, salt, occasion.member, occasion.names, occasion.variables):
        return "not_for_this_member"
    group = group_of(campaign, salt, occasion.member)
    if group == CONTROL:
        return "control_group"
    return "other_variant" if variant and variant != group else ""


def is_open(during: During, program: Program, occasion: Occasion) -> bool:
    """Whether the moment lies in it, by the clock that counts."""
    return during.contains(occasion.at.astimezone(_zone(during, program, occasion)))


def _zone(during: During, program: Program, occasion: Occasion) -> tzinfo:
    if during.zone == "shop" and occasion.offset is not None:
        return timezone(timedelta(minutes=occasion.offset))
    if during.zone == "member" and occasion.zone:
        try:
            return ZoneInfo(occasion.zone)
        except (KeyError, ValueError, OSError):
            return program.zone
    return program.zone


def fits(who: Who, salt: str, member: str, names: Collection[str], seen: Mapping[str, Any] | None = None) -> bool:
    """Whether a member is among those whom something is for; `salt` makes the shares of different things differ.

    `seen`: the member's tier and segments as conditions read them; without it those do not matter.
    """
    if seen is not None and who.tiers and seen.get("member.tier", "") not in who.tiers:
        return False
    if seen is not None and who.segments and not set(who.segments) & set(seen.get("member.segments", ())):
        return False
    if who.members and member not in who.members and not any(name in who.members for name in names):
        return False
    return who.share is None or place_of(f"who:{salt}", member) < who.share


def group_of(campaign: Campaign, salt: str, member: str) -> str:
    """A member's variant of a campaign, "control", or nothing: the same for ever."""
    place = place_of(salt, member)
    if campaign.control is not None and place >= WHOLE - campaign.control:
        return CONTROL
    for name, share in campaign.variants.items():
        place -= share or 0
        if place < 0:
            return name
    return ""


def place_of(salt: str, member: str) -> Decimal:
    """A place in 0 … 100 that looks random and never changes."""
    digest = hashlib.sha256(f"{salt}\0{member}".encode()).digest()
    return Decimal(int.from_bytes(digest[:8], "big")) / _SPACE * WHOLE


def barred(live: LiveProgram, member: Member, at: datetime) -> str:
    """Why a member earns nothing in a program at a moment, or nothing."""
    if member.held is not None:
        return "on_hold"
    return closed_to(live, at, member.id, member.names) or not_taking_part(live, member, at)


def not_taking_part(live: LiveProgram, member: Member, at: datetime | None = None) -> str:
    """Why a member does not take part in a program, by now or at a moment; nothing for who does, confirmed or not."""
    state, how = member.states.get(live.name), live.program.enrolment.how
    if state == "frozen":
        return "membership_frozen"
    if state in {"closed", "left"}:
        return "membership_closed"
    if how == "automatic":
        return ""
    since = member.joined.get(live.name)
    # With a first purchase the order itself makes the member.
    late = at is not None and since is not None and at < since and how != "first purchase"
    return "not_enrolled" if live.name not in member.programs or late else ""


def not_redeeming(live: LiveProgram, member: Member) -> str:
    """Why a member redeems nothing in a program although it is open, or nothing."""
    unconfirmed = member.states.get(live.name) == "unconfirmed"
    return "not_confirmed" if unconfirmed else not_taking_part(live, member)


def closed_to(live: LiveProgram, at: datetime, member: str, names: Collection[str]) -> str:
    """Why a program earns a member nothing at that moment, or nothing: it is open."""
    program = live.program
    if program.state in {"draft", "ended"}:
        return program.state
    ending = program.ending if program.state == "ending" else None
    if ending is not None and at.astimezone(program.zone).date() > ending.last_earn:
        return "ended"
    if program.state == "live" and program.audience is None:
        return ""
    who = program.audience
    if program.state == "test" and who is not None:
        who = who.model_copy(update={"share": None})
    return "" if who is None or fits(who, f"program:{live.name}", member, names) else "not_in_audience"
