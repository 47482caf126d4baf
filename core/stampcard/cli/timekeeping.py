"""Whether this machine's clock is right, by what others say the time is when they answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from stampcard.cli.findings import Finding
from stampcard.clock import Clock
from stampcard.domain.value import Value

#: Seconds that a clock may differ: an answer takes its time, and says it in whole seconds.
TOLERANCE = 30.0


class Told(Value, frozen=True):
    """Who told a time, and by how many seconds this machine's clock is ahead of it."""

    who: str
    ahead: float


def told_by(who: str, date: str, now: datetime) -> Told | None:
    """What the header `Date` of an answer says that came now; nothing if it says none."""
    try:
        at = parsedate_to_datetime(date)
    except ValueError:
        return None
    return Told(who=who, ahead=(now - (at if at.tzinfo else at.replace(tzinfo=UTC))).total_seconds())


class Listener:
    """Notes the time that vendors tell with their answers."""

    def __init__(self, clock: Clock) -> None:
        self.heard: list[Told] = []
        self._clock = clock

    def note(self, answer: httpx.Response) -> None:
        """Take one answer."""
        told = told_by(answer.request.url.host, answer.headers.get("date", ""), self._clock.now())
        if told is not None:
            self.heard.append(told)


def clock_finding(vendors: Sequence[Told], own: Told | None) -> Finding:
    """What is to be said of the clock; what the own address says counts only where no vendor told, it may be this machine."""
    told = vendors or [one for one in (own,) if one is not None]
    if not told:
        return Finding(level="ok", about="clock", text="not looked at: nobody elsewhere was asked")
    # One who is wrong does not outvote one who agrees.
    nearest = min(told, key=lambda one: abs(one.ahead))
    if abs(nearest.ahead) <= TOLERANCE:
        return Finding(level="ok", about="clock", text=f"agrees with {nearest.who}")
    way = "ahead of" if nearest.ahead > 0 else "behind"
    text = f"is {abs(nearest.ahead):.0f} seconds {way} {nearest.who}: signatures are refused and points come at wrong times. "
    return Finding(level="warning", about="clock", text=f"{text}Let it be set by NTP: timedatectl set-ntp true")
