from __future__ import annotations

from collections.abc import Iterable

from stampcard.plugin import (
    Capabilities,
    Change,
    Command,
    ConnectionContext,
    Health,
    Identity,
    PluginManifest,
    hookimpl,
)
from stampcard_hubspot.calling import CallFailed
from stampcard_hubspot.cleaning import HubSpotCleaner
from stampcard_hubspot.client import Client
from stampcard_hubspot.contacts import HubSpotContacts
from stampcard_hubspot.fetching import ContactFetch
from stampcard_hubspot.installing import Installing, missing_scopes
from stampcard_hubspot.payloads import Found
from stampcard_hubspot.reading import Reader
from stampcard_hubspot.settings import ContactMap, HubSpotSettings
from stampcard_hubspot.subscribing import HubSpotSubscriptions
from stampcard_hubspot.timeline import TimelineSink, commands
from stampcard_hubspot.webhooks import HubSpotWebhooks

__all__ = ["HubSpotSettings", "connect", "outbound_commands", "plugin_manifest"]


@hookimpl
def plugin_manifest() -> PluginManifest:
    return PluginManifest(
        name="hubspot",
        summary="HubSpot: contacts in both directions",
        settings=HubSpotSettings,
        asks=("portal_id", "access_token", "webhook_secrets"),
    )


@hookimpl
async def connect(context: ConnectionContext[HubSpotSettings]) -> Capabilities:
    client, settings, fields = Client(context), context.settings, ContactMap(context.settings)
    reader = Reader(client, fields)

    async def check_health() -> Health:
        try:
            return await _health(client)
        except CallFailed as failed:
            return Health(ok=False, problem=failed.outcome.reason, open=client.tokens.to_open)

    return Capabilities(
        webhook=HubSpotWebhooks(settings),
        subscriptions=HubSpotSubscriptions(settings),
        sinks=(TimelineSink(client),),
        fetch=ContactFetch(reader),
        contacts=HubSpotContacts(client, fields, reader),
        clean=HubSpotCleaner(client, fields),
        routes=Installing(context, client.tokens).routes() if client.tokens.is_installed_app else (),
        check_health=check_health,
    )


@hookimpl
def outbound_commands(change: Change, identity: Identity | None) -> Iterable[Command]:
    """What is shown on the timeline of a contact that is known; a connection without a template leaves it out."""
    return list(commands(change, identity.reference)) if identity is not None else []


async def _health(client: Client) -> Health:
    """Whether the token is of the right account, and may read contacts; raises CallFailed."""
    settings, tokens = client.context.settings, client.tokens
    account = await client.account()
    if account != settings.portal_id:
        return Health(ok=False, problem=f"the token is of the account {account}: check portal_id and {tokens.blame}")
    await client.ask("GET", client.path("objects"), Found, query={"limit": "1"})
    kept = await tokens.stored() if tokens.is_installed_app else None
    missing = missing_scopes(settings, kept.scopes) if kept is not None else []
    if missing:
        problem = f"the account does not allow {', '.join(missing)}: install the app again, or leave them out of scopes"
        return Health(ok=False, problem=problem, open=tokens.address)
    return Health(ok=True)
