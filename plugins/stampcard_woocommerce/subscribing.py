"""What the shop sends to our webhook address, looked up and set by its REST API."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from stampcard.plugin import Audit, PluginError, Subscribed, Subscriptions
from stampcard_woocommerce.batching import Verb, batched
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.fetching import PAGE
from stampcard_woocommerce.payloads import Id, Payload

if TYPE_CHECKING:
    from stampcard_woocommerce.plugin import WooCommerceSettings

TOPICS = (
    "order.created",
    "order.updated",
    "order.deleted",
    "order.restored",
    "customer.created",
    "customer.updated",
    "customer.deleted",
)
#: Why a webhook in another status than active sends nothing (class-wc-webhook.php).
_STATUSES: Mapping[str, str] = {
    "paused": "was paused at the shop",
    "disabled": "was switched off: WooCommerce does so after seven failures in a row, or somebody did",
}


class Hook(Payload, frozen=True):
    """A webhook of the shop; neither its secret nor the version of its bodies is told."""

    id: Id
    topic: str
    status: str
    delivery_url: str


class WooCommerceSubscriptions(Subscriptions):
    """The shop's webhooks, whoever made them. Whether their secret is ours cannot be seen, so `mend` always sets it."""

    def __init__(self, client: Client, settings: WooCommerceSettings) -> None:
        self._client = client
        self._secret = settings.webhook_secrets[0].get_secret_value()

    async def look(self, address: str) -> Audit:
        return self._audited(address, await self._hooks())

    async def mend(self, address: str, but: Collection[str] = ()) -> Audit:
        hooks = await self._hooks()
        audit = self._audited(address, hooks)
        kept = {one.topic: one.id for one in audit.good}
        gone: list[int] = []
        for one in audit.wrong:
            # Of two for the same topic one is enough.
            if one.topic in kept:
                gone.append(int(one.id))
            else:
                kept[one.topic] = one.id
        missing = [topic for topic in TOPICS if topic not in {*but, *kept}]
        changes: dict[Verb, Sequence[Any]] = {
            "create": [self._made(topic, address) for topic in missing],
            "update": [{"id": int(id_), "status": "active", "secret": self._secret} for id_ in kept.values()],
            "delete": gone,
        }
        done = await batched(self._client, "webhooks", changes, again=False)
        refused = {one.error.word for verb in done.values() for one in verb if one.error is not None}
        after = self._audited(address, await self._hooks())
        said = tuple(f"WooCommerce refuses some of it: {word}" for word in sorted(refused))
        return msgspec.structs.replace(after, by_hand=(*said, *after.by_hand))

    async def end(self, address: str) -> int:
        ours = [hook.id for hook in await self._hooks() if _same(hook.delivery_url, address)]
        done = await batched(self._client, "webhooks", {"delete": ours})
        refused = {one.error.word for one in done["delete"] if one.error is not None}
        if refused:
            raise PluginError("woocommerce", f"WooCommerce refuses to delete webhooks: {', '.join(sorted(refused))}")
        return len(ours)

    def _made(self, topic: str, address: str) -> dict[str, str]:
        return {
            "name": f"Stampcard: {topic}",
            "topic": topic,
            "delivery_url": address,
            "secret": self._secret,
            "status": "active",
        }

    async def _hooks(self) -> list[Hook]:
        """All of them; by pages, for this collection knows no `offset` (class-wc-rest-webhooks-v1-controller.php)."""
        found: list[Hook] = []
        for number in count(1):
            query: dict[str, str | int] = {"per_page": PAGE, "page": number, "orderby": "id", "order": "asc"}
            page, total = await self._client.listed("webhooks", Hook, query | {"status": "all"})
            found += page
            if not page or len(found) >= total:
                break
        return found

    def _audited(self, address: str, hooks: Sequence[Hook]) -> Audit:
        good: list[Subscribed] = []
        wrong: list[Subscribed] = []
        foreign: list[Subscribed] = []
        for hook in hooks:
            if hook.topic not in TOPICS:
                continue
            one = Subscribed(topic=hook.topic, address=hook.delivery_url, id=str(hook.id))
            if not _same(hook.delivery_url, address):
                foreign.append(one)
                continue
            twice = hook.topic in {known.topic for known in good}
            problem = "comes twice" if twice else _problem(hook)
            (wrong if problem else good).append(msgspec.structs.replace(one, problem=problem))
        here = {one.topic for one in (*good, *wrong)}
        missing = tuple(topic for topic in TOPICS if topic not in here)
        return Audit(good=tuple(good), wrong=tuple(wrong), missing=missing, foreign=tuple(foreign))


def _problem(hook: Hook) -> str:
    if hook.status == "active":
        return ""
    return _STATUSES.get(hook.status, "is not active")


def _same(one: str, other: str) -> bool:
    """Whether two addresses are one."""
    return _normal(one) == _normal(other)


def _normal(address: str) -> tuple[str, str, str]:
    try:
        parts = urlsplit(address)
    except ValueError:
        return "", address, ""
    return parts.scheme, parts.netloc.lower(), parts.path.rstrip("/")
