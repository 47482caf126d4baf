"""Posted letters: a service prints a hundred at once, and knows members' addresses by a reference of its own."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal
from urllib.parse import quote

import httpx
import msgspec
from pydantic import SecretStr

from stampcard import plugin

PAGE, PAGES = 1800, 8


class LetterSettings(plugin.PluginSettings):
    key: SecretStr
    price: Decimal = Decimal("0.85")
    api_url: str = "https://api.letters.example"


class Letter(msgspec.Struct):
    key: str
    state: Literal["taken", "nobody", "none"]


class Letters(plugin.Channel):
    name, batch_size, visible_after = "letter", 100, timedelta(minutes=10)
    form: plugin.Form = "mail"
    needs: plugin.Need = "reference"

    def __init__(self, context: plugin.ConnectionContext[LetterSettings]) -> None:
        self._http, self._settings = context.http, context.settings
        self._headers = {"authorization": f"Bearer {context.settings.key.get_secret_value()}"}

    async def send(self, messages: Sequence[plugin.Message]) -> Sequence[plugin.Outcome]:
        fit = [message for message in messages if self.parts(message) <= PAGES and message.text]
        told = await self._printed(fit) if fit else {}
        unfit = plugin.Rejected(reason=f"a letter has text for one to {PAGES} pages")
        return [told.get(message.id, unfit) for message in messages]

    async def lookup(self, message: plugin.Message, attempted_at: datetime) -> plugin.Lookup:  # noqa: ARG002 - others need it
        try:
            answer = await self._call("GET", f"/letters/{quote(message.id, safe='')}")
            letter = msgspec.json.decode(answer.content, type=Letter)
        except (httpx.HTTPError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return plugin.Unknown(reason=f"the service does not tell: {type(error).__name__}")
        return plugin.Absent() if letter.state == "none" else plugin.Done(result={"id": letter.key})

    def parts(self, message: plugin.Message) -> int:
        return max(1, -(-len(message.text) // PAGE))

    def price(self) -> Decimal:
        return self._settings.price

    async def _printed(self, messages: Sequence[plugin.Message]) -> Mapping[str, plugin.Outcome]:
        letters = [{"key": one.id, "to": one.to, "title": one.subject, "text": one.text} for one in messages]
        try:
            answer = await self._call("POST", "/batches", json=letters)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return _alike(messages, plugin.RetryLater(reason=f"the service is not there: {type(error).__name__}"))
        except httpx.HTTPError as error:
            return _alike(messages, plugin.Unknown(reason=f"no answer from the service: {type(error).__name__}"))
        unknown = _alike(messages, plugin.Unknown(reason=f"the service answered {answer.status_code}"))
        if answer.status_code in {500, 502, 504}:
            return unknown
        if not answer.is_success:
            seconds = answer.headers.get("retry-after", "")[:6]
            after = int(seconds) if seconds.isdecimal() else None
            reason = f"the service took no letter ({answer.status_code})"
            return _alike(messages, plugin.RetryLater(reason=reason, after=after))
        try:
            told = {letter.key: letter for letter in msgspec.json.decode(answer.content, type=list[Letter])}
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return unknown
        return {**unknown, **{one.id: _outcome(told[one.id]) for one in messages if one.id in told}}

    async def _call(self, method: str, path: str, **sent: object) -> httpx.Response:
        return await self._http.request(method, self._settings.api_url + path, headers=self._headers, **sent)


def _alike(messages: Sequence[plugin.Message], outcome: plugin.Outcome) -> dict[str, plugin.Outcome]:
    return {message.id: outcome for message in messages}


def _outcome(letter: Letter) -> plugin.Outcome:
    if letter.state == "taken":
        return plugin.Delivered(result={"id": letter.key, "state": "queued"})
    return plugin.Rejected(reason="nobody lives at that address", because="address")


@plugin.hookimpl
def plugin_manifest() -> plugin.PluginManifest:
    return plugin.PluginManifest(name="letter", summary="Posted letters", settings=LetterSettings)


@plugin.hookimpl
async def connect(context: plugin.ConnectionContext[LetterSettings]) -> plugin.Capabilities:
    return plugin.Capabilities(channels=(Letters(context),))
