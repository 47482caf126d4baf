"""Whether a message may leave now: consent, suppression, night, frequency, and whether it still says something."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from stampcard.domain.consents import ConsentState
from stampcard.domain.messages import TRANSACTIONAL
from stampcard.domain.value import Value
from stampcard.program.messages import MessageCap
from stampcard.program.windows import Hours

#: Why an address gets nothing whose owner wants that.
UNSUBSCRIBED = "unsubscribed"
#: How long something that was switched off waits before it is looked at again; switching it on looks at once.
STOPPED = timedelta(minutes=10)
#: How far ahead an hour that suits everybody is looked for.
_DAYS = 8


class Leave(Value, frozen=True):
    """It may leave now."""


class Wait(Value, frozen=True):
    """It may leave at `until`, if then still all is well; `why` says what it waits for."""

    until: datetime
    why: str


class Drop(Value, frozen=True):
    """It never leaves; `why` says why."""

    why: str


Permission = Leave | Wait | Drop


class Sent(Value, frozen=True):
    """A message that was attempted."""

    at: datetime
    channel: str
    purpose: str


class Bearing(Value, frozen=True):
    """All that decides whether one message may leave at a moment.

    `gone`: why nothing is told this member any more. `address`: where it would go. `consents`: what counts, by
    channel.purpose. `suppressed`: why the address gets nothing. `stale`: why it says nothing any more. `zones`: where it may be
    night for the member. `sent`: what was attempted within the longest window of a cap. `stopped`: it is switched off.
    `answers`: the member asked for just this and waits for it. `fetched`: nothing is sent, members come and read it.
    """

    channel: str
    purpose: str
    address: str
    gone: str = ""
    consents: Mapping[str, ConsentState] = {}
    suppressed: str = ""
    stale: str = ""
    until: datetime | None = None
    zones: tuple[ZoneInfo, ...] = ()
    quiet: Hours | None = None
    caps: tuple[MessageCap, ...] = ()
    sent: Sequence[Sent] = ()
    stopped: bool = False
    answers: bool = False
    fetched: bool = False


def permit(of: Bearing, now: datetime) -> Permission:
    """Whether it may leave; what is over for good comes before what only waits, which is asked by the longest wait."""
    why = _against(of, now)
    if why:
        return Drop(why=why)
    waits = list(_waits(of, now))
    if not waits:
        return Leave()
    longest = max(waits, key=lambda wait: wait.until)
    if of.until is not None and longest.until > of.until:
        return Drop(why=f"too_late:{longest.why}")
    return longest


def _against(of: Bearing, now: datetime) -> str:
    """What stands against it for good."""
    if of.gone:
        return of.gone
    if of.until is not None and now > of.until:
        return "too_late"
    if not of.address:
        return "no_address"
    # Who has just said STOP is told once that it is done; an address that is no good gets nothing whatever.
    if of.suppressed and not (of.answers and of.suppressed == UNSUBSCRIBED):
        return "suppressed"
    return consent_against(of) or of.stale


def consent_against(of: Bearing) -> str:
    """What the member's word says against it; nothing if they agreed, or were never asked for what needs no yes.

    Who said no to receipts gets none; what somebody asked for a moment ago answers them, whatever they said before.
    """
    if of.answers:
        return ""
    state = of.consents.get(f"{of.channel}.{of.purpose}")
    if of.purpose == TRANSACTIONAL or of.fetched:
        return "no_consent" if state in {"refused", "withdrawn"} else ""
    return "" if state == "given" else "no_consent"


def _waits(of: Bearing, now: datetime) -> Iterable[Wait]:
    if of.stopped:
        yield Wait(until=now + STOPPED, why="stopped")
    if of.answers:
        return
    if of.quiet is not None:
        day = next_day(now, of.zones, of.quiet)
        if day > now:
            yield Wait(until=day, why="quiet_hours")
    for cap in of.caps:
        free = _free_at(of, cap, now)
        if free > now:
            yield Wait(until=free, why="cap")


def next_day(now: datetime, zones: Sequence[ZoneInfo], quiet: Hours) -> datetime:
    """The first moment from now on that is in nobody's quiet hours, wherever of these zones the member is.

    Where the zones are so far apart that it is always night in one of them, the first counts alone.
    """
    ends = sorted({now, *(end for zone in zones for end in _ends(now, zone, quiet))})
    for moment in ends:
        if not any(_is_quiet(moment, zone, quiet) for zone in zones):
            return moment
    return now if len(zones) < 2 else next_day(now, zones[:1], quiet)  # noqa: PLR2004 - one zone


def _is_quiet(moment: datetime, zone: ZoneInfo, quiet: Hours) -> bool:
    return quiet.contains(moment.astimezone(zone).time())


def _ends(now: datetime, zone: ZoneInfo, quiet: Hours) -> Iterable[datetime]:
    """The ends of the next quiet hours there; one that the clock skips is read by the clock before it."""
    today = now.astimezone(zone).date()
    for days in range(_DAYS):
        local = datetime.combine(today + timedelta(days=days), quiet.end, zone)
        # An hour that comes twice may be the end both times; of one that is skipped, the later reading is before the gap.
        for fold in (0, 1):
            moment = local.replace(fold=fold).astimezone(UTC)
            if moment > now:
                yield moment


def _free_at(of: Bearing, cap: MessageCap, now: datetime) -> datetime:
    """When the cap lets one more leave."""
    if cap.channel not in {"", of.channel} or cap.purpose not in {"", of.purpose}:
        return now
    if not cap.purpose and of.purpose == TRANSACTIONAL:
        return now  # a receipt is not kept back by what was advertised
    counted = sorted(
        one.at
        for one in of.sent
        if one.at > now - cap.window and cap.channel in {"", one.channel} and _counts(cap, one.purpose)
    )
    return counted[-cap.most] + cap.window if len(counted) >= cap.most else now


def _counts(cap: MessageCap, purpose: str) -> bool:
    return purpose == cap.purpose if cap.purpose else purpose != TRANSACTIONAL
