from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import msgspec

from stampcard.plugin import Absent, BalancePush, Command, ConnectionContext, Delivered, Lookup, Outcome, Sink
from stampcard_standard_webhooks.notices import KIND
from stampcard_standard_webhooks.posting import SCHEDULE, post
from stampcard_standard_webhooks.signing import key_of

if TYPE_CHECKING:
    from stampcard_standard_webhooks.settings import StandardWebhooksSettings

#: What a member's newest figures are called outside.
BALANCE = "member.balance"


class WebhookSink(Sink[Command]):
    """Posts each notice to `url`; what the settings leave out counts as told."""

    kind = KIND
    retry = SCHEDULE
    # A receiver knows a repeated webhook by its id.
    idempotent = True
    visible_after = timedelta(0)

    def __init__(self, context: ConnectionContext[StandardWebhooksSettings]) -> None:
        self._context = context
        self._keys = keys_of(context.settings)

    async def deliver(self, items: Sequence[Command]) -> Sequence[Outcome]:
        return [await self._tell(item) for item in items]

    async def lookup(self, command: Command) -> Lookup:  # noqa: ARG002 - true of each of them
        """Nobody can be asked, and a repeat does no harm: so it is sent again."""
        return Absent()

    async def _tell(self, item: Command) -> Outcome:
        if not any(fnmatchcase(item.data["type"], pattern) for pattern in self._context.settings.events):
            return Delivered()
        return await post(self._context, self._context.settings.url or "", self._keys, item.key, item.data, "url")


class BalanceSink(Sink[BalancePush]):
    """Posts each member's newest figures to `state_url`, under the member's reference at this connection."""

    kind = "balance"
    retry = SCHEDULE
    idempotent = True

    def __init__(self, context: ConnectionContext[StandardWebhooksSettings]) -> None:
        self._context = context
        self._keys = keys_of(context.settings)

    async def deliver(self, items: Sequence[BalancePush]) -> Sequence[Outcome]:
        return [await self._tell(item) for item in items]

    async def _tell(self, item: BalancePush) -> Outcome:
        told = {"type": BALANCE, "timestamp": self._context.clock.now().astimezone(UTC), "data": figures(item)}
        url = self._context.settings.state_url or ""
        return await post(self._context, url, self._keys, id_of(item), told, "state_url")


def figures(item: BalancePush) -> Mapping[str, Any]:
    """What is told of a member: nothing personal but how this connection calls them."""
    return {
        "member": item.member,
        "reference": item.reference,
        "version": item.version,
        "balances": dict(sorted(item.balances.items())),
    }


def id_of(item: BalancePush) -> str:
    """The same for the same figures: a digest, because an id must hold no dot."""
    return f"msg_{hashlib.sha256(msgspec.json.encode(figures(item))).hexdigest()[:32]}"


def keys_of(settings: StandardWebhooksSettings) -> tuple[bytes, ...]:
    """What is signed with."""
    return tuple(key_of(secret.get_secret_value()) for secret in settings.secrets)
