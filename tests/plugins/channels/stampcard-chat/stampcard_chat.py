"""A chat: members are told things in it, and what they answer comes back by a webhook."""

import hashlib
from collections.abc import Sequence
from typing import Annotated

import httpx
import msgspec
from pydantic import SecretStr

from stampcard import plugin

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class ChatSettings(plugin.PluginSettings):
    token: SecretStr
    webhook_secrets: tuple[SecretStr, ...]
    api_url: str = "https://api.chat.example"


class Said(msgspec.Struct):
    sender: Text = msgspec.field(name="from")
    text: str
    id: Text


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
            said = msgspec.json.decode(delivery.body, type=Said)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise plugin.MalformedPayload(f"not what the chat sends: {error}") from None
        told = {"channel": "chat", "address": said.sender, "key": said.id, "text": said.text.replace("\x00", "")}
        return (plugin.MessageReceived(occurred_at=delivery.received_at, **told),)


class Chat(plugin.Channel):
    name, needs, hears, disturbs = "chat", "reference", True, True

    def __init__(self, context: plugin.ConnectionContext[ChatSettings]) -> None:
        self._http, self._url = context.http, context.settings.api_url
        self._headers = {"authorization": f"Bearer {context.settings.token.get_secret_value()}"}

    async def send(self, messages: Sequence[plugin.Message]) -> Sequence[plugin.Outcome]:
        return [await self._say(message) for message in messages]

    async def _say(self, message: plugin.Message) -> plugin.Outcome:
        said = {"to": message.to, "text": message.text}
        try:
            answer = await self._http.post(f"{self._url}/messages", json=said, headers=self._headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return plugin.RetryLater(reason=f"the chat cannot be reached: {type(error).__name__}")
        except httpx.HTTPError as error:
            return plugin.Unknown(reason=f"no answer from the chat: {type(error).__name__}")
        reason = f"the chat answered {answer.status_code}"
        if answer.status_code in {400, 404, 422}:
            return plugin.Rejected(reason=reason, because="address" if answer.status_code == httpx.codes.NOT_FOUND else "")
        if not answer.is_success and answer.status_code not in {500, 502, 504}:
            seconds = answer.headers.get("retry-after", "")[:6]
            return plugin.RetryLater(reason=reason, after=int(seconds) if seconds.isdecimal() else None)
        taken = answer.is_success and answer.content.startswith(b'{"id":') and len(answer.content) < 100
        return plugin.Delivered(result={"state": "queued"}) if taken else plugin.Unknown(reason=reason)


@plugin.hookimpl
def plugin_manifest() -> plugin.PluginManifest:
    return plugin.PluginManifest(name="chat", summary="Messages in a chat, and answers", settings=ChatSettings)


@plugin.hookimpl
async def connect(context: plugin.ConnectionContext[ChatSettings]) -> plugin.Capabilities:
    return plugin.Capabilities(webhook=ChatWebhooks(context.settings), channels=(Chat(context),))
