from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import respx
from graphql import GraphQLSchema, build_client_schema, graphql_sync, parse, validate
from graphql.execution.values import get_variable_values
from graphql.validation import NoDeprecatedCustomRule

from stampcard.plugin import ConnectionContext, Delivered, Outcome, Rejected, RetryLater, Unknown, Voucher
from stampcard_shopify import bulk
from stampcard_shopify.asking import Field, Step, written
from stampcard_shopify.client import Client
from stampcard_shopify.discounts import KINDS, making
from stampcard_shopify.fulfilling import ShopifyFulfilment
from stampcard_shopify.simulated_checkout import CodeRefused
from stampcard_shopify.simulator import ShopifySimulator

API = "https://acme.myshopify.com/admin/api/2026-10/graphql.json"
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
NODE = "gid://shopify/DiscountCodeNode/1"
FIELDS = {name: field for name, field in vars(bulk).items() if isinstance(field, Field)}
Make = Callable[..., Voucher]


def codes_of(count: int, start: int = 0) -> list[str]:
    return [f"MANY-{number:04}" for number in range(start, start + count)]


@pytest.fixture
def terms(voucher: Make) -> Make:
    """Make what a fill is asked for: for everybody, with the first of `codes_of`."""
    return lambda kind="amount_off", **changes: voucher(kind, **({"reference": "", "code": "MANY-0000"} | changes))


@pytest.fixture
def fulfil(connection: Callable[..., ConnectionContext[Any]], clock: Any) -> ShopifyFulfilment:
    """What makes rewards real at a shop that is only a router."""
    return ShopifyFulfilment(Client(connection()), clock)


def answers(router: respx.Router, *given: Any) -> respx.Route:
    """What the shop answers to one call after another."""
    replies = [one if isinstance(one, httpx.Response) else httpx.Response(200, json={"data": one}) for one in given]
    return router.post(API).mock(side_effect=replies)


FOUND = {"c0": {"id": NODE, "codeDiscount": {}}}
ADDED = {"c0": {"bulkCreation": {"id": "gid://shopify/DiscountRedeemCodeBulkCreation/7"}, "userErrors": []}}


def progress(*, done: bool, failed: int = 0) -> dict[str, Any]:
    return {"c0": {"done": done, "failedCount": failed}}


def failures(*codes: str) -> dict[str, Any]:
    errors = [{"field": ["code"], "message": "is wrong", "code": code} for code in codes]
    return {"c0": {"codes": {"nodes": [{"errors": []}, *({"errors": [one]} for one in errors)]}}}


# What is asked for


@pytest.fixture(scope="session")
def schema() -> GraphQLSchema:
    folder = os.environ.get("VENDOR_SPECS")
    if not folder:
        pytest.skip("VENDOR_SPECS does not name a folder of vendor schemas and samples")
    with gzip.open(Path(folder) / "shopify" / "admin_2026-10.json.gz") as file:
        return build_client_schema(json.load(file)["data"], assume_valid=True)


def check(schema: GraphQLSchema, document: str, variables: dict[str, Any]) -> None:
    parsed = parse(document)
    assert validate(schema, parsed) == []
    assert validate(schema, parsed, [NoDeprecatedCustomRule]) == []
    (operation,) = parsed.definitions
    values = get_variable_values(schema, operation.variable_definitions or (), variables)  # type: ignore[attr-defined]
    assert not isinstance(values, list), values


VALUES: dict[str, dict[str, Any]] = {
    "ADD": {"discountId": NODE, "codes": [{"code": "A"}, {"code": "B"}]},
    "WATCH": {"id": "gid://shopify/DiscountRedeemCodeBulkCreation/7"},
    "FAILED": {"id": "gid://shopify/DiscountRedeemCodeBulkCreation/7"},
    "FIND": {"code": "A"},
}


@pytest.mark.vendor
@pytest.mark.parametrize("name", FIELDS)
def test_each_document_is_valid_with_its_variables(schema: GraphQLSchema, name: str) -> None:
    check(schema, *written({"c0": Step(FIELDS[name], VALUES[name])}))


@pytest.mark.vendor
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_discount_for_everybody_is_valid(schema: GraphQLSchema, terms: Make, kind: str) -> None:
    check(schema, *written({"c0": making(terms(kind, uses=3, minimum=Decimal(20)))}))


@pytest.mark.vendor
def test_the_published_limit_of_codes_is_kept_to(schema: GraphQLSchema) -> None:
    assert schema.mutation_type is not None
    told = schema.mutation_type.fields["discountRedeemCodeBulkAdd"].args["codes"].description or ""
    assert f"Maximum: {ShopifyFulfilment.fill_size} codes" in told


