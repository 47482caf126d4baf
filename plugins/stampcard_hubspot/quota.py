"""How much of HubSpot's quota is left, as its answers tell, and who may use it."""

from __future__ import annotations

from typing import Final

import httpx

from stampcard.plugin import Clock

#: What reading in the background may use; the rest is for what people wait for.
BACKGROUND: Final = 0.2
#: Of the quota of ten seconds as much is left alone, for others whose calls count, too.
_SPARED = 0.05
#: Of the day's quota the last part is nobody's who reads in the background.
_KEPT = 0.2
#: How long the day's quota is not asked about again once it is used up: nobody says when HubSpot's day begins.
_EXHAUSTED = 3600.0
#: Seconds between two searches, of which an account may do five a second, whoever does them
#: (https://developers.hubspot.com/docs/api-reference/latest/crm/search-the-crm).
_SEARCH = 0.25
_LONGEST = 9


class Quota:
    """What the headers of answers tell (https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._most = self._left = 0
        self._window_ends = 0.0
        self._daily, self._left_today = 0, 1
        self._day_known_until = 0.0
        self._not_before = 0.0
        self._search_at = 0.0

    def heard(self, response: httpx.Response) -> None:
        """Take in what an answer tells of the quota; searches tell nothing."""
        now = self._now()
        most, left = _number(response, "max"), _number(response, "remaining")
        interval = _number(response, "interval-milliseconds")
        if most and left is not None and interval:
            self._most, self._left, self._window_ends = most, left, now + interval / 1000
        daily, today = _number(response, "daily"), _number(response, "daily-remaining")
        if daily and today is not None:
            self._daily, self._left_today, self._day_known_until = daily, today, now + _EXHAUSTED

    def stopped(self, seconds: float) -> None:
        """A limit was hit: nobody asks for so long."""
        self._not_before = max(self._not_before, self._now() + min(seconds, _EXHAUSTED))

    def pace(self, share: float = 1.0) -> float:
        """Seconds until there is quota again for somebody who may use this share of it."""
        now = self._now()
        waits = [self._not_before - now]
        if self._left <= self._most * max(_SPARED, 1 - share):
            waits.append(self._window_ends - now)
        if self._left_today <= (0 if share >= 1 else self._daily * _KEPT):
            waits.append(self._day_known_until - now)
        return max(0.0, *waits)

    async def turn_to_search(self) -> None:
        """Wait for the next of our searches to be due."""
        now = self._now()
        due = self._search_at = max(now, self._search_at)
        self._search_at += _SEARCH
        await self._clock.sleep(due - now)

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _number(response: httpx.Response, name: str) -> int | None:
    text = response.headers.get(f"x-hubspot-ratelimit-{name}", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST else None
