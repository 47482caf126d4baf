"""Posted letters: a service prints a hundred at once, and knows members' addresses by a reference of its own."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import httpx
import msgspec
from pydantic import SecretStr

from stampcard import plugin

PAGE, PAGES = 1800, 8
UNFIT = plugin.Rejected(reason="a letter has text, and at most eight pages of it")
STATES: Mapping[str, plugin.Outcome] = {
    "taken": plugin.Delivered(result={"state": "queued"}),
    "nobody": plugin.Rejected(reason="nobody lives at that address", because="address"),
}
UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
TROUBLE = (httpx.HTTPError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class LetterSettings(plugin.PluginSettings):
    key: SecretStr
    api_url: str = "https://api.letters.example"


class Letter(msgspec.Struct):
    key: str
    state: str  # taken, nobody, none


class Letters(plugin.Channel):
    name, batch_size, visible_after = "letter", 100, timedelta(minutes=10)
    form, needs = "mail", "reference"

    def __init__(self, context: plugin.ConnectionContext[LetterSettings]) -> None:
        self._http, self._url = context.http, context.settings.api_url
        self._headers = {"authorization": f"Bearer {context.settings.key.get_secret_value()}"}

    async def send(self, messages: Sequence[plugin.Message]) -> Sequence[plugin.Outcome]:
        fit = {message.id: message for message in messages if message.text and self.parts(message) <= PAGES}
        told, otherwise = await self._printed(list(fit.values())) if fit else ({}, UNFIT)
        return [STATES.get(told.get(one.id, ""), otherwise) if one.id in fit else UNFIT for one in messages]

    async def lookup(self, message: plugin.Message, attempted_at: datetime) -> plugin.Lookup:  # noqa: ARG002
        try:
            answer = await self._http.get(f"{self._url}/letters", params={"key": message.id}, headers=self._headers)
            letter = msgspec.json.decode(answer.raise_for_status().content, type=Letter)
        except TROUBLE as error:
            return plugin.Unknown(reason=f"the service does not tell: {type(error).__name__}")
        found: Mapping[str, plugin.Lookup] = {"taken": plugin.Done(), "none": plugin.Absent()}
        return found.get(letter.state) or plugin.Unknown(reason="the service does not tell")

    def parts(self, message: plugin.Message) -> int:
        return max(1, -(-len(message.text) // PAGE))

    async def _printed(self, messages: Sequence[plugin.Message]) -> tuple[Mapping[str, str], plugin.Outcome]:
        letters = [{"key": one.id, "to": one.to, "title": one.subject, "text": one.text} for one in messages]
        try:
            answer = await self._http.post(f"{self._url}/batches", json=letters, headers=self._headers)
            told = msgspec.json.decode(answer.content, type=list[Letter]) if answer.is_success else []
        except TROUBLE as error:
            reason = f"no answer from the service: {type(error).__name__}"
            return {}, plugin.RetryLater(reason=reason) if isinstance(error, UNSENT) else plugin.Unknown(reason=reason)
        reason = f"the service answered {answer.status_code}"
        if answer.is_success or answer.status_code in {500, 502, 504}:
            return {one.key: one.state for one in told}, plugin.Unknown(reason=reason)
        seconds = answer.headers.get("retry-after", "")[:6]
        return {}, plugin.RetryLater(reason=reason, after=int(seconds) if seconds.isdecimal() else None)


@plugin.hookimpl
def plugin_manifest() -> plugin.PluginManifest:
    return plugin.PluginManifest(name="letter", summary="Posted letters", settings=LetterSettings)


@plugin.hookimpl
async def connect(context: plugin.ConnectionContext[LetterSettings]) -> plugin.Capabilities:
    return plugin.Capabilities(channels=(Letters(context),))