@pytest.mark.vendor
async def test_the_simulated_shop_answers_in_names_types_and_enums_of_the_published_schema(
    schema: GraphQLSchema, fulfilment: ShopifyFulfilment, terms: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[str, dict[str, Any], Any]] = []
    ask = Client.ask

    async def listen(self: Client, document: str, variables: dict[str, Any], shape: Any, *more: Any) -> Any:
        raw = await ask(self, document, variables, dict[str, Any], *more)
        heard.append((document, variables, raw))
        return msgspec.convert(raw, shape)

    monkeypatch.setattr(Client, "ask", listen)
    await fulfilment.fill(terms(), codes_of(3))
    await fulfilment.fill(terms(), codes_of(3))
    await fulfilment.fill(terms(), ["X" * 300])
    await fulfilment.fill(terms(), [""])
    assert {name for name, field in FIELDS.items() if any(field.name in document for document, *_ in heard)} == set(
        FIELDS
    )
    for document, variables, answer in heard:
        (operation,) = parse(document).definitions
        field = operation.selection_set.selections[0].name.value  # type: ignore[attr-defined]
        result = graphql_sync(schema, document, root_value={field: answer["c0"]}, variable_values=variables)
        assert result.errors is None
        assert result.data is not None


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_discount_is_for_everybody_and_has_no_end(terms: Make, kind: str) -> None:
    (value,) = making(terms(kind, uses=3)).values.values()
    assert value["context"] == {"all": "ALL"}
    assert (value["code"], value["usageLimit"], value["endsAt"]) == ("MANY-0000", 3, None)


@pytest.mark.parametrize(
    ("kind", "changes", "count", "named"),
    [
        ("gift_card", {}, 1, "gift_card in bulk"),
        ("store_credit", {}, 1, "store_credit in bulk"),
        ("amount_off", {}, 251, "250 codes at once"),
        ("amount_off", {"reference": "9001"}, 1, "for everybody"),
        ("percent_off", {"at_most": Decimal(5)}, 1, "at_most"),
        ("amount_off", {"products": ("mug",)}, 1, "products"),
    ],
)
async def test_what_shopify_would_not_keep_to_is_refused_without_a_call(
    fulfil: ShopifyFulfilment, router: respx.Router, terms: Make, kind: str, changes: Any, count: int, named: str
) -> None:
    route = answers(router)
    outcome = await fulfil.fill(terms(kind, **changes), codes_of(count))
    assert isinstance(outcome, Rejected)
    assert named in outcome.reason
    assert route.call_count == 0


# What becomes of it at the shop


async def test_all_codes_are_of_one_discount_however_many_batches_there_are(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, terms: Make
) -> None:
    first = await fulfilment.fill(terms(), codes_of(250))
    second = await fulfilment.fill(terms(), codes_of(50, 250))
    assert isinstance(first, Delivered)
    assert second == first
    assert set(simulated.discounts.codes) == set(codes_of(300))
    assert len({id(one) for one in simulated.discounts.codes.values()}) == 1


async def test_one_code_alone_needs_no_bulk_creation(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, terms: Make
) -> None:
    simulated.lose_answers("discountRedeemCodeBulkAdd", done=False, times=3)
    assert isinstance(await fulfilment.fill(terms(), codes_of(1)), Delivered)


async def test_a_batch_that_is_repeated_makes_nothing_twice(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, terms: Make
) -> None:
    first = await fulfilment.fill(terms(), codes_of(20))
    assert await fulfilment.fill(terms(), codes_of(20)) == first
    assert await fulfilment.fill(terms(), [code.lower() for code in codes_of(25)]) == first
    assert len(simulated.discounts.codes) == 25


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize(
    "field",
    [
        "codeDiscountNodeByCode",
        "discountCodeBasicCreate",
        "discountRedeemCodeBulkAdd",
        "discountRedeemCodeBulkCreation",
    ],
)
@pytest.mark.parametrize("times", [1, 4])
async def test_a_lost_answer_is_made_up_for_by_a_repeat(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, terms: Make, field: str, done: bool, times: int
) -> None:
    simulated.lose_answers(field, done=done, times=times)
    outcome = await fulfilment.fill(terms(), codes_of(20))
    if not isinstance(outcome, Delivered):
        assert isinstance(outcome, RetryLater | Unknown)
        outcome = await fulfilment.fill(terms(), codes_of(20))
    assert isinstance(outcome, Delivered)
    assert set(simulated.discounts.codes) == set(codes_of(20))
    assert len({id(one) for one in simulated.discounts.codes.values()}) == 1


