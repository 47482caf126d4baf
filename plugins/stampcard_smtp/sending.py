"""The channel: one mail for each message, and which of them left."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from stampcard.plugin import (
    Channel,
    ConnectionContext,
    Delivered,
    Message,
    Outcome,
    Rate,
    Rejected,
    RetryLater,
    Unknown,
)
from stampcard_smtp.addressing import Unwritable
from stampcard_smtp.composing import Letter, composed
from stampcard_smtp.judging import Step, judged
from stampcard_smtp.naming import Naming
from stampcard_smtp.pooling import TROUBLE, Link, Pool, Unreachable

if TYPE_CHECKING:
    from stampcard_smtp.settings import SmtpSettings

#: Seconds that all mails of a batch may take together: the host gives up an attempt a little later, and could then tell of
#: none whether it left.
BATCH = 20.0
#: Seconds more for the answer to a text that has left, which is worth waiting for.
GRACE = 4.0
#: A line that begins with a dot gets another (RFC 5321, 4.5.2).
_DOT = re.compile(rb"^\.", re.MULTILINE)
_SUCCESS = range(200, 300)
#: With which answers the next command is given.
_GOES_ON: Mapping[Step, Collection[int]] = {"MAIL": _SUCCESS, "RCPT": _SUCCESS, "DATA": (354,)}
_NOT_INTERNATIONAL = Rejected(reason="the mail server takes no address with letters beyond ASCII (it has no SMTPUTF8)")
_OURS_INTERNATIONAL = RetryLater(
    reason="the mail server takes no address with letters beyond ASCII (it has no SMTPUTF8): check sender and reply_to"
)


class EmailChannel(Channel):
    """E-mail by a mail server. Each message is a mail of its own, so that nobody sees who else gets one."""

    name = "email"
    form = "mail"
    needs = "email"
    batch_size = 20

    def __init__(self, context: ConnectionContext[SmtpSettings], pool: Pool) -> None:
        self._context = context
        self._pool = pool
        self._names = Naming(context.settings, context.name)
        pace = context.settings.per_second
        self.rate = Rate(per_second=pace, burst=max(1, math.floor(pace)))

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        deadline = asyncio.get_running_loop().time() + BATCH
        return await asyncio.gather(*(self._sent(message, deadline) for message in messages))

    async def _sent(self, message: Message, deadline: float) -> Outcome:
        context = self._context
        try:
            letter = composed(message, context.settings, self._names, context.clock.now())
            async with self._pool.lent(deadline) as link:
                return await _carried(link, letter, deadline)
        except Unwritable as error:
            return error.outcome
        except Unreachable as error:
            return RetryLater(reason=error.problem)
        except Exception as error:  # noqa: BLE001 - the others of the batch have outcomes that must be told
            return Unknown(reason=f"the mail could not be sent as it should ({type(error).__name__})")


async def _carried(link: Link, letter: Letter, deadline: float) -> Outcome:
    """Hand a mail to the server; afterwards the connection is as before, or closed."""
    if asyncio.get_running_loop().time() > deadline:
        return RetryLater(reason="the mails before it took too long")
    link.hurry(deadline)
    if letter.international and not link.is_international:
        return _OURS_INTERNATIONAL if letter.recipient.isascii() else _NOT_INTERNATIONAL
    outcome = await _introduced(link, letter)
    link.hurry(deadline + GRACE)
    outcome = outcome or await _told(link, letter)
    if not isinstance(outcome, Delivered):
        await link.reset()
    return outcome


async def _introduced(link: Link, letter: Letter) -> Outcome | None:
    """Say who a mail is from and for; None if the server waits for its text."""
    for step, command in _commands(letter):
        try:
            code, text = await link.ask(*command)
        except TROUBLE as error:
            return RetryLater(reason=f"the mail server did not answer {step} ({type(error).__name__})")
        if code not in _GOES_ON[step]:
            return judged(step, code, text)
    return None


def _commands(letter: Letter) -> Iterator[tuple[Step, tuple[bytes, ...]]]:
    options = (b"SMTPUTF8", b"BODY=8BITMIME") if letter.international else ()
    yield "MAIL", (b"MAIL", f"FROM:<{letter.sender}>".encode(), *options)
    yield "RCPT", (b"RCPT", f"TO:<{letter.recipient}>".encode())
    yield "DATA", (b"DATA",)


async def _told(link: Link, letter: Letter) -> Outcome:
    """Send the text: once it was written, only the server's answer tells whether the mail is on its way."""
    try:
        link.write(_DOT.sub(b"..", letter.content) + b".\r\n")
    except TROUBLE as error:
        return RetryLater(reason=f"the connection was lost before the mail left ({type(error).__name__})")
    try:
        code, text = await link.answer()
    except TROUBLE as error:
        return Unknown(reason=f"the mail server did not say whether it has the mail ({type(error).__name__})")
    if code in _SUCCESS:
        return Delivered(result={"id": letter.id, "state": "sent"})
    return judged("END", code, text)
