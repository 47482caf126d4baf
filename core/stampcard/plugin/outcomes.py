"""What became of one item that was sent to a vendor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stampcard.domain.messages import Because
from stampcard.domain.value import Value


class Delivered(Value, frozen=True):
    """The vendor has it; `result` is what it gave back (an id, a code)."""

    result: Mapping[str, Any] = {}


class RetryLater(Value, frozen=True):
    """The vendor does not have it and may take it later; `after` in seconds, if the vendor said."""

    reason: str
    after: float | None = None


class Rejected(Value, frozen=True):
    """The vendor will never take it as it is; `gone`: the member does not exist there any more.

    `because`: of a message, whether its address is no good, or the owner of that wants nothing by this channel.
    """

    reason: str
    gone: bool = False
    because: Because = ""


class Unknown(Value, frozen=True):
    """Nobody can tell whether the vendor has it: a timeout or a lost answer after the request had left."""

    reason: str


Outcome = Delivered | RetryLater | Rejected | Unknown


class Done(Value, frozen=True):
    """A lookup found the command's effect."""

    result: Mapping[str, Any] = {}


class Absent(Value, frozen=True):
    """A lookup found that the command had no effect, and so much time has passed that it would be visible."""


Lookup = Done | Absent | Unknown
