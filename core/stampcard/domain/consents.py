"""What people agree to, by channel and purpose, with the evidence of it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from stampcard.domain.value import Value

#: `pending`: asked for, and not confirmed yet (double opt-in); `refused`: said no; `withdrawn`: said yes before.
ConsentState = Literal["given", "pending", "refused", "withdrawn"]
#: Of what was said at the same moment, the most restrictive counts.
_STRICTNESS: tuple[ConsentState, ...] = ("given", "pending", "refused", "withdrawn")


class Consent(Value, frozen=True):
    """What a member said about being addressed by a channel for a purpose.

    `at`: when they said it. `source`: where, such as ``checkout``; `text`: which version of which words they saw; `ip`:
    from where, as far as it is known. `author`: who wrote it down, if not the member.
    """

    channel: str
    purpose: str
    state: ConsentState
    at: datetime
    recorded_at: datetime
    source: str = ""
    text: str = ""
    ip: str = ""
    author: str = ""

    @property
    def name(self) -> str:
        """As conditions call it: ``email.marketing``."""
        return f"{self.channel}.{self.purpose}"


def current(history: Iterable[Consent]) -> dict[str, Consent]:
    """Name → what counts: what was said last, however late it was written down."""
    found: dict[str, Consent] = {}
    for one in history:
        known = found.get(one.name)
        if known is None or _order(one) > _order(known):
            found[one.name] = one
    return found


def given(history: Iterable[Consent]) -> frozenset[str]:
    """The names of what is agreed to."""
    return frozenset(name for name, one in current(history).items() if one.state == "given")


def _order(one: Consent) -> tuple[datetime, int]:
    return one.at, _STRICTNESS.index(one.state)
