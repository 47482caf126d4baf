"""What the shop sends to our webhook address, looked up and set by the Admin API."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from stampcard.plugin import Audit, PluginError, Subscribed, Subscriptions
from stampcard_shopify.asking import Field, Step, UserError, written
from stampcard_shopify.client import Answer, Client

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings

#: Topic → why it may be left out.
TOPICS: Mapping[str, str] = {
    "orders/create": "",
    "orders/paid": "",
    "orders/updated": "",
    "orders/edited": "",
    "orders/cancelled": "",
    "refunds/create": "",
    "customers/create": "",
    "customers/update": "",
    "customers/merge": "customers who are merged at the shop stay two members: it needs the scope read_customer_merge",
    "customers_email_marketing_consent/update": "",
    "customers_marketing_consent/update": "",
    "app/uninstalled": "",
}
#: Topics that no API sets (https://shopify.dev/docs/apps/build/compliance/privacy-law-compliance).
COMPLIANCE = ("customers/data_request", "customers/redact", "shop/redact")
#: A whole body, of every event: what a subscription of ours is like.
PLAIN: Mapping[str, Any] = {"format": "JSON", "filter": None, "includeFields": []}
LIST = """
query Subscriptions($after: String) {
  webhookSubscriptions(first: 100, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes { id topic uri format filter includeFields apiVersion { handle } }
  }
}
"""
_SELECTS = "userErrors { field message }"
CREATE = Field(
    "mutation",
    "webhookSubscriptionCreate",
    {"topic": "WebhookSubscriptionTopic!", "webhookSubscription": "WebhookSubscriptionInput!"},
    _SELECTS,
)
UPDATE = Field(
    "mutation",
    "webhookSubscriptionUpdate",
    {"id": "ID!", "webhookSubscription": "WebhookSubscriptionInput!"},
    _SELECTS,
)
DELETE = Field("mutation", "webhookSubscriptionDelete", {"id": "ID!"}, _SELECTS)


class Version(Answer, frozen=True):
    handle: str = ""


class Node(Answer, frozen=True):
    """A subscription of the app (https://shopify.dev/docs/api/admin-graphql/2026-10/objects/WebhookSubscription)."""

    id: str
    topic: str
    uri: str
    format: str = "JSON"
    filter: str | None = None
    include_fields: tuple[str, ...] = ()
    api_version: Version = Version()


class PageInfo(Answer, frozen=True):
    has_next_page: bool = False
    end_cursor: str | None = None


class Page(Answer, frozen=True):
    nodes: tuple[Node, ...] = ()
    page_info: PageInfo = PageInfo()


class Listed(Answer, frozen=True):
    webhook_subscriptions: Page


class Done(Answer, frozen=True):
    """The answer of each of our mutations."""

    user_errors: tuple[UserError, ...] = ()


class ShopifySubscriptions(Subscriptions):
    """The subscriptions of our app that were made by the API; those of the app's own file are not listed there."""

    def __init__(self, client: Client, settings: ShopifySettings) -> None:
        self._client, self._version = client, settings.api_version

    async def look(self, address: str) -> Audit:
        return self._audited(address, await self._nodes())

    async def mend(self, address: str, but: Collection[str] = ()) -> Audit:
        nodes = await self._nodes()
        audit = self._audited(address, nodes)
        known = {node.id: node for node in nodes}
        steps: dict[str, Step] = {}
        kept = {one.topic for one in audit.good}
        for place, one in enumerate(audit.wrong):
            # Of two for the same topic one is enough.
            gone = one.topic in kept
            kept.add(one.topic)
            values: dict[str, Any] = {"id": one.id}
            if not gone:
                values["webhookSubscription"] = {"uri": known[one.id].uri, **PLAIN}
            steps[f"w{place}"] = Step(DELETE if gone else UPDATE, values)
        made = {f"m{place}": topic for place, topic in enumerate(TOPICS) if topic not in {*but, *kept}}
        for alias, topic in made.items():
            plain = {"uri": address, **PLAIN}
            steps[alias] = Step(CREATE, {"topic": enum_of(topic), "webhookSubscription": plain})
        if not steps:
            return audit
        refused = dict(await self._do(steps))
        after = self._audited(address, await self._nodes())
        said = tuple(f"{made.get(alias, 'a subscription')}: {reason}" for alias, reason in sorted(refused.items()))
        return msgspec.structs.replace(after, by_hand=(*said, *after.by_hand))

    async def end(self, address: str) -> int:
        ours = [node for node in await self._nodes() if _same(node.uri, address)]
        steps = {f"d{place}": Step(DELETE, {"id": node.id}) for place, node in enumerate(ours)}
        refused = dict(await self._do(steps)) if steps else {}
        if refused:
            raise PluginError("shopify", "; ".join(sorted(refused.values())))
        return len(ours)

    async def _nodes(self) -> list[Node]:
        found: list[Node] = []
        after: str | None = None
        while True:
            page = (await self._client.ask(LIST, {"after": after}, Listed)).webhook_subscriptions
            found += page.nodes
            if not page.page_info.has_next_page or page.page_info.end_cursor in {None, after}:
                return found
            after = page.page_info.end_cursor

    async def _do(self, steps: Mapping[str, Step]) -> Iterator[tuple[str, str]]:
        """Alias → why it was refused."""
        document, values = written(steps)
        answers = await self._client.ask(document, values, dict[str, Done], "guarded")
        return (
            (alias, "; ".join(error.reason for error in answer.user_errors))
            for alias, answer in answers.items()
            if answer.user_errors
        )

    def _audited(self, address: str, nodes: Sequence[Node]) -> Audit:
        wanted = {enum_of(topic): topic for topic in TOPICS}
        good: list[Subscribed] = []
        wrong: list[Subscribed] = []
        foreign: list[Subscribed] = []
        for node in sorted(nodes, key=lambda node: node.id):
            topic = wanted.get(node.topic)
            if topic is None:
                continue
            one = Subscribed(topic=topic, address=node.uri, id=node.id)
            if not _same(node.uri, address):
                foreign.append(one)
                continue
            twice = topic in {known.topic for known in good}
            problem = "comes twice" if twice else _problem(node)
            (wrong if problem else good).append(msgspec.structs.replace(one, problem=problem))
        here = {one.topic for one in (*good, *wrong)}
        return Audit(
            good=tuple(good),
            wrong=tuple(wrong),
            missing=tuple(topic for topic, why in TOPICS.items() if not why and topic not in here),
            foreign=tuple(foreign),
            by_hand=tuple(self._by_hand(nodes, address, here)),
        )

    def _by_hand(self, nodes: Sequence[Node], address: str, here: Collection[str]) -> Iterator[str]:
        others = {node.api_version.handle for node in nodes if _same(node.uri, address)} - {"", self._version}
        if others:
            yield f"webhooks come as of API version {', '.join(sorted(others))}: set {self._version} for the app"
        yield f"name {', '.join(COMPLIANCE)} in the app's shopify.app.toml: no API sets these"
        for topic, why in TOPICS.items():
            if why and topic not in here:
                yield f"without {topic} {why}"


def _problem(node: Node) -> str:
    if node.format != "JSON":
        return f"comes as {node.format}, not as JSON"
    if node.filter:
        return f"comes only where {node.filter}"
    return f"has only the fields {', '.join(node.include_fields)}" if node.include_fields else ""


def enum_of(topic: str) -> str:
    """A topic as the Admin API spells it."""
    return topic.upper().replace("/", "_")


def _same(one: str, other: str) -> bool:
    """Whether two addresses are one."""
    return _normal(one) == _normal(other)


def _normal(address: str) -> tuple[str, str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc.lower(), parts.path.rstrip("/")
