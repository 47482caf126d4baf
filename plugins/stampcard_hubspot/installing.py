"""The way of an app into an account: a person opens the address, agrees at HubSpot, and a token comes back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from stampcard.plugin import (
    ConnectionContext,
    InvalidSignature,
    MalformedPayload,
    Reply,
    Route,
    UnverifiedRequest,
    Visits,
)
from stampcard_hubspot.subscribing import steps
from stampcard_hubspot.tokens import INSTALL, Tokens

if TYPE_CHECKING:
    from stampcard_hubspot.settings import HubSpotSettings

INSTALLED = "installed"
AUTHORIZE = "/oauth/authorize"
#: How long a person may take to agree.
PATIENCE = timedelta(minutes=15)
_LONGEST, _MOST = 16_384, 50


class Installing:
    """The addresses of an installation: `install`, where a person begins, and `installed`, where it ends.

    By https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/oauth/oauth-quickstart-guide.
    """

    def __init__(self, context: ConnectionContext[HubSpotSettings], tokens: Tokens) -> None:
        self._context, self._settings, self._tokens = context, context.settings, tokens
        self._visits = Visits(context, PATIENCE)
        base = context.public_url.rstrip("/")
        self._back = f"{base}/connections/{context.name}/{INSTALLED}"
        self._webhooks = f"{base}/webhooks/{context.name}"

    def routes(self) -> tuple[Route, ...]:
        """What is served."""
        return (
            Route(method="GET", path=INSTALL, handler=self.install),
            Route(method="GET", path=INSTALLED, handler=self.installed),
        )

    async def install(self, _: UnverifiedRequest) -> Reply:
        """Send a person to HubSpot to agree."""
        query = {
            "client_id": self._settings.client_id or "",
            "redirect_uri": self._back,
            "scope": " ".join(self._settings.scopes),
            "state": await self._visits.begin(),
        }
        page = self._settings.authorize_url.rstrip("/").removesuffix(AUTHORIZE) + AUTHORIZE
        return Reply(status=302, location=f"{page}?{urlencode(query)}")

    async def installed(self, request: UnverifiedRequest) -> Reply:
        """Take the code that HubSpot sends a person back with."""
        found = _parameters(request.url.partition("?")[2])
        if not await self._visits.end(found.get("state", "")):
            raise InvalidSignature(
                f"this installation was not begun here, or too long ago: open {self._tokens.address}"
            )
        if not found.get("code"):
            raise MalformedPayload(f"HubSpot sent no code, as when somebody declines: open {self._tokens.address}")
        kept = await self._tokens.install(found["code"], self._back)
        lines = [f"Stampcard is let into the account {self._settings.portal_id}. This page can be closed."]
        missing = missing_scopes(self._settings, kept.scopes)
        if missing:
            lines.append(f"The account did not allow: {', '.join(missing)}.")
        lines += ["What is left to do by hand, once:", *steps(self._settings, self._webhooks)]
        return Reply(body="\n".join([*lines, ""]).encode(), resumes=True)


def missing_scopes(settings: HubSpotSettings, granted: tuple[str, ...]) -> list[str]:
    """What was asked for and not allowed, where HubSpot says what was."""
    return [scope for scope in settings.scopes if scope not in granted] if granted else []


def _parameters(query: str) -> dict[str, str]:
    """The parameters of a query; raises MalformedPayload for one that HubSpot never sends."""
    try:
        pairs = parse_qsl(query[: _LONGEST + 1], keep_blank_values=True, max_num_fields=_MOST)
    except ValueError:
        raise MalformedPayload("the query has too many parameters") from None
    found = dict(pairs)
    if len(query) > _LONGEST or len(found) != len(pairs):
        raise MalformedPayload("the query is too long, or says something twice")
    return found
