"""What WooCommerce signs its webhooks with: a secret as WordPress reads it."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: What wp_specialchars_decode(…, ENT_QUOTES) makes of entities; WooCommerce does so before it signs (class-wc-webhook.php).
_ENTITY = re.compile(r"&(?:(lt|gt|amp|quot|apos)|#0*(60|62|38|34|39)|#[xX]0*(3[cC]|3[eE]|26|22|27));")
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}


def keys_of(secrets: Iterable[str]) -> list[bytes]:
    """The keys to try: each secret as it is signed with, and as it stands, should a shop leave it so."""
    return list(dict.fromkeys(key.encode() for secret in secrets for key in (decoded(secret), secret)))


def decoded(secret: str) -> str:
    return _ENTITY.sub(lambda found: _NAMED.get(found[1] or "") or chr(int(found[2] or f"0x{found[3]}", 0)), secret)
