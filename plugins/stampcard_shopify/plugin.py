from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from stampcard.plugin import Capabilities, ConnectionContext, Health, PluginManifest, PluginSettings, hookimpl
from stampcard_shopify.balances import BalanceSink
from stampcard_shopify.cleaning import ShopifyCleaner
from stampcard_shopify.client import Client
from stampcard_shopify.exporting import STORAGE
from stampcard_shopify.fetching import OrderFetch
from stampcard_shopify.fulfilling import ShopifyFulfilment
from stampcard_shopify.history import ShopifyHistory
from stampcard_shopify.installing import Installing
from stampcard_shopify.listing import ShopifyOrders
from stampcard_shopify.posting import CallFailed
from stampcard_shopify.shoppers import ShopifyShoppers
from stampcard_shopify.storefront import ShopifyStorefront
from stampcard_shopify.subscribing import ShopifySubscriptions
from stampcard_shopify.tagging import TagSink
from stampcard_shopify.webhooks import ShopifyWebhooks

Secret = Annotated[SecretStr, Field(min_length=1)]
#: As browsers write it, for that is what it is compared with: in lower case, without a path.
Origin = Annotated[str, Field(pattern=r"^(null|https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?)$")]

Scope = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,99}$")]
#: All that balances, tags, rewards and webhooks need.
SCOPES = (
    "read_orders",
    "write_customers",
    "read_customer_merge",
    "write_discounts",
    "write_gift_cards",
    "write_store_credit_account_transactions",
    "read_store_credit_accounts",
)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | SecretStr) else value


class ShopifySettings(PluginSettings):
    """One shop and one app of it. The pattern of `shop` is Shopify's own, so that no other host is ever called."""

    shop: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9\-_]*\.myshopify\.com$", description="the shop's own myshopify.com name"
    )
    access_token: Secret | None = Field(
        default=None, description="a fixed token of the Admin API; or else client_id and client_secret"
    )
    client_id: str | None = Field(
        default=None, min_length=1, description="the app's client id, to ask for tokens that are renewed by themselves"
    )
    client_secret: Secret | None = Field(default=None, description="the app's client secret")
    grant: Literal["client_credentials", "installation"] = Field(
        default="client_credentials",
        description="how tokens are had: by client_credentials, for an app of the shop's own organisation; by installation, "
        "where somebody of the shop opens the app's address and agrees",
    )
    scopes: Annotated[tuple[Scope, ...], BeforeValidator(_as_list)] = Field(
        default=SCOPES, min_length=1, description="what an installation asks the shop to allow"
    )
    webhook_secrets: Annotated[tuple[Secret, ...], BeforeValidator(_as_list)] = Field(
        default_factory=lambda data: (data["client_secret"],) if data.get("client_secret") else (),
        description="what webhooks are signed with: the app's client secret, which is the default; several while a secret is "
        "rotated",
    )
    api_url: str = Field(
        default_factory=lambda data: f"https://{data['shop']}",
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
        description="where the Admin API is; by default at the shop itself",
    )
    storefront_url: str = Field(
        default_factory=lambda data: f"https://{data['shop']}",
        pattern=r"^https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?$",
        description="where people shop; by default the myshopify.com name, which leads on to the shop's own",
    )
    api_version: str = Field(
        default="2026-10", pattern=r"^(\d{4}-\d{2}|unstable)$", description="the version of the Admin API"
    )
    test_orders: Literal["ignore", "count"] = Field(
        default="ignore", description="whether orders that Shopify marks as tests earn points"
    )
    metafield_namespace: str = Field(
        default="stampcard",
        pattern=r"^[$A-Za-z0-9][A-Za-z0-9:_-]{2,254}$",
        description="the namespace of the customer metafield that shows the balance",
    )
    metafield_key: str = Field(
        default="balance", pattern=r"^[A-Za-z0-9_-]{2,64}$", description="the key of that metafield"
    )
    tag_prefix: str = Field(
        default="stampcard-",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,39}$",
        description="what the tags of perks begin with at the shop; tags that begin otherwise are never touched",
    )
    origins: Annotated[tuple[Origin, ...], BeforeValidator(_as_list)] = Field(
        default=(),
        description="the origins, such as `https://shop.example`, from which shoppers' browsers may ask directly",
    )

    def outbound_hosts(self) -> tuple[str, ...]:
        """The shop, and where Shopify keeps what it gathers."""
        return (*super().outbound_hosts(), STORAGE)

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        granted = (self.client_id is not None, self.client_secret is not None)
        if (self.access_token is not None) == any(granted) or any(granted) != all(granted):
            raise ValueError("give either access_token, or both client_id and client_secret")
        if self.grant == "installation" and self.access_token is not None:
            raise ValueError("an app that is installed has client_id and client_secret, and no access_token")
        if not self.webhook_secrets:
            raise ValueError("give webhook_secrets: what the app's webhooks are signed with, its client secret")
        return self

    def missing_scopes(self, granted: str) -> list[str]:
        """What was asked for and not allowed; whoever may write may read, too."""
        given = {scope.strip() for scope in granted.split(",")}
        given |= {scope.replace("write_", "read_", 1) for scope in given}
        return [scope for scope in self.scopes if scope not in given]


@hookimpl
def plugin_manifest() -> PluginManifest:
    return PluginManifest(
        name="shopify",
        summary="Shopify: orders in, balances out",
        settings=ShopifySettings,
        asks=("shop", "client_id", "client_secret"),
    )


@hookimpl
async def connect(context: ConnectionContext[ShopifySettings]) -> Capabilities:
    client = Client(context)
    tokens, subscriptions = client.tokens, ShopifySubscriptions(client, context.settings)

    async def check_health() -> Health:
        try:
            await client.ping()
        except CallFailed as failure:
            return Health(ok=False, problem=failure.outcome.reason, open=tokens.to_open)
        kept = await tokens.stored() if tokens.is_installed_app else None
        missing = context.settings.missing_scopes(kept.scope) if kept is not None and kept.scope else []
        if missing:
            problem = (
                f"the shop does not allow {', '.join(missing)}: install the app again, or leave them out of scopes"
            )
            return Health(ok=False, problem=problem, open=tokens.address)
        return Health(ok=True)

    return Capabilities(
        webhook=ShopifyWebhooks(context.settings),
        subscriptions=subscriptions,
        sinks=(BalanceSink(client, context.settings), TagSink(client, context.settings)),
        fetch=OrderFetch(client, context),
        orders=ShopifyOrders(client),
        history=ShopifyHistory(client, context),
        fulfil=ShopifyFulfilment(client, context.clock),
        shopper=ShopifyShoppers(context.settings, context.clock),
        storefront=ShopifyStorefront(context.settings),
        clean=ShopifyCleaner(client, context.settings),
        routes=Installing(context, tokens, subscriptions).routes() if tokens.is_installed_app else (),
        check_health=check_health,
    )
