from __future__ import annotations

from datetime import UTC, date, timedelta

import msgspec

from stampcard.plugin import (
    Capabilities,
    ConnectionContext,
    Health,
    PluginError,
    PluginManifest,
    hookimpl,
)
from stampcard_google_wallet.calling import Request
from stampcard_google_wallet.classes import LOYALTY
from stampcard_google_wallet.cleaning import GoogleWalletCleaner
from stampcard_google_wallet.client import Client
from stampcard_google_wallet.keys import RootKeys
from stampcard_google_wallet.messaging import WalletChannel
from stampcard_google_wallet.passes import GoogleWalletPasses
from stampcard_google_wallet.settings import GoogleWalletSettings
from stampcard_google_wallet.webhooks import GoogleWalletWebhooks

__all__ = ["GoogleWalletSettings", "connect", "plugin_manifest"]

#: How long before its end a key is warned of.
WARNED = timedelta(days=30)


class _Classes(msgspec.Struct, frozen=True):
    resources: tuple[dict[str, object], ...] = ()


@hookimpl
def plugin_manifest() -> PluginManifest:
    return PluginManifest(
        name="google_wallet",
        summary="Google Wallet: members' cards in their phones",
        settings=GoogleWalletSettings,
        asks=("issuer_id", "service_account"),
    )


@hookimpl
async def connect(context: ConnectionContext[GoogleWalletSettings]) -> Capabilities:
    client, settings, keys = Client(context), context.settings, RootKeys(context)
    passes = GoogleWalletPasses(client, settings)
    await keys.begin()

    async def check_health() -> Health:
        try:
            await _try(client, keys)
        except PluginError as error:
            return Health(ok=False, problem=error.problem)
        return _health_of_key(settings.key_expires, context.clock.now().astimezone(UTC).date())

    return Capabilities(
        webhook=GoogleWalletWebhooks(settings, keys),
        sinks=(passes,),
        channels=(WalletChannel(client, settings.issuer_id),),
        clean=GoogleWalletCleaner(passes),
        check_health=check_health,
    )


async def _try(client: Client, keys: RootKeys) -> None:
    """Find out whether Google takes what we ask for; raises CallFailed, or the store's PluginError."""
    settings = client.context.settings
    # Whoever may see the classes of an issuer may make them, and cards; other things of it are for its owner.
    request = Request("GET", f"{LOYALTY}?issuerId={settings.issuer_id}&maxResults=1")
    answer = await client.one(request)
    if answer.read(_Classes) is None:
        raise client.failure(answer, request)
    await keys.refresh()


def _health_of_key(ends: date | None, today: date) -> Health:
    """Whether the service account's key has ended, or is about to."""
    if ends is None or ends > today + WARNED:
        return Health(ok=True)
    how = "ended" if ends < today else "ends"
    remedy = "make another, and change service_account and key_expires"
    return Health(ok=ends >= today, problem=f"the key of the service account {how} on {ends}: {remedy}")
