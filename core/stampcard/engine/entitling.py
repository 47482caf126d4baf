"""Perks of one member: who has which, and whether it can be used now; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from stampcard.domain.members import Member
from stampcard.domain.perks import Entitlement, Hand, PerkUse
from stampcard.domain.value import Value, replace
from stampcard.engine.counting import period_of
from stampcard.engine.dating import expiry_of
from stampcard.engine.describing import Past, history_variables, member_variables
from stampcard.engine.gauging import tier_name
from stampcard.engine.matching import Occasion, is_open, not_redeeming
from stampcard.engine.rewarding import CLOSED, redeeming_closed
from stampcard.engine.versions import LiveProgram
from stampcard.program.conditions import ConditionError, Verdict
from stampcard.program.perks import Perk


class Met(NamedTuple):
    """Whether a member fulfils what a perk takes; `error`: why that could not be decided, so that nothing changes."""

    perk: str
    met: bool
    error: str = ""


def meet(live: LiveProgram, member: Member, past: Past, now: datetime) -> list[Met]:
    """Every perk of a program; what cannot be decided is as it was."""
    if not live.program.perks:
        return []
    reads = live.perk_conditions.reads
    variables = member_variables(member, reads, now, live.name)
    if any(name.startswith("history.") for name in reads):
        variables |= history_variables(past, live.program, reads, now)
    verdicts, _ = live.perk_conditions.evaluate({**variables, "now": now})
    by_name = dict(zip(live.perk_conditions.ids, verdicts, strict=True))
    known, found = member.perks.get(live.name, {}), []
    for name, perk in live.program.perks.items():
        verdict: Verdict = _is_listed(perk, member, live.name, now) and by_name.get(name, True)
        if isinstance(verdict, ConditionError):
            found.append(Met(name, name in known and known[name].met_since is not None, verdict.message))
        else:
            found.append(Met(name, bool(verdict)))
    return found


def _is_listed(perk: Perk, member: Member, program: str, now: datetime) -> bool:
    """Whether the member is in one of the tiers, segments or plans; where none is named the condition alone decides."""
    if not (perk.tiers or perk.segments or perk.plans):
        return perk.when is not None
    plans = member.plans.get(program, {})
    if any(name in plans and plans[name].active_at(now) for name in perk.plans):
        return True
    inside = member.segments.get(program, frozenset())
    return tier_name(member, program) in perk.tiers or not inside.isdisjoint(perk.segments)


def barred(live: LiveProgram, member: Member, now: datetime) -> str:
    """Why a member has no perks of a program whatever they fulfil, or nothing."""
    return not_redeeming(live, member) or redeeming_closed(live, now)


def entitled(
    live: LiveProgram, known: Entitlement | None, met: Met, now: datetime, *, is_barred: bool = False
) -> tuple[Entitlement, str]:
    """A perk as it stands now, and why it came or went if it did: fulfilled, ended, hand, program, membership."""
    perk = live.program.perks.get(met.perk)
    known = known or Entitlement(program=live.name, name=met.perk)
    over = known.hand_until is not None and known.hand_until <= now
    one = replace(known, hand="", hand_until=None, reason="") if over else known
    one = replace(one, barred=is_barred)
    if not met.met or perk is None:
        one = replace(one, met_since=None, met_until=None)
    elif one.met_since is None:
        until = expiry_of(perk.valid, live.program.zone, now.astimezone(live.program.zone).date())
        one = replace(one, met_since=now, met_until=until)
    one = replace(one, hand="", hand_until=None, reason="") if perk is None else one
    has = one.has_at(now)
    one = replace(one, has=has, tag=perk.tag if perk is not None and has else "")
    if has is known.has:
        return one, ""
    return replace(one, since=now if has else None), _why(one, known, now, gone=perk is None)


def _why(one: Entitlement, known: Entitlement, now: datetime, *, gone: bool) -> str:
    if gone:
        return "program"
    if one.barred != known.barred:
        return "membership"
    if one.hand:
        return "hand"
    ended = (known.hand_until if known.hand else None, known.met_until)
    return "ended" if any(end is not None and end <= now for end in ended) else "fulfilled"


def by_hand(known: Entitlement, hand: Hand, until: datetime | None, reason: str) -> Entitlement:
    """A perk that somebody gave or took, or (nothing) left to the program again."""
    return replace(known, hand=hand, hand_until=until if hand else None, reason=reason if hand else "")


class PerkStanding(Value, frozen=True):
    """A perk for one member now: whether it can be used, and if not, why (`code`, `detail`).

    `left`: how often it can be used within `period`, None without a limit. `error`: why its condition could not be decided.
    """

    live: LiveProgram
    name: str
    one: Entitlement
    has: bool
    used: int
    left: int | None
    period: str
    code: str = ""
    detail: str = ""
    error: str = ""

    @property
    def perk(self) -> Perk:
        """As the program says it."""
        return self.live.program.perks[self.name]


def period_now(live: LiveProgram, perk: Perk, now: datetime) -> str:
    """In which period a use counts."""
    return period_of(perk.uses.per, now.astimezone(live.program.zone).date()) if perk.uses is not None else ""


def stand(
    live: LiveProgram,
    member: Member,
    one: Entitlement,
    uses: Iterable[PerkUse],
    now: datetime,
    stopped: Collection[str] = (),
    error: str = "",
) -> PerkStanding:
    """How a perk stands for a member; `uses` are the member's of it."""
    perk = live.program.perks[one.name]
    period = period_now(live, perk, now)
    counting = [use for use in uses if use.cancelled_at is None]
    used = sum(period_now(live, perk, use.used_at) == period for use in counting)
    left = max(0, perk.uses.most - used) if perk.uses is not None else None
    code, detail = _refusal(live, member, one, left, now, stopped)
    return PerkStanding(
        live=live, name=one.name, one=one, has=one.has_at(now), used=used, left=left, period=period,
        code=code, detail=detail, error=error,
    )  # fmt: skip


