from __future__ import annotations

from collections.abc import Iterable

from stampcard.plugin import Capabilities, Change, Command, ConnectionContext, PluginManifest, hookimpl
from stampcard_standard_webhooks.notices import command, notices
from stampcard_standard_webhooks.sending import BalanceSink, WebhookSink
from stampcard_standard_webhooks.settings import StandardWebhooksSettings
from stampcard_standard_webhooks.webhooks import GenericWebhooks

__all__ = ["StandardWebhooksSettings", "connect", "outbound_commands", "plugin_manifest"]


@hookimpl
def plugin_manifest() -> PluginManifest:
    return PluginManifest(
        name="standard_webhooks",
        summary="Standard Webhooks: takes in what any shop or till tells, and tells your own systems what changes",
        settings=StandardWebhooksSettings,
        asks=("url", "secrets", "webhook_secrets"),
    )


@hookimpl
async def connect(context: ConnectionContext[StandardWebhooksSettings]) -> Capabilities:
    settings = context.settings
    notified = (WebhookSink(context),) if settings.url is not None else ()
    shown = (BalanceSink(context),) if settings.state_url is not None else ()
    source = GenericWebhooks(settings) if settings.webhook_secrets else None
    return Capabilities(webhook=source, sinks=(*notified, *shown))


@hookimpl
def outbound_commands(change: Change) -> Iterable[Command]:
    """A webhook for each thing that a change is told as; each connection's sink leaves out what its settings do."""
    return [command(change, notice) for notice in notices(change)]
