"""What HubSpot sends to our webhook address, which people alone can set."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from stampcard.plugin import Audit, Subscriptions
from stampcard_hubspot.settings import ContactMap

if TYPE_CHECKING:
    from stampcard_hubspot.settings import HubSpotSettings

EVENTS = ("created", "deleted", "deleted for privacy", "merged", "restored")


class HubSpotSubscriptions(Subscriptions):
    """Asks nothing and says what is to be done: HubSpot lets nobody set a private app's webhooks from outside.

    By https://developers.hubspot.com/docs/api/create-and-edit-webhook-subscriptions-in-private-apps; those of another app are
    set once for all accounts that let it in.
    """

    def __init__(self, settings: HubSpotSettings) -> None:
        self._settings = settings

    async def look(self, address: str) -> Audit:
        return Audit(by_hand=steps(self._settings, address))

    async def mend(self, address: str, but: Collection[str] = ()) -> Audit:  # noqa: ARG002 - nothing is set from here
        return await self.look(address)

    async def end(self, address: str) -> int:  # noqa: ARG002 - nothing is set from here
        return 0


def steps(settings: HubSpotSettings, address: str) -> tuple[str, ...]:
    """What somebody does in HubSpot so that its webhooks come."""
    scopes = (
        ()
        if settings.access_token is None
        else (f"let the private app have the scopes {', '.join(settings.scopes[1:])}",)
    )
    return (
        *scopes,
        f"in HubSpot, open the app's Webhooks (account {settings.portal_id}) and set the target URL to {address}",
        f"subscribe to contacts {', '.join(EVENTS)}",
        f"subscribe to contacts whose property changed: {', '.join(ContactMap(settings).heard)}",
    )
