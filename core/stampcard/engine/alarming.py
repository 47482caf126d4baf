"""What somebody should be told of: a day unlike the days before it, a connection that fell silent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from stampcard.domain.decisions import Alert

#: How many days before are compared, and how many of them must be known.
LOOK_BACK, KNOWN = 28, 7
WEEK = 7
#: So many times as much as on a usual day, or so much less, is told.
UNUSUAL = 3
#: On so many of the seven days before must a connection have told something for its silence to mean anything.
TALKATIVE = 5


def day_alert(program: str, day: date, points: int, before: Sequence[int | None]) -> Alert | None:
    """Whether a program paid a lot more or less than on the days before, newest first; None for a day not known."""
    known = [paid for paid in before if paid is not None]
    usual = sum(known) / len(known) if known else 0
    # A shop that rests on Sundays has no unusual Sundays.
    weekday = [paid for paid in before[WEEK - 1 :: WEEK] if paid is not None]
    if len(known) < KNOWN or not usual or not weekday:
        return None
    more = points > max(weekday) and points > usual * UNUSUAL
    less = points < min(weekday) and points * UNUSUAL < usual
    if not (more or less):
        return None
    return Alert(kind="unusual_day", program=program, period=day.isoformat(), share=round(points / usual * 100))


def silence_alert(connection: str, day: date, heard: Sequence[bool]) -> Alert | None:
    """Whether a connection fell silent: if it told anything in the last 24 hours, and in each of the days before."""
    if not heard or heard[0] or sum(heard[1:]) < TALKATIVE:
        return None
    return Alert(kind="silent", scope=connection, period=day.isoformat())


def dead_alert(connection: str, day: date, dead: int) -> Alert | None:
    """Whether anything that was to be sent has been given up."""
    return Alert(kind="dead_letters", scope=connection, period=day.isoformat(), count=dead) if dead else None
