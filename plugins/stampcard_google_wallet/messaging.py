"""Messages on members' cards, with a notice where Google allows one more."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from stampcard.plugin import (
    Absent,
    Channel,
    Delivered,
    Done,
    Lookup,
    Message,
    Outcome,
    Rate,
    Rejected,
    RetryLater,
    Unknown,
)
from stampcard_google_wallet.calling import Answer, Request
from stampcard_google_wallet.client import PER_SECOND, Client, Talk, asked, at
from stampcard_google_wallet.offering import CARD

WALLET = "wallet"
SENT = Delivered(result={"state": "sent"})
_MISSING, _LATER = 404, 500


class _Taken(msgspec.Struct, frozen=True):
    resource: dict[str, object]


class _Told(msgspec.Struct, frozen=True):
    id: str = ""


class _Card(msgspec.Struct, frozen=True):
    id: str
    messages: tuple[_Told, ...] = ()


class WalletChannel(Channel):
    """Google does not see to it that a message of one name is there once: what nobody knows of is looked up on the card."""

    name, form, needs = WALLET, "note", "reference"
    batch_size = 10
    rate = Rate(per_second=PER_SECOND, burst=1)
    visible_after = timedelta(minutes=1)
    disturbs = True

    def __init__(self, client: Client, issuer: str) -> None:
        self._client, self._issuer = client, issuer

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        return await self._client.converse(*map(self._tell, messages))

    async def lookup(self, message: Message, attempted_at: datetime) -> Lookup:
        if self._client.context.clock.now() - attempted_at < self.visible_after:
            return Unknown(reason="Google may not show it yet")
        request = Request("GET", at(CARD, f"{self._issuer}.{message.to}"))
        answer = await self._client.one(request)
        card = answer.read(_Card)
        if card is None:
            failed = self._client.failure(answer, request).outcome.reason
            return Absent() if _is_missing(answer) else Unknown(reason=failed)
        return Done(result=SENT.result) if message.id in {told.id for told in card.messages} else Absent()

    def pace(self) -> float:
        return self._client.pace()

    def _tell(self, message: Message) -> Talk[Outcome]:
        path = at(CARD, f"{self._issuer}.{message.to}", "addMessage")
        for kind in ("TEXT_AND_NOTIFY", "TEXT"):
            request = Request("POST", path, {"message": _written(message, kind)})
            answer = yield from asked(request)
            if not answer.exceeds_quota:
                break
        return SENT if answer.read(_Taken) is not None else self._outcome(answer, request)

    def _outcome(self, answer: Answer, request: Request) -> Outcome:
        """What came of a message that Google did not confirm: it must not be on the card twice."""
        failed = self._client.failure(answer, request).outcome
        if _is_missing(answer):
            return Rejected(reason="Google has no card of this member")
        may_be_there = answer.is_success or answer.status >= _LATER or (answer.status == 0 and answer.left)
        return Unknown(reason=failed.reason) if may_be_there and isinstance(failed, RetryLater) else failed


def _is_missing(answer: Answer) -> bool:
    return answer.status == _MISSING


def _written(message: Message, kind: str) -> dict[str, object]:
    text = f"{message.text}\n{message.link}" if message.link else message.text
    ends = {} if message.until is None else {"displayInterval": {"end": {"date": message.until.isoformat()}}}
    return {"id": message.id, "header": message.subject, "body": text, "messageType": kind, **ends}
