"""Who buys without an account: known by their address alone, and by us under a name that does not show it."""

from __future__ import annotations

import hashlib

PREFIX = "guest-"
#: Longer than any address (RFC 5321).
_LONGEST = 254


def normal(email: str) -> str:
    """An address in the form in which WooCommerce compares two of them; empty for what is none."""
    text = email.strip().lower()
    return text if 0 < text.find("@") < len(text) - 1 and len(text) <= _LONGEST and text.isprintable() else ""


def reference_of(connection: str, email: str) -> str | None:
    """What a guest is called at a connection: a digest, which is the same for the same address; None without one."""
    address = normal(email)
    if not address:
        return None
    digest = hashlib.sha256(f"guest\n{connection}\n{address}".encode(errors="replace")).hexdigest()
    return f"{PREFIX}{digest[:40]}"
