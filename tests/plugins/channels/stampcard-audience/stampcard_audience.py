"""An advertiser: segments are audiences there, of people whom it knows by hashes of their addresses."""

from collections.abc import Sequence
from typing import ClassVar

import httpx
import msgspec
from pydantic import SecretStr

from stampcard import plugin


class AdvertiserSettings(plugin.AudienceSettings):
    token: SecretStr
    api_url: str = "https://api.advertiser.example"


class Told(msgspec.Struct):
    refused: list[str]


class Advertiser(plugin.AudienceSink):
    batch_size = 50
    hashes: ClassVar[tuple[plugin.HashKind, ...]] = ("email", "phone_digits")

    def __init__(self, context: plugin.ConnectionContext[AdvertiserSettings]) -> None:
        self._http, self._url = context.http, f"{context.settings.api_url}/members"
        self._headers = {"authorization": f"Bearer {context.settings.token.get_secret_value()}"}

    async def deliver(self, items: Sequence[plugin.AudiencePush]) -> Sequence[plugin.Outcome]:
        if not items:
            return ()
        people = [
            {"hashes": [item.hashes[kind] for kind in self.hashes if kind in item.hashes], "add": item.joins,
             "remove": item.leaves}
            for item in items
        ]  # fmt: skip
        try:
            answer = await self._http.post(self._url, json=people, headers=self._headers)
        except httpx.HTTPError as error:
            return [plugin.RetryLater(reason=f"no answer: {type(error).__name__}")] * len(items)
        outcome = _outcome(answer)
        if outcome is not None:
            return [outcome] * len(items)
        try:
            refused = set(msgspec.json.decode(answer.content, type=Told).refused)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [plugin.Unknown(reason="the advertiser's answer says nothing")] * len(items)
        gone = plugin.Rejected(reason="there is no such audience", gone=True)
        return [gone if refused.intersection(item.joins + item.leaves) else plugin.Delivered() for item in items]


def _outcome(answer: httpx.Response) -> plugin.Outcome | None:
    """What became of all items of a call that was not taken."""
    if answer.status_code == httpx.codes.OK:
        return None
    reason = f"the advertiser answered {answer.status_code}"
    if answer.status_code in {400, 404, 422}:
        return plugin.Rejected(reason=reason)
    seconds = answer.headers.get("retry-after", "")[:6]
    return plugin.RetryLater(reason=reason, after=int(seconds) if seconds.isdecimal() and seconds.isascii() else None)


@plugin.hookimpl
def plugin_manifest() -> plugin.PluginManifest:
    return plugin.PluginManifest(name="audience", summary="Segments as audiences", settings=AdvertiserSettings)


@plugin.hookimpl
async def connect(context: plugin.ConnectionContext[AdvertiserSettings]) -> plugin.Capabilities:
    return plugin.Capabilities(sinks=(Advertiser(context),))
