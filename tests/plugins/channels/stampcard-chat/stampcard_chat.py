"""A chat: members are told things in it, and what they answer comes back by a webhook."""

import hashlib
from collections.abc import Sequence
from typing import Annotated

import httpx
import msgspec
from pydantic import SecretStr

from stampcard import plugin


class ChatSettings(plugin.PluginSettings):
    token: SecretStr
    webhook_secrets: tuple[SecretStr, ...]
    api_url: str = "https://api.chat.example"


class Said(msgspec.Struct):
    address: Annotated[str, msgspec.Meta(min_length=1)] = msgspec.field(name="from")
    text: Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")]
    key: Annotated[str, msgspec.Meta(min_length=1)] = msgspec.field(name="id")


class ChatWebhooks(plugin.WebhookSource):
    def __init__(self, settings: ChatSettings) -> None:
        self._secrets = [secret.get_secret_value().encode() for secret in settings.webhook_secrets]

    def verify(self, request: plugin.UnverifiedRequest) -> plugin.VerifiedRequest:
        plugin.check_hmac_sha256_base64(self._secrets, request.body, request.header("chat-signature"))
        return plugin.VerifiedRequest(topic="message", body=request.body)

    def delivery_key(self, request: plugin.VerifiedRequest) -> str:
        return hashlib.sha256(request.body).hexdigest()

    def events(self, delivery: plugin.Delivery) -> Sequence[plugin.MessageReceived]:
        if delivery.topic != "message":
            return ()
        try:
            told = msgspec.structs.asdict(msgspec.json.decode(delivery.body, type=Said))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise plugin.MalformedPayload(f"not what the chat sends: {error}") from None
        return (plugin.MessageReceived(channel="chat", occurred_at=delivery.received_at, **told),)


class Chat(plugin.Channel):
    name, needs, hears, disturbs = "chat", "reference", True, True

    def __init__(self, context: plugin.ConnectionContext[ChatSettings]) -> None:
        self._http, self._url = context.http, f"{context.settings.api_url}/messages"
        self._headers = {"authorization": f"Bearer {context.settings.token.get_secret_value()}"}

    async def send(self, messages: Sequence[plugin.Message]) -> Sequence[plugin.Outcome]:
        return [await self._say({"to": message.to, "text": message.text}) for message in messages]

    async def _say(self, said: dict[str, str]) -> plugin.Outcome:
        try:
            answer = await self._http.post(self._url, json=said, headers=self._headers)
        except httpx.HTTPError as error:
            unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            return (plugin.RetryLater if unsent else plugin.Unknown)(reason=f"no answer: {type(error).__name__}")
        status, reason = answer.status_code, f"the chat answered {answer.status_code}"
        if answer.is_success or status in {500, 502, 504}:
            return plugin.Delivered() if answer.content == b"sent" else plugin.Unknown(reason=reason)
        if status in {400, 404, 422}:
            return plugin.Rejected(reason=reason, because="address" if status == httpx.codes.NOT_FOUND else "")
        seconds = answer.headers.get("retry-after", "")[:6]
        return plugin.RetryLater(reason=reason, after=int(seconds) if seconds.isdecimal() else None)


@plugin.hookimpl
def plugin_manifest() -> plugin.PluginManifest:
    return plugin.PluginManifest(name="chat", summary="Messages in a chat, and answers", settings=ChatSettings)


@plugin.hookimpl
async def connect(context: plugin.ConnectionContext[ChatSettings]) -> plugin.Capabilities:
    return plugin.Capabilities(webhook=ChatWebhooks(context.settings), channels=(Chat(context),))
