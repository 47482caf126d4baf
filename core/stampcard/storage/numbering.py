"""Numbers that rise with time, made without asking the database."""

from __future__ import annotations

import base64
import os
import secrets
import threading
from datetime import datetime

from stampcard.clock import to_micros


class Numbering:
    """Makes 63-bit numbers: 41 bits of milliseconds, 10 bits of this process, 12 bits of a counter."""

    def __init__(self, node: int | None = None) -> None:
        self._node = (int.from_bytes(os.urandom(2)) if node is None else node) & 0x3FF
        self._lock = threading.Lock()
        self._last = 0

    def next(self, now: datetime) -> int:
        """A number above every earlier one of this process."""
        with self._lock:
            tick = (to_micros(now) // 1000) << 12
            self._last = max(self._last + 1, tick)
            ticks, counter = self._last >> 12, self._last & 0xFFF
        return (ticks << 22) | (self._node << 12) | counter


def number_at(moment: datetime) -> int:
    """Below every number that is made from this moment on, and above those that were made before."""
    return (to_micros(moment) // 1000) << 22


#: Nothing that is taken for another letter or digit, and no vowel that could make a word.
_CODE = "23456789BCDFGHJKMNPQRSTVWXZ"
_GROUPS, _LENGTH = 4, 4


def new_redemption_id() -> str:
    """A redemption's id: unguessable, safe in addresses."""
    return "r_" + base64.b32encode(os.urandom(15)).decode().lower()


def new_code(prefix: str = "") -> str:
    """A code that nobody can guess (76 bits) and everybody can type: PREFIX-XXXX-XXXX-XXXX-XXXX."""
    groups = ("".join(secrets.choice(_CODE) for _ in range(_LENGTH)) for _ in range(_GROUPS))
    return "-".join([*([prefix] if prefix else []), *groups])


def new_member_id() -> str:
    """A member's id: unguessable, safe in addresses."""
    return "m_" + base64.b32encode(os.urandom(15)).decode().lower()


def new_intake_id() -> str:
    """An import's id: short enough to be typed."""
    return "i_" + base64.b32encode(os.urandom(5)).decode().lower()


def new_use_key() -> str:
    """The name of a use of a perk for which nobody has one."""
    return "u_" + base64.b32encode(os.urandom(15)).decode().lower()


def new_request_id() -> str:
    """The id of a request to be verified: unguessable, safe in addresses."""
    return "v_" + base64.b32encode(os.urandom(15)).decode().lower()
