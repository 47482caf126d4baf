"""The way of an app into a shop: a person opens the address, agrees at Shopify, and a token comes back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from stampcard.plugin import (
    ConnectionContext,
    InvalidSignature,
    MalformedPayload,
    PluginError,
    Reply,
    Route,
    Subscriptions,
    UnverifiedRequest,
    Visits,
)
from stampcard_shopify.queries import (
    HEX_DIGEST,
    Parameters,
    check_moment,
    check_once,
    check_shop,
    first,
    parameters,
    signed_texts,
)
from stampcard_shopify.sessions import SessionTokens
from stampcard_shopify.signing import check, secrets_of
from stampcard_shopify.tokens import INSTALL, Tokens

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings

INSTALLED = "installed"
#: How long a person may take to agree.
PATIENCE = timedelta(minutes=15)
_ONCE = ("code", "hmac", "host", "id_token", "shop", "state", "timestamp")
_OFFLINE = "urn:shopify:params:oauth:token-type:offline-access-token"
_ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - the name of a kind of token
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"


class Installing:
    """The addresses of an installation: `install`, which is the app's own address, and `installed`, where it ends.

    By https://shopify.dev/docs/apps/build/authentication-authorization/access-tokens/authorization-code-grant, or by token
    exchange where Shopify shows the app in its admin and vouches for who opens it.
    """

    def __init__(
        self, context: ConnectionContext[ShopifySettings], tokens: Tokens, subscriptions: Subscriptions
    ) -> None:
        self._context, self._settings = context, context.settings
        self._tokens, self._subscriptions = tokens, subscriptions
        self._sessions, self._secrets = SessionTokens(context.settings, context.clock), secrets_of(context.settings)
        self._visits = Visits(context, PATIENCE)
        self._base = f"{context.public_url}/connections/{context.name}"
        self._webhooks = f"{context.public_url}/webhooks/{context.name}"

    def routes(self) -> tuple[Route, ...]:
        """What is served."""
        return (
            Route(method="GET", path=INSTALL, handler=self.install),
            Route(method="GET", path=INSTALLED, handler=self.installed),
        )

    async def install(self, request: UnverifiedRequest) -> Reply:
        """Send a person to the shop to agree; who comes from there with a session token has agreed."""
        found = parameters(request.url.partition("?")[2])
        if "hmac" in found:
            self._check(found)
        if token := first(found, "id_token"):
            self._check(found)
            self._sessions.claims(token)
            if not await self._is_installed():
                exchange = {
                    "grant_type": _EXCHANGE,
                    "subject_token": token,
                    "subject_token_type": _ID_TOKEN,
                    "requested_token_type": _OFFLINE,
                }
                return await self._keep(exchange)
            return self._told("Stampcard is connected to this shop.", resumes=True)
        query = {
            "client_id": self._settings.client_id or "",
            "scope": ",".join(self._settings.scopes),
            "redirect_uri": f"{self._base}/{INSTALLED}",
            "state": await self._visits.begin(),
        }
        authorize = f"{self._settings.api_url.rstrip('/')}/admin/oauth/authorize"
        return Reply(status=302, location=f"{authorize}?{urlencode(query)}")

    async def installed(self, request: UnverifiedRequest) -> Reply:
        """Take the code that Shopify sends a person back with."""
        found = parameters(request.url.partition("?")[2])
        self._check(found)
        if not await self._visits.end(first(found, "state")):
            raise InvalidSignature(
                f"this installation was not begun here, or too long ago: open {self._tokens.address}"
            )
        code = first(found, "code")
        if not code:
            raise MalformedPayload("Shopify sent no code")
        return await self._keep({"code": code})

    def _check(self, found: Parameters) -> None:
        check_once(found, _ONCE)
        given = first(found, "hmac")
        if not HEX_DIGEST.fullmatch(given):
            raise InvalidSignature("the query is not signed")
        check(self._secrets, bytes.fromhex(given), *signed_texts(found))
        check_shop(found, self._settings.shop)
        check_moment(found, self._context.clock.now())

    async def _is_installed(self) -> bool:
        """Whether the shop takes our token; the webhook that tells of its end may still be on its way."""
        if await self._tokens.stored() is None:
            return False
        try:
            await self._subscriptions.look(self._webhooks)
        except PluginError:
            return False
        return True

    async def _keep(self, form: dict[str, str]) -> Reply:
        kept = await self._tokens.install(form)
        missing = self._settings.missing_scopes(kept.scope)
        lines = [f"Stampcard is installed at {self._settings.shop}. This page can be closed."]
        if missing:
            lines.append(f"The shop did not allow: {', '.join(missing)}.")
        try:
            audit = await self._subscriptions.mend(self._webhooks)
            lines.append(f"It sends {len(audit.good)} kinds of webhooks now.")
            lines += [f"{topic} could not be set up." for topic in audit.missing]
        except PluginError as error:
            lines.append(
                f"Its webhooks are still to be set up ({error}): connection webhooks {self._context.name} --fix"
            )
        return self._told("\n".join(lines), resumes=True)

    def _told(self, text: str, *, resumes: bool = False) -> Reply:
        frames = (f"https://{self._settings.shop}", "https://admin.shopify.com")
        return Reply(body=f"{text}\n".encode(), frames=frames, resumes=resumes)
