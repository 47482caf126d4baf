"""What a message looks like as a mail: its headers and its parts.

Headers are written here letter by letter, for the standard library encodes those that have no spaces (a long address to
unsubscribe at, say) in a way that nobody reads, and reads what looks encoded (`=?utf-8?…`) before it is written.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from typing import TYPE_CHECKING

from stampcard.plugin import Message, Rejected
from stampcard_smtp.addressing import Unwritable, mailbox
from stampcard_smtp.naming import MARK, Naming

if TYPE_CHECKING:
    from stampcard_smtp.settings import SmtpSettings

#: What would end a header, or does not belong into one.
_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
#: What needs no encoding: in a text, and in a name, where commas and the like have a meaning.
_PLAIN_TEXT = re.compile(r"(?!.*(=\?|  ))[!-~]([ -~]{0,58}[!-~])?")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9' -]{0,58}[A-Za-z0-9])?")
_WEB = re.compile(r"https?://[!-;=?-~]{1,900}")
#: Letters that fit on a line behind a header's name.
_LINE = 60
#: Bytes in one encoded word, so that a line with a header's name has at most 76 letters (RFC 2047, 2).
_WORD = 36
#: Never in a part, for those are in base64 or quoted-printable (RFC 2045, 6.7).
_BOUNDARY = "=_stampcard_alternative"


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail that is ready to leave. `international`: whether its addresses need a server with SMTPUTF8."""

    id: str
    sender: str
    recipient: str
    content: bytes
    international: bool


def composed(message: Message, settings: SmtpSettings, names: Naming, now: datetime) -> Letter:
    """The mail that a message becomes; raises Unwritable where it cannot be one."""
    sender, recipient = mailbox(settings.sender), mailbox(message.to)
    reply_to = mailbox(settings.reply_to) if settings.reply_to else ""
    international = not (sender + recipient + reply_to).isascii()
    mail = EmailMessage(policy=(SMTPUTF8 if international else SMTP).clone(refold_source="none"))
    id_ = names.named(message.id)
    try:
        mail.set_raw("From", _named(settings.sender_name, sender))
        mail.set_raw("To", _named(message.to_name, recipient))
        if reply_to:
            mail.set_raw("Reply-To", reply_to)
        for name, value in _headers(message, id_, now):
            mail.set_raw(name, value)
        if names.signs:
            mail.set_raw(MARK, id_)
        _fill(mail, message)
        mail.set_raw("Content-Language", _encoded(message.language.replace("_", "-"), _PLAIN_TEXT))
        content = mail.as_bytes()
    except ValueError:
        # Half a letter (a lone surrogate) is the only thing that cannot be encoded.
        raise Unwritable(Rejected(reason="the message has letters that cannot be written")) from None
    return Letter(id=id_, sender=sender, recipient=recipient, content=content, international=international)


def _headers(message: Message, id_: str, now: datetime) -> Iterator[tuple[str, str]]:
    yield "Subject", _encoded(message.subject, _PLAIN_TEXT)
    yield "Date", format_datetime(now)
    yield "Message-ID", id_
    # Nobody's notice of absence is wanted (RFC 3834; the other is what Exchange reads).
    yield "Auto-Submitted", "auto-generated"
    yield "X-Auto-Response-Suppress", "All"
    if _WEB.fullmatch(message.unsubscribe):
        yield "List-Unsubscribe", f"<{message.unsubscribe}>"
        # One click must be safe on its way (RFC 8058, 3.1).
        if message.unsubscribe.startswith("https:"):
            yield "List-Unsubscribe-Post", "List-Unsubscribe=One-Click"


def _fill(mail: EmailMessage, message: Message) -> None:
    mail.set_content(message.text, charset="utf-8", cte=_transfer(message.text))
    if message.html:
        mail.add_alternative(message.html, subtype="html", charset="utf-8", cte=_transfer(message.html))
        mail.set_boundary(_BOUNDARY)


def _transfer(text: str) -> str:
    """What carries a text through servers that know ASCII alone, whichever is shorter."""
    beyond = len(text.encode()) - sum(map(str.isascii, text))
    return "base64" if beyond * 6 > len(text.encode()) else "quoted-printable"


def _named(name: str, address: str) -> str:
    shown = _encoded(name, _PLAIN_NAME)
    space = " " if len(shown) + len(address) < _LINE else "\r\n "
    return f"{shown}{space}<{address}>" if shown else address


def _encoded(text: str, plain: re.Pattern[str]) -> str:
    """A header's text on one line, whatever stood in it, as encoded words (RFC 2047) unless it is plain."""
    line = _BREAKS.sub(" ", text).strip()
    if not line or plain.fullmatch(line):
        return line
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(word.encode()).decode()}?=" for word in _words(line))


def _words(line: str) -> Iterator[str]:
    """The text in pieces, none of which ends within a letter."""
    word, size = "", 0
    for letter in line:
        width = len(letter.encode())
        if size + width > _WORD:
            yield word
            word, size = "", 0
        word, size = word + letter, size + width
    yield word
