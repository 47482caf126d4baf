"""Rewards on a contact's timeline: an event for each thing that happens to one, by a template of the app.

https://developers.hubspot.com/docs/api-reference/legacy/crm/extensions/timeline/events/create-create; of apps that have had
templates before, as HubSpot makes none for others any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from decimal import Decimal
from typing import Any

from stampcard.plugin import Absent, Change, Command, Delivered, Lookup, Outcome, Rate, Rejected, Sink
from stampcard_hubspot.batching import Batch
from stampcard_hubspot.calling import MISSING, CallFailed, about, in_words
from stampcard_hubspot.client import Client
from stampcard_hubspot.payloads import Payload, Trouble
from stampcard_hubspot.reading import BATCH

KIND = "timeline"
PATH = "/integrators/timeline/v3/events/batch/create"
#: What a contact's timeline shows of a reward; that it is held is over in a moment.
SHOWN = frozenset({"issued", "used", "released", "expired", "revoked"})
#: `worth` is told in parts of a currency's unit.
_PARTS = 10_000
#: The only word for an id that was used before (https://community.hubspot.com/t5/Developer-Announcements/m-p/402048).
_USED = "already in use"


class Told(Payload, frozen=True):
    id: str


class ToldAll(Payload, frozen=True):
    results: tuple[Told, ...]
    errors: tuple[Trouble, ...] = ()


def commands(change: Change, reference: str) -> Iterator[Command]:
    """What a change shows on the timeline of the contact: nothing in it is personal."""
    for one in change.redemptions:
        if one.status in SHOWN:
            tokens = {
                "reward": one.reward,
                "points": _points(change, one.wallet, one.price),
                "value": f"{Decimal(one.worth) / _PARTS:.2f}",
                "status": one.status,
                "moment": change.occurred_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            }
            key = f"{one.id}:{one.status}"
            yield Command(kind=KIND, key=key, member=change.member, reference=reference, data={"tokens": tokens})


def _points(change: Change, wallet: str, price: int) -> str:
    """A price with its wallet's decimal places, where the change tells them."""
    balance = change.balances.get(wallet)
    return f"{Decimal(price).scaleb(-balance.scale if balance is not None else 0):f}"


class TimelineSink(Sink[Command]):
    """Puts events on timelines; without a template of the settings nothing is shown, and all counts as told.

    HubSpot takes each id once, so that a repeat is refused, and is done.
    """

    kind = KIND
    batch_size = BATCH
    rate = Rate(per_second=4, burst=8)
    idempotent = True

    def __init__(self, client: Client) -> None:
        self._client = client
        self._template = client.context.settings.timeline_template

    def pace(self) -> float:
        return self._client.pace()

    async def lookup(self, command: Command) -> Lookup:  # noqa: ARG002 - true of each of them
        """A repeat does no harm."""
        return Absent()

    async def deliver(self, items: Sequence[Command]) -> Sequence[Outcome]:
        if not self._template:
            return [Delivered()] * len(items)
        return await Batch(self._send, self._alone).deliver(items)

    async def _send(self, items: Sequence[Command]) -> Mapping[int, Outcome]:
        answer = await self._client.ask("POST", PATH, ToldAll, {"inputs": [self._event(item) for item in items]})
        places = {self._id(item): place for place, item in enumerate(items)}
        told: dict[int, Outcome] = {places[one.id]: Delivered() for one in answer.results if one.id in places}
        for trouble in answer.errors:
            told |= {places[id_]: _verdict(trouble) for id_ in about(trouble) if id_ in places}
        return told

    def _event(self, item: Command) -> dict[str, Any]:
        tokens: Mapping[str, str] = item.data.get("tokens", {})
        event = {"eventTemplateId": self._template, "id": self._id(item), "objectId": item.reference, "tokens": tokens}
        return {**event, **({"timestamp": tokens["moment"]} if "moment" in tokens else {})}

    def _id(self, item: Command) -> str:
        """HubSpot wants an id that no other event of the account has."""
        return f"stampcard:{self._client.context.name}:{item.key}"

    def _alone(self, _: Command, failed: CallFailed) -> Outcome:
        return _verdict(failed.trouble) if isinstance(failed.outcome, Rejected) else failed.outcome


def _verdict(trouble: Trouble) -> Outcome:
    if isinstance(trouble.message, str) and _USED in trouble.message:
        return Delivered()
    if trouble.category == MISSING:
        return Rejected(reason="the contact is not there any more", gone=True)
    return Rejected(reason=f"HubSpot refuses the event{in_words(trouble)}: check timeline_template and its tokens")
