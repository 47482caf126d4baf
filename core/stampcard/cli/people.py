"""Who types."""

from __future__ import annotations

import getpass


def user() -> str:
    """The user of this machine, or nothing where nobody knows."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