async def test_codes_that_the_shop_refuses_are_counted_with_the_reason(
    fulfilment: ShopifyFulfilment, terms: Make
) -> None:
    outcome = await fulfilment.fill(terms(), [*codes_of(3), "X" * 300, "Y" * 300])
    assert isinstance(outcome, Rejected)
    assert outcome.reason.startswith("2 of 4 codes were not made: TOO_LONG")


async def test_terms_that_the_shop_refuses_are_told(fulfilment: ShopifyFulfilment, terms: Make) -> None:
    outcome = await fulfilment.fill(terms(amount=Decimal(-5)), codes_of(3))
    assert isinstance(outcome, Rejected)
    assert outcome.reason.startswith("GREATER_THAN")


async def test_each_code_has_its_own_uses_and_is_for_anybody(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, terms: Make
) -> None:
    await fulfilment.fill(terms(uses=2), codes_of(3))
    one, other = (str(customer) for customer in list(simulated.book.customers)[:2])
    paid = json.loads(simulated.buy(one, code="many-0001")[-1].body)
    assert [code["code"] for code in paid["discount_codes"]] == ["MANY-0001"]
    simulated.buy(other, code="MANY-0001")
    with pytest.raises(CodeRefused, match="used up"):
        simulated.buy(one, code="MANY-0001")
    simulated.buy(one, code="MANY-0002")


# What became of a call


async def test_it_is_looked_at_until_it_is_done(
    fulfil: ShopifyFulfilment, router: respx.Router, terms: Make, clock: Any
) -> None:
    route = answers(router, FOUND, ADDED, *[progress(done=False)] * 3, progress(done=True))
    assert await fulfil.fill(terms(), codes_of(3)) == Delivered(result={"id": NODE})
    assert route.call_count == 6
    assert clock.now() - NOW == timedelta(seconds=sum(bulk.WAITS[:3]))


async def test_nobody_waits_for_ever(fulfil: ShopifyFulfilment, router: respx.Router, terms: Make, clock: Any) -> None:
    answers(router, FOUND, ADDED, *[progress(done=False)] * 9)
    assert await fulfil.fill(terms(), codes_of(3)) == Unknown(reason="Shopify has not made 2 codes within 20 seconds")
    assert clock.now() - NOW == timedelta(seconds=20)


async def test_a_shop_in_trouble_while_it_is_looked_at_is_asked_on(
    fulfil: ShopifyFulfilment, router: respx.Router, terms: Make
) -> None:
    answers(router, FOUND, ADDED, httpx.Response(503), progress(done=True))
    assert await fulfil.fill(terms(), codes_of(3)) == Delivered(result={"id": NODE})


@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        (["TAKEN"], Delivered),
        (["TAKEN", "INTERNAL_ERROR"], RetryLater),
        (["INTERNAL_ERROR", "INVALID"], Rejected),
        ([None], Rejected),
    ],
)
async def test_codes_that_failed_are_there_or_are_tried_again_or_never(
    fulfil: ShopifyFulfilment, router: respx.Router, terms: Make, codes: Sequence[Any], kind: type[Outcome]
) -> None:
    answers(router, FOUND, ADDED, progress(done=True, failed=len(codes)), failures(*codes))
    assert isinstance(await fulfil.fill(terms(), codes_of(4)), kind)


WRONG = [{"message": "no", "code": "INVALID", "field": ["codes"]}]
TAKEN = [{"message": "taken", "code": "TAKEN", "field": ["basicCodeDiscount", "code"]}]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ([httpx.Response(503)], RetryLater),
        ([httpx.Response(403)], Rejected),
        ([{}], RetryLater),
        ([{"c0": None}, {"c0": None}], Unknown),
        ([{"c0": None}, httpx.Response(503)], Unknown),
        ([{"c0": None}, {"c0": {"codeDiscountNode": None, "userErrors": TAKEN}}, {"c0": None}], Unknown),
        ([FOUND, {"c0": None}], Unknown),
        ([FOUND, {"c0": {"bulkCreation": None, "userErrors": []}}], Unknown),
        ([FOUND, {"c0": {"bulkCreation": None, "userErrors": WRONG}}], Rejected),
        ([FOUND, httpx.Response(503)], Unknown),
        ([FOUND, ADDED, httpx.Response(403)], Unknown),
        ([FOUND, ADDED, progress(done=True, failed=1), {"c0": None}], Unknown),
    ],
)
async def test_what_no_answer_settles_is_not_called_done(
    fulfil: ShopifyFulfilment, router: respx.Router, terms: Make, given: Sequence[Any], kind: type[Outcome]
) -> None:
    answers(router, *given)
    outcome = await fulfil.fill(terms(), codes_of(3))
    assert isinstance(outcome, kind)
    assert "tok" not in str(outcome).split()
