"""How a shop owner hands the shop's keys over: one click at the shop, and WooCommerce sends them here.

https://woocommerce.github.io/woocommerce-rest-api-docs/#auto-generating-api-keys-using-our-application-api
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlencode

import msgspec

from stampcard.plugin import (
    ConnectionContext,
    InvalidSignature,
    MalformedPayload,
    PluginError,
    Reply,
    Route,
    Subscriptions,
    UnverifiedRequest,
    Visits,
)
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.decoding import read
from stampcard_woocommerce.keys import Pair
from stampcard_woocommerce.payloads import Payload

if TYPE_CHECKING:
    from stampcard_woocommerce.plugin import WooCommerceSettings

#: How long a shop owner may take.
PATIENCE = timedelta(minutes=30)
_Word = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Handed(Payload, frozen=True):
    """What WooCommerce sends; `user_id` is what we gave it along (class-wc-auth.php)."""

    user_id: _Word
    consumer_key: _Word
    consumer_secret: _Word
    key_permissions: str

    def __repr__(self) -> str:
        return "Handed(…)"


class Installation:
    """Three addresses: where the owner begins, where the shop sends the keys, and where the owner comes back to."""

    def __init__(
        self, client: Client, context: ConnectionContext[WooCommerceSettings], subscriptions: Subscriptions
    ) -> None:
        self._client, self._context = client, context
        self._address = f"{context.public_url.rstrip('/')}/connections/{context.name}"
        self._subscriptions = subscriptions
        self._visits = Visits(context, PATIENCE)
        self._due = f"webhooks {context.settings.api_url}"

    def routes(self) -> tuple[Route, ...]:
        return (
            Route(method="GET", path="install", handler=self.begin),
            Route(method="POST", path="keys", handler=self.take),
            Route(method="GET", path="installed", handler=self.end),
        )

    async def begin(self, _: UnverifiedRequest) -> Reply:
        if self._client.keys.is_fixed:
            return _page("The keys of this shop stand in the settings: nothing is handed over.", 409)
        query = {
            "app_name": "Stampcard",
            "scope": "read_write",
            "user_id": await self._visits.begin(),
            "return_url": f"{self._address}/installed",
            "callback_url": f"{self._address}/keys",
        }
        shop = self._context.settings.shop.rstrip("/")
        return Reply(status=302, location=f"{shop}/wc-auth/v1/authorize?{urlencode(query)}")

    async def take(self, request: UnverifiedRequest) -> Reply:
        """Keep the keys, once they were tried; WooCommerce takes them back if it hears anything but 200."""
        if self._client.keys.is_fixed:
            raise InvalidSignature("the keys of this shop stand in the settings: nobody was sent to hand others over")
        handed = read(request.body, Handed)
        if not await self._visits.end(handed.user_id):
            raise InvalidSignature(f"this is not known here, or it took too long: open {self._address}/install again")
        if handed.key_permissions != "read_write":
            raise MalformedPayload("the keys may not both read and write")
        pair = Pair(handed.consumer_key, handed.consumer_secret)
        await self._client.try_(pair)
        await self._client.keys.keep(pair)
        await self._context.store.set(self._due, b"due")
        self._context.log.info("keys_handed_over")
        return _page("kept", resumes=True)

    async def end(self, _: UnverifiedRequest) -> Reply:
        """Say how it went. The webhooks are set up now, for while the keys came the shop was waiting for us."""
        if not self._client.keys.is_fixed and await self._client.keys.stored() is None:
            return _page(f"Stampcard got no keys. To try again, open {self._address}/install")
        lines = ["Stampcard has the keys of the shop. This page can be closed."]
        if await self._is_due():
            lines += await self._mended()
        return _page("\n".join(lines))

    async def _is_due(self) -> bool:
        """Whether the webhooks are still to be set up; of all who ask, one is to do it."""
        store = self._context.store
        if await store.get(self._due) != b"due":
            return False
        async with store.hold(self._due):
            is_due = await store.get(self._due) == b"due"
            if is_due:
                await store.set(self._due, b"done")
        return is_due

    async def _mended(self) -> list[str]:
        name = self._context.name
        try:
            audit = await self._subscriptions.mend(f"{self._context.public_url.rstrip('/')}/webhooks/{name}")
        except PluginError as error:
            return [f"Its webhooks are still to be set up ({error.problem}): connection webhooks {name} --fix"]
        missing = [f"{topic} could not be set up." for topic in audit.missing]
        return [f"It sends {len(audit.good)} kinds of webhooks now.", *missing]


def _page(text: str, status: int = 200, *, resumes: bool = False) -> Reply:
    return Reply(body=f"{text}\n".encode(), status=status, resumes=resumes)
