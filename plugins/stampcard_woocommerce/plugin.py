from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from stampcard.plugin import Capabilities, ConnectionContext, Health, PluginManifest, PluginSettings, hookimpl
from stampcard_woocommerce.balances import BalanceSink
from stampcard_woocommerce.calling import CallFailed
from stampcard_woocommerce.cleaning import WooCommerceCleaner
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.fetching import OrderFetch
from stampcard_woocommerce.fulfilling import WooCommerceFulfilment
from stampcard_woocommerce.history import WooCommerceHistory
from stampcard_woocommerce.installing import Installation
from stampcard_woocommerce.listing import WooCommerceOrders
from stampcard_woocommerce.marking import TagSink
from stampcard_woocommerce.storefront import WooCommerceStorefront
from stampcard_woocommerce.subscribing import WooCommerceSubscriptions
from stampcard_woocommerce.webhooks import WooCommerceWebhooks

#: An empty one would let anybody sign.
Secret = Annotated[SecretStr, Field(min_length=1)]
Word = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
ADDRESS = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | SecretStr) else value


class WooCommerceSettings(PluginSettings):
    """One shop. WooCommerce takes keys by https alone, so that http is for shops that are simulated."""

    shop: str = Field(pattern=ADDRESS, description="the shop's own address, such as `https://shop.example`")
    webhook_secrets: Annotated[tuple[Secret, ...], BeforeValidator(_as_list), Field(min_length=1)] = Field(
        description="what webhooks are signed with, made up by you; several while one is rotated, the newest first"
    )
    consumer_key: Secret | None = Field(
        default=None, description="a key of the REST API; without one the shop hands it over, see below"
    )
    consumer_secret: Secret | None = Field(default=None, description="the secret of that key")
    api_url: str = Field(
        default_factory=lambda data: data.get("shop", ""),
        pattern=ADDRESS,
        description="where the REST API is, without `/wp-json`; by default at the shop itself",
    )
    paid_statuses: Annotated[tuple[Word, ...], BeforeValidator(_as_list), Field(min_length=1)] = Field(
        default=("processing", "completed"),
        description="the statuses of an order that count as paid; one that was refunded, or has a status that WooCommerce "
        "does not know itself, counts if a payment was noted",
    )
    roles: Annotated[tuple[Word, ...], BeforeValidator(_as_list)] = Field(
        default=("customer", "subscriber"),
        description="the roles whose accounts become members at once; others do when they buy something",
    )
    guests: Literal["match", "apart", "ignore"] = Field(
        default="match",
        description="what becomes of orders without an account: they are the account's that had their address already, or "
        "else a guest's (`match`); always a guest's (`apart`); nobody's (`ignore`)",
    )
    guests_join: bool = Field(
        default=False,
        description="whether somebody who opens an account takes over what a guest with the same address has; WooCommerce "
        "does not check whose an address is",
    )
    verified_addresses: bool = Field(
        default=False,
        description="whether the shop itself, by a plugin of its own, makes sure whose the address of an account is: then "
        "members of several shops with one address become one",
    )
    deleted_customers: Literal["keep", "erase"] = Field(
        default="keep", description="whether somebody whose account is deleted is forgotten here, too"
    )
    balance_key: str = Field(
        default="stampcard_balance",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{2,63}$",
        description="the customer's field that shows the balance; each wallet has one of its own, behind `_`",
    )
    perks_key: str = Field(
        default="stampcard_perks",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{2,63}$",
        description="the customer's field that lists the tags of perks, with commas between them",
    )
    coupon_parameter: str = Field(
        default="",
        pattern=r"^[A-Za-z0-9_-]{0,40}$",
        description="how a plugin of the shop calls a coupon that an address puts into the cart, such as `coupon-code`; "
        "WooCommerce itself has no such thing",
    )
    coupons_for: Literal["member", "anybody"] = Field(
        default="member", description="whether a reward's coupon works with the address of its member's account alone"
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.consumer_key is None) != (self.consumer_secret is None):
            raise ValueError("give both consumer_key and consumer_secret, or neither")
        return self


@hookimpl
def plugin_manifest() -> PluginManifest:
    return PluginManifest(
        name="woocommerce",
        summary="WooCommerce: orders in, balances and coupons out",
        settings=WooCommerceSettings,
        asks=("shop", "webhook_secrets"),
    )


@hookimpl
async def connect(context: ConnectionContext[WooCommerceSettings]) -> Capabilities:
    client = Client(context)
    settings = context.settings
    fetch = OrderFetch(client, context)
    subscriptions = WooCommerceSubscriptions(client, settings)

    async def check_health() -> Health:
        try:
            await client.ping()
        except CallFailed as failure:
            problem, door = failure.outcome.reason, client.keys.door
            return Health(ok=False, problem=problem, open=door if door in problem else "")
        return Health(ok=True)

    return Capabilities(
        webhook=WooCommerceWebhooks(settings),
        subscriptions=subscriptions,
        sinks=(BalanceSink(client, settings), TagSink(client, settings)),
        fetch=fetch,
        orders=WooCommerceOrders(client),
        history=WooCommerceHistory(client, fetch),
        storefront=WooCommerceStorefront(settings),
        fulfil=WooCommerceFulfilment(client, context.clock, restricted=settings.coupons_for == "member"),
        clean=WooCommerceCleaner(client, settings),
        routes=Installation(client, context, subscriptions).routes(),
        check_health=check_health,
    )
