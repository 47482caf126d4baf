"""When messages go: something that happens to a member, or some days before or after it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import time
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator

from stampcard.program.amounts import AS_WRITTEN, Short, schema
from stampcard.program.events import ANNIVERSARY, BIRTHDAY, OWN_EVENTS, SIGN_UP, FieldType

POINTS_EARNED, POINTS_USABLE, POINTS_SPENT = "points_earned", "points_usable", "points_spent"
POINTS_RETURNED, POINTS_TAKEN_BACK, POINTS_EXPIRED = "points_returned", "points_taken_back", "points_expired"
REWARD_ISSUED, REWARD_USED, REWARD_EXPIRED = "reward_issued", "reward_used", "reward_expired"
REWARD_IN_REACH = "reward_in_reach"
MEMBERSHIP_ASKED, MEMBERSHIP_ENDED = "membership_asked", "membership_ended"
CONSENT_ASKED, LINK_ASKED = "consent_asked", "link_asked"
#: A message that people send to many when they want to.
BY_HAND = "by_hand"

_OF_POINTS: Mapping[str, FieldType] = {"points": "number", "wallet": "string"}
_OF_REWARDS: Mapping[str, FieldType] = {"reward": "string"}
#: What happens that no rule can be on, with what conditions may ask of it.
HAPPENINGS: Mapping[str, Mapping[str, FieldType]] = {
    SIGN_UP: {},
    BIRTHDAY: {},
    ANNIVERSARY: {},
    **OWN_EVENTS,
    POINTS_EARNED: _OF_POINTS,
    POINTS_USABLE: _OF_POINTS,
    POINTS_SPENT: _OF_POINTS,
    POINTS_RETURNED: _OF_POINTS,
    POINTS_TAKEN_BACK: _OF_POINTS,
    POINTS_EXPIRED: _OF_POINTS,
    REWARD_ISSUED: _OF_REWARDS,
    REWARD_USED: _OF_REWARDS,
    REWARD_EXPIRED: _OF_REWARDS,
    REWARD_IN_REACH: _OF_REWARDS,
    MEMBERSHIP_ASKED: {},
    MEMBERSHIP_ENDED: {},
    CONSENT_ASKED: {"channel": "string", "purpose": "string"},
    LINK_ASKED: {},
    BY_HAND: {},
}
#: What a person waits for who asked for it: told without consent, and at any hour.
ASKED = frozenset({MEMBERSHIP_ASKED, CONSENT_ASKED, LINK_ASKED})

POINTS_EXPIRE, REWARD_EXPIRES, TIER_ENDS = "points_expire", "reward_expires", "tier_ends"
PLAN_ENDS, PERK_ENDS, PROGRAM_ENDS = "plan_ends", "perk_ends", "program_ends"
PURCHASE, LAST_PURCHASE = "purchase", "last_purchase"
#: Days that lie ahead of a member, of which a message may come some days before.
AHEAD: Mapping[str, Mapping[str, FieldType]] = {
    POINTS_EXPIRE: {**_OF_POINTS, "days": "integer"},
    REWARD_EXPIRES: {**_OF_REWARDS, "days": "integer"},
    TIER_ENDS: {"tier": "string", "days": "integer"},
    PLAN_ENDS: {"plan": "string", "days": "integer"},
    PERK_ENDS: {"perk": "string", "days": "integer"},
    PROGRAM_ENDS: {"days": "integer"},
    BIRTHDAY: {"days": "integer"},
    ANNIVERSARY: {"days": "integer"},
}
#: Days that are behind a member, of which a message may come some days after. The last purchase has none since.
BEHIND: Mapping[str, Mapping[str, FieldType]] = {
    SIGN_UP: {"days": "integer"},
    PURCHASE: {"days": "integer"},
    LAST_PURCHASE: {"days": "integer"},
    REWARD_ISSUED: {**_OF_REWARDS, "days": "integer"},
    BIRTHDAY: {"days": "integer"},
}
#: What may be the occasion of an invitation, for those who take no part yet.
INVITING = (BY_HAND, PURCHASE, LAST_PURCHASE)
#: What comes by the calendar alone.
YEARLY = frozenset({BIRTHDAY, ANNIVERSARY})
MOST_DAYS = 400

_WRITTEN = re.compile(r"(?:([1-9][0-9]{0,2}) +days? +(before|after) +)?([a-z][a-z0-9_]{0,39})")


class Occasion(Short):
    """What a message is on: an event, or so many `days` after it; before it where they are negative."""

    event: str
    days: int = 0

    @property
    def is_dated(self) -> bool:
        """Whether a day brings it, and nothing that happens."""
        return bool(self.days) or self.event in YEARLY

    @property
    def asked_as(self) -> str:
        """The event whose facts conditions may ask for: of the days after a purchase, no longer its order."""
        return LAST_PURCHASE if self.event == PURCHASE else self.event

    def __str__(self) -> str:
        if not self.days:
            return self.event
        count, way = abs(self.days), "before" if self.days < 0 else "after"
        return f"{count} day{'s' * (count != 1)} {way} {self.event}"


def read_occasion(written: Any) -> Occasion:
    """What "3 days before points_expire" or "sign_up" means; raises ValueError."""
    if isinstance(written, Occasion):
        return written
    found = _WRITTEN.fullmatch(written.strip()) if isinstance(written, str) else None
    if found is None:
        message = f"{written!r} is no occasion: write an event such as sign_up, or '3 days before points_expire'"
        raise ValueError(message)
    count = int(found[1] or 0)
    if count > MOST_DAYS:
        message = f"{count} days are too many: at most {MOST_DAYS}"
        raise ValueError(message)
    return Occasion(event=found[3], days=-count if found[2] == "before" else count)


OccasionField = Annotated[
    Occasion,
    PlainValidator(read_occasion),
    AS_WRITTEN,
    schema(_WRITTEN.pattern, "an event: sign_up; or days before or after one: 3 days before points_expire"),
]


def read_time(written: Any) -> time:
    """The time of day that "10:00" means; raises ValueError."""
    if isinstance(written, time):
        return written
    try:
        return time.fromisoformat(written) if re.fullmatch(r"[0-2][0-9]:[0-5][0-9]", written) else _no_time(written)
    except (TypeError, ValueError):
        return _no_time(written)


def _no_time(written: Any) -> time:
    message = f"{written!r} is no time of day: write '10:00'"
    raise ValueError(message)


TimeField = Annotated[
    time,
    PlainValidator(read_time),
    PlainSerializer(lambda at: f"{at:%H:%M}", return_type=str),
    schema("[0-2][0-9]:[0-5][0-9]", "a time of day: 10:00"),
]
