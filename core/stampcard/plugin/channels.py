"""Ways to bring messages to members: by e-mail, SMS, a chat, or a place where they are fetched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from stampcard.domain.messages import Form, Message, Need
from stampcard.plugin.outcomes import Lookup, Outcome, Unknown
from stampcard.plugin.rates import Rate, RetryPolicy


class Channel(ABC):
    """One way of sending of one connection.

    A message leaves at most once: an attempt of unknown outcome is settled by `lookup` alone, and where that cannot tell, a
    person decides. What becomes of a message later is told by the webhook of the connection, as `MessageReported`; what
    people write back as `MessageReceived`.
    """

    #: What consent calls it: email, sms, inbox, or a word of a–z, 0–9 and _ of your own.
    name: str
    form: Form = "text"
    #: What a member needs to be reached by it.
    needs: Need = "nothing"
    batch_size: int = 1
    #: Counted in `parts`, not in messages.
    rate: Rate | None = None
    retry: RetryPolicy = RetryPolicy()
    #: After how long a message that left is surely seen by `lookup`.
    visible_after: timedelta = timedelta(minutes=2)
    #: Whether people are disturbed by it, so that nothing leaves in their night unless a program says otherwise.
    disturbs: bool = False
    #: Whether messages stay with us and are fetched by those whom they are for; `send` is never asked then.
    kept: bool = False
    #: Whether it can hear what people write back, such as STOP.
    hears: bool = False

    @abstractmethod
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Send them in one attempt; exactly one outcome for each, in order. An exception counts as Unknown.

        ``Delivered(result)`` may carry the vendor's ``id``, by which later reports find the message, and the ``state``
        (``sent`` unless it says another that may be reported). ``Rejected`` says by `because` whether it is the address that
        is no good, or its owner who wants nothing.
        """

    async def lookup(self, message: Message, attempted_at: datetime) -> Lookup:  # noqa: ARG002 - others need them
        """Find out whether a message of unknown outcome left; ``Done(result)`` as in `send`."""
        return Unknown(reason="there is no way to find out what became of it")

    def parts(self, message: Message) -> int:  # noqa: ARG002 - others need it
        """How many parts the vendor sends and charges for it."""
        return 1

    def price(self) -> Decimal | None:
        """What one part costs, in the currency of the program, as far as the settings say."""
        return None

    def pace(self) -> float:
        """Seconds that the vendor wants to pass before the next call, as its last answer told."""
        return 0.0