def _refusal(
    live: LiveProgram, member: Member, one: Entitlement, left: int | None, now: datetime, stopped: Collection[str]
) -> tuple[str, str]:
    """Why a member cannot use a perk now, or nothing."""
    if member.held is not None:
        return "on_hold", "the member is on hold"
    if code := barred(live, member, now):
        return code, CLOSED[code]
    if f"program:{live.name}" in stopped:
        return "stopped", f"the program {live.name} was switched off"
    if not one.has_at(now):
        why = f": {one.reason}" if one.hand == "taken" and one.reason else ""
        return "not_theirs", f"the member does not have {one.name}{why}"
    return _refusal_of_use(live, member, one.name, left, now)


def _refusal_of_use(live: LiveProgram, member: Member, name: str, left: int | None, now: datetime) -> tuple[str, str]:
    """Why whoever has a perk cannot use it now, or nothing."""
    perk, zone = live.program.perks[name], str(member.attributes.get("timezone") or "")
    occasion = Occasion(at=now, member=member.id, variables={}, zone=zone)
    if perk.during is not None and not is_open(perk.during, live.program, occasion):
        return "not_now", f"{name} cannot be used at this time"
    if left == 0:
        return "used_up", f"nothing is left of {name}: it can be used {perk.uses}"
    return "", ""


def used(standing: PerkStanding, key: str, now: datetime, source: str, note: str) -> PerkUse:
    """One more use."""
    return PerkUse(
        program=standing.live.name,
        name=standing.name,
        key=key,
        used_at=now,
        source=source,
        note=note,
    )


def tags_of(perks: Mapping[str, Mapping[str, Entitlement]], now: datetime) -> frozenset[str]:
    """What a member is to be marked with."""
    return frozenset(one.tag for of in perks.values() for one in of.values() if one.tag and one.has_at(now))
