"""What our mails are called, so that a report about one is known, and no report can be made up about another's."""

from __future__ import annotations

import hmac
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stampcard_smtp.settings import SmtpSettings

#: A header that holds the Message-ID again, for there are servers (Amazon SES, some of Exchange) that write another one.
MARK = "X-Stampcard-Message"
_OURS = re.compile(r"<([!-~]{1,200}?)\.([^.@]{1,80})(?:\.([0-9a-f]{20}))?@([^@]{1,255})>", re.IGNORECASE)


class Naming:
    """The Message-IDs of one connection: ``<message.connection.sign@domain>``, the same in every attempt.

    Our ids are numbers, so that whoever has one mail could guess those of others: where reports are taken in, each carries
    a sign that nobody else can make.
    """

    def __init__(self, settings: SmtpSettings, connection: str) -> None:
        self._keys = tuple(token.get_secret_value().encode() for token in settings.bounce_tokens)
        self._connection, self._domain = connection, settings.domain

    @property
    def signs(self) -> bool:
        """Whether reports are taken in."""
        return bool(self._keys)

    def named(self, message: str) -> str:
        """The Message-ID of a message."""
        sign = f".{self._sign(message, self._keys[0])}" if self._keys else ""
        return f"<{message}.{self._connection}{sign}@{self._domain}>"

    def meant(self, message_id: str) -> str:
        """Our id of the message that is called so; the empty text if none of ours is."""
        found = _OURS.fullmatch(message_id)
        if found is None or (found[2].lower(), found[4].lower()) != (self._connection, self._domain):
            return ""
        sign = (found[3] or "").lower().encode()
        fits = False
        for key in self._keys:
            fits |= hmac.compare_digest(self._sign(found[1], key).encode(), sign)
        return found[1] if fits else ""

    def _sign(self, message: str, key: bytes) -> str:
        return hmac.digest(key, f"{message}.{self._connection}".encode(), "sha256").hex()[:20]
