"""What we send, what we expect and what our fixtures show, beside what Shopify publishes."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from graphql import GraphQLSchema, build_client_schema, graphql_sync, parse, validate
from graphql.execution.values import get_variable_values
from graphql.validation import NoDeprecatedCustomRule

from stampcard.plugin import Balance, BalancePush, ConnectionContext, OrderSeen, Voucher
from stampcard_shopify import cleaning, discounts, exporting, gift_cards, history, store_credits, subscribing, tagging
from stampcard_shopify.asking import Field, Step, written
from stampcard_shopify.balances import SET_METAFIELDS, BalanceSink
from stampcard_shopify.client import PING, Client
from stampcard_shopify.fetching import ORDERS, SMALL
from stampcard_shopify.fulfilling import WAYS, ShopifyFulfilment
from stampcard_shopify.listing import CHANGED
from stampcard_shopify.plugin import ShopifySettings
from stampcard_shopify.simulator import ShopifySimulator
from stampcard_shopify.webhooks import TOPICS

pytestmark = pytest.mark.vendor
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
#: Topics whose samples tell of a merge that failed, and of customers who never said anything.
SAY_NOTHING = (
    "customers/merge",
    "customers_email_marketing_consent/update",
    "customers_marketing_consent/update",
)
FIXTURES = sorted(path.stem for path in (Path(__file__).parent / "fixtures").glob("*.json"))
WEBHOOKS = [name for name in FIXTURES if not name.startswith("fetched_")]
OFFICIAL = sorted(topic for topic in TOPICS if not topic.startswith("fetched/"))
FIELDS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": field
    for module in (cleaning, discounts, gift_cards, store_credits, subscribing, tagging)
    for name, field in vars(module).items()
    if isinstance(field, Field)
}
DOCUMENTS = {
    "metafields": SET_METAFIELDS,
    "orders": ORDERS,
    "ping": PING,
    "tagged": cleaning.TAGGED,
    "subscriptions": subscribing.LIST,
    "changed": CHANGED,
    "listed": history.LISTED,
    "count": history.COUNT,
    "run": exporting.RUN,
    "look": exporting.LOOK,
    "find": exporting.FIND,
    "exported": exporting.ORDERS % " (query: \"processed_at:>='2026-01-01T00:00:00Z'\")",
    "exported_all": exporting.ORDERS % "",
    **{name: written({"c0": Step(field, {}), "c1": Step(field, {})})[0] for name, field in FIELDS.items()},
}


@pytest.fixture(scope="session")
def shelf() -> Path:
    """Shopify's folder of vendor schemas and samples."""
    folder = os.environ.get("VENDOR_SPECS")
    if not folder:
        pytest.skip("VENDOR_SPECS does not name a folder of vendor schemas and samples")
    return Path(folder) / "shopify"


@pytest.fixture(scope="session")
def schema(shelf: Path) -> GraphQLSchema:
    with gzip.open(shelf / "admin_2026-10.json.gz") as file:
        return build_client_schema(json.load(file)["data"], assume_valid=True)


@pytest.fixture(scope="session")
def sample(shelf: Path) -> Callable[[str], Any]:
    """Shopify's sample body of a topic."""

    def read(topic: str) -> Any:
        file = shelf / "webhook-metadata-2026-07" / f"{topic.replace('/', '__')}.json"
        body = json.loads(file.read_bytes())["response"]
        if topic.startswith("orders/") and "refunds" in body:
            body["refunds"] = [read("refunds/create")]
        return body

    return read


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_document_is_valid(schema: GraphQLSchema, name: str) -> None:
    assert validate(schema, parse(DOCUMENTS[name])) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_document_selects_what_is_deprecated(schema: GraphQLSchema, name: str) -> None:
    assert validate(schema, parse(DOCUMENTS[name]), [NoDeprecatedCustomRule]) == []


def _check_variables(schema: GraphQLSchema, document: str, variables: dict[str, Any]) -> None:
    (operation,) = parse(document).definitions
    values = get_variable_values(schema, operation.variable_definitions or (), variables)  # type: ignore[attr-defined]
    assert not isinstance(values, list), values


