from __future__ import annotations

from stampcard.plugin import Capabilities, ConnectionContext, Health, PluginManifest, hookimpl
from stampcard_twilio.calling import CallFailed, Client
from stampcard_twilio.sending import SmsChannel
from stampcard_twilio.settings import TwilioSettings
from stampcard_twilio.webhooks import TwilioWebhooks

__all__ = ["TwilioSettings", "connect", "plugin_manifest"]


@hookimpl
def plugin_manifest() -> PluginManifest:
    return PluginManifest(
        name="twilio",
        summary="Twilio: text messages out, reports and replies in",
        settings=TwilioSettings,
        asks=("account_sid", "auth_token", "sender"),
    )


@hookimpl
async def connect(context: ConnectionContext[TwilioSettings]) -> Capabilities:
    client, settings = Client(context), context.settings

    async def check_health() -> Health:
        try:
            problem = await client.ping()
        except CallFailed as failed:
            problem = failed.outcome.reason
        return Health(ok=not problem, problem=problem)

    return Capabilities(
        webhook=TwilioWebhooks(settings),
        channels=(SmsChannel(client, settings, context.clock),),
        check_health=check_health,
    )
