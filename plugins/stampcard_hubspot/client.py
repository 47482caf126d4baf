from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from stampcard.plugin import ConnectionContext, RetryLater
from stampcard_hubspot.calling import call, failure, later
from stampcard_hubspot.payloads import Account
from stampcard_hubspot.quota import BACKGROUND, Quota
from stampcard_hubspot.tokens import Tokens

if TYPE_CHECKING:
    from stampcard_hubspot.settings import HubSpotSettings

T = TypeVar("T")
Query = Mapping[str, str]


class Client:
    """One account's API: knows the token, and how much of the quota is left."""

    def __init__(self, context: ConnectionContext[HubSpotSettings]) -> None:
        self.context = context
        self.tokens = Tokens(context)
        self.quota = Quota(context.clock)
        self._roots = _roots(context.settings.api_version)

    def path(self, area: str, *steps: str) -> str:
        """Where something is in this version of the API."""
        return "/".join([self._roots[area], *(quote(step, safe="") for step in steps)])

    async def ask(self, method: str, path: str, shape: type[T], body: Any = None, *, query: Query | None = None) -> T:
        """The answer in the given shape; raises CallFailed for whatever else comes."""
        response = await self._sent(method, path, body, query)
        try:
            return msgspec.json.decode(response.content, type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise later("HubSpot's answer does not have the published shape") from None

    async def tell(self, method: str, path: str, body: Any = None, *, query: Query | None = None) -> None:
        """Ask for something whose answer says no more than that it was done; raises CallFailed."""
        await self._sent(method, path, body, query)

    async def drop(self, path: str, body: Any) -> None:
        """Have something taken away, of which 204 alone says that it was, for a proxy's page may be a 200; raises CallFailed."""
        response = await self._sent("POST", path, body, None)
        if response.status_code != httpx.codes.NO_CONTENT:
            raise later("HubSpot's answer does not have the published shape")

    async def search(self, shape: type[T], body: Any) -> T:
        """Search contacts, no more often than all may; raises CallFailed."""
        await self.quota.turn_to_search()
        return await self.ask("POST", self.path("objects", "search"), shape, {"after": "0", **body})

    async def account(self) -> int:
        """The number of the account that the token is of; raises CallFailed."""
        return (await self.ask("GET", self.path("account"), Account)).portal_id

    def pace(self) -> float:
        """Seconds until there is quota again."""
        return self.quota.pace()

    async def quota_back(self) -> None:
        """Wait until there is quota, between calls that are made one after the other."""
        await self.context.clock.sleep(self.quota.pace())

    async def give_way(self) -> None:
        """Wait until what people wait for leaves enough of the quota to read in the background."""
        await self.context.clock.sleep(self.quota.pace(BACKGROUND))

    async def _sent(self, method: str, path: str, body: Any, query: Query | None) -> httpx.Response:
        token = await self.tokens.current()
        response = await self._request(method, path, body, query, token)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            response = await self._request(method, path, body, query, await self.tokens.renewed(token))
        if response.is_success:
            return response
        failed = failure(response, self.tokens.blame)
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS and isinstance(failed.outcome, RetryLater):
            self.quota.stopped(failed.outcome.after or 0)
        raise failed

    async def _request(self, method: str, path: str, body: Any, query: Query | None, token: str) -> httpx.Response:
        more: dict[str, Any] = {"params": dict(query)} if query else {}
        headers = {"accept": "application/json", "authorization": f"Bearer {token}"}
        if body is not None:
            more["content"] = msgspec.json.encode(body)
            headers["content-type"] = "application/json"
        response = await call(self.context, method, path, headers=headers, **more)
        self.quota.heard(response)
        return response


def _roots(version: str) -> Mapping[str, str]:
    """Where things are: dated versions stand behind their area, v3 before it; subscriptions had a v4."""
    if version == "v3":
        return {
            "objects": "/crm/v3/objects/contacts",
            "properties": "/crm/v3/properties/contacts",
            "lists": "/crm/v3/lists",
            "account": "/account-info/v3/details",
            "statuses": "/communication-preferences/v4/statuses",
        }
    return {
        "objects": f"/crm/objects/{version}/contacts",
        "properties": f"/crm/properties/{version}/contacts",
        "lists": f"/crm/lists/{version}",
        "account": f"/account-info/{version}/details",
        "statuses": f"/communication-preferences/{version}/statuses",
    }