def test_the_variables_of_a_push_are_valid(
    schema: GraphQLSchema, connection: Callable[..., Any], settings: Callable[..., Any]
) -> None:
    sink = BalanceSink(Client(connection()), settings())
    push = BalancePush(member="m", reference="7", version=1, balances={"points": Balance(active=1)})
    _check_variables(schema, SET_METAFIELDS, {"metafields": [sink._field(push)]})


@pytest.mark.parametrize("after", [None, "cursor"])
def test_the_variables_of_a_fetch_are_valid(schema: GraphQLSchema, after: str | None) -> None:
    variables = {"ids": ["gid://shopify/Order/1"], "after": after, "size": SMALL}
    _check_variables(schema, ORDERS, variables)


async def test_the_simulated_shop_exports_in_names_and_enums_of_the_published_schema(
    schema: GraphQLSchema, simulated: ShopifySimulator, clock: Any, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
    ask = Client.ask

    async def listen(self: Client, document: str, variables: dict[str, Any], shape: Any, *more: Any) -> Any:
        raw = await ask(self, document, variables, dict[str, Any], *more)
        heard.append((document, variables, raw))
        return msgspec.convert(raw, shape)

    monkeypatch.setattr(Client, "ask", listen)
    monkeypatch.setattr(history, "FEW", 0)
    simulated.exports.takes, simulated.exports.failing = 7.0, deque(["TIMEOUT"])
    settings = ShopifySettings.model_validate(simulated.settings())
    async with httpx.AsyncClient() as http:
        context = ConnectionContext(
            name="shop", settings=settings, http=http, clock=clock, log=None, store=store, public_url=""
        )
        past, place, steps = history.ShopifyHistory(Client(context), context), "", 0
        while steps == 0 or place:
            page = await past.read(NOW - timedelta(days=30), place)
            place, steps = page.place, steps + 1
            await clock.sleep(page.wait)
    assert {"Run", "Look", "Count"} <= {re.findall(r"\w+", document)[1] for document, _, _ in heard}
    for document, variables, answer in heard:
        result = graphql_sync(schema, document, root_value=answer, variable_values=variables)
        assert result.errors is None
        for inner in filter(None, [variables.get("query") if document == exporting.RUN else None]):
            assert validate(schema, parse(inner)) == []


@pytest.mark.parametrize("topic", subscribing.TOPICS)
def test_the_variables_of_a_subscription_are_valid(schema: GraphQLSchema, topic: str) -> None:
    plain = {"uri": "https://points.example/webhooks/shop", **subscribing.PLAIN}
    for field, values in (
        (subscribing.CREATE, {"topic": subscribing.enum_of(topic), "webhookSubscription": plain}),
        (subscribing.UPDATE, {"id": "gid://shopify/WebhookSubscription/1", "webhookSubscription": plain}),
    ):
        document, variables = written({"c0": Step(field, values)})
        _check_variables(schema, document, variables)


def _steps(kind: Any, voucher: Voucher) -> list[Step]:
    """All that is ever sent for a voucher."""
    way = WAYS[kind]
    node = {"id": "gid://shopify/DiscountCodeNode/1", "codeDiscount": {}}
    card = {"id": "gid://shopify/GiftCard/1", "lastCharacters": "EFG1", "enabled": True, "note": voucher.key}
    found = {"gift_card": {"nodes": [card]}, "store_credit": {"storeCreditAccounts": {"nodes": []}}}.get(kind, node)
    there = msgspec.convert(found, way.shape)
    steps = (way.issuing(voucher), way.finding(voucher), way.withdrawing(voucher, there), way.restoring(voucher, there))
    return [step for step in steps if isinstance(step, Step)]


LIMITS: list[dict[str, Any]] = [{"minimum": Decimal("40.00")}, {"collections": ("5",)}, {"products": ("7001", "7002")}]
REWARDS: list[tuple[Any, dict[str, Any]]] = [
    *((kind, {}) for kind in WAYS),
    *((kind, {"ends_at": NOW + timedelta(days=30), "uses": 3, "stack": "never"}) for kind in WAYS),
    *(("amount_off", limits) for limits in LIMITS),
    ("free_shipping", LIMITS[0]),
    ("free_product", {"amount": Decimal(9)}),
]


@pytest.mark.parametrize(("kind", "changes"), REWARDS)
def test_the_variables_of_each_kind_of_reward_are_valid(
    schema: GraphQLSchema, voucher: Callable[..., Voucher], kind: Any, changes: dict[str, Any]
) -> None:
    steps = _steps(kind, voucher(kind, **changes))
    assert len(steps) == (3 if kind in {"gift_card", "store_credit"} else 4)
    for step in steps:
        document, variables = written({"c0": step, "c1": step})
        assert validate(schema, parse(document)) == []
        _check_variables(schema, document, variables)


@pytest.mark.parametrize("kind", WAYS)
async def test_the_simulated_shop_answers_in_names_types_and_enums_of_the_published_schema(
    schema: GraphQLSchema,
    fulfilment: ShopifyFulfilment,
    voucher: Callable[..., Voucher],
    member: str,
    kind: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
    ask = Client.ask

    async def listen(self: Client, document: str, variables: dict[str, Any], shape: Any, *more: Any) -> Any:
        raw = await ask(self, document, variables, dict[str, Any], *more)
        heard.append((document, variables, raw))
        return msgspec.convert(raw, shape)

    monkeypatch.setattr(Client, "ask", listen)
    mine, wrong = voucher(kind, reference=member), voucher(kind, 2, reference="404")
    await fulfilment.issue([mine])
    await fulfilment.lookup(mine, "issue")
    await fulfilment.withdraw([mine])
    await fulfilment.lookup(mine, "withdraw")
    await fulfilment.restore([mine])
    await fulfilment.issue([wrong])
    assert len(heard) >= 5
    for document, variables, answer in heard:
        (operation,) = parse(document).definitions
        field = operation.selection_set.selections[0].name.value  # type: ignore[attr-defined]
        result = graphql_sync(schema, document, root_value={field: answer["c0"]}, variable_values=variables)
        assert result.errors is None
        assert result.data is not None


@pytest.mark.parametrize("topic", OFFICIAL)
def test_every_official_sample_is_read(topic: str, sample: Callable[[str], Any], decode: Callable[..., Any]) -> None:
    body = sample(topic)
    # The samples have a placeholder for the shop, or nothing.
    for field in {"shop_domain", "myshopify_domain"} & set(body):
        body[field] = "acme.myshopify.com"
    events = decode("", body, topic=topic, changes={"test_orders": "count"})
    assert len(events) == (0 if topic in SAY_NOTHING else 1)


def test_the_official_order_has_the_figures_that_it_shows(
    sample: Callable[[str], Any], decode: Callable[..., Any]
) -> None:
    body = sample("orders/create") | {"refunds": []}
    (event,) = decode("", body, topic="orders/create", changes={"test_orders": "count"})
    assert isinstance(event, OrderSeen)
    assert str(sum(line.gross for line in event.snapshot.lines)) == body["total_line_items_price"]


def _differences(ours: Any, theirs: Any, path: str = "$") -> list[str]:
    """Where ours has a field that theirs lacks, or another JSON type; null and empty lists of theirs say nothing."""
    if theirs is None or ours is None:
        return []
    if isinstance(ours, bool) != isinstance(theirs, bool) or _kind(ours) != _kind(theirs):
        return [f"{path}: {_kind(ours)} for {_kind(theirs)}"]
    if isinstance(ours, list):
        return [d for item in ours if theirs for d in _differences(item, theirs[0], f"{path}[]")]
    if not isinstance(ours, dict):
        return []
    strange = [f"{path}.{name}: not published" for name in ours if name not in theirs]
    known = [name for name in ours if name in theirs]
    return strange + [d for name in known for d in _differences(ours[name], theirs[name], f"{path}.{name}")]


def _kind(value: Any) -> str:
    return "number" if isinstance(value, int | float) else type(value).__name__


@pytest.mark.parametrize("name", WEBHOOKS)
def test_each_fixture_has_the_published_shape(
    name: str, load: Callable[[str], Any], topic_of: Callable[[str], str], sample: Callable[[str], Any]
) -> None:
    assert _differences(load(name), sample(topic_of(name))) == []


def test_the_fetched_fixture_has_the_fields_of_its_query(schema: GraphQLSchema, load: Callable[[str], Any]) -> None:
    node = load("fetched_order__refunded")
    variables = {"ids": [node["id"]], "after": None, "size": SMALL}
    root = {"nodes": [node | {"__typename": "Order"}]}
    result = graphql_sync(schema, ORDERS, root_value=root, variable_values=variables)
    assert result.errors is None
    assert result.data == {"nodes": [node]}
