"""Codes that share a discount, taken away and put back one by one."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from graphql import GraphQLSchema, build_client_schema, parse, validate
from graphql.execution.values import get_variable_values

from stampcard.plugin import Absent, ConnectionContext, Delivered, Done, Rejected, RetryLater, Unknown, Voucher
from stampcard_shopify.asking import Step, written
from stampcard_shopify.client import Client
from stampcard_shopify.fulfilling import ShopifyFulfilment
from stampcard_shopify.shared_codes import DELETE, FIND
from stampcard_shopify.simulator import ShopifySimulator

API = "https://acme.myshopify.com/admin/api/2026-10/graphql.json"
CODES = [f"MANY-{number:04}" for number in range(4)]
SOON = Unknown(reason="Shopify does it in its own time")
Make = Callable[..., Voucher]


@pytest.fixture
async def shared(fulfilment: ShopifyFulfilment, voucher: Make) -> Make:
    """Make the voucher of one of four codes that were made together."""
    made = await fulfilment.fill(voucher("amount_off", reference="", code=CODES[0]), CODES)
    assert isinstance(made, Delivered)
    return lambda number: voucher("amount_off", reference="", code=CODES[number], batch=made.result["id"])


@pytest.mark.vendor
@pytest.mark.parametrize(
    ("field", "values"),
    [
        (FIND, {"code": "A", "search": "A"}),
        (DELETE, {"discountId": "gid://shopify/DiscountCodeNode/1", "ids": ["gid://shopify/DiscountRedeemCode/1"]}),
    ],
)
def test_each_document_is_valid_with_its_variables(field: Any, values: dict[str, Any]) -> None:
    folder = os.environ.get("VENDOR_SPECS")
    if not folder:
        pytest.skip("VENDOR_SPECS does not name a folder of vendor schemas and samples")
    with gzip.open(Path(folder) / "shopify" / "admin_2026-10.json.gz") as file:
        schema: GraphQLSchema = build_client_schema(json.load(file)["data"], assume_valid=True)
    document, variables = written({"c0": Step(field, values), "c1": Step(field, values)})
    parsed = parse(document)
    assert validate(schema, parsed) == []
    (operation,) = parsed.definitions
    found = get_variable_values(schema, operation.variable_definitions or (), variables)  # type: ignore[attr-defined]
    assert not isinstance(found, list), found


async def test_single_codes_are_taken_away_and_the_others_stay(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, shared: Make
) -> None:
    gone = [shared(0), shared(2)]
    assert await fulfilment.withdraw(gone) == [SOON, SOON]
    assert [await fulfilment.lookup(one, "withdraw") for one in gone] == [Absent(), Done()]
    assert await fulfilment.lookup(gone[0], "withdraw") == Done()
    assert set(simulated.discounts.codes) == {CODES[1], CODES[3]}
    assert await fulfilment.withdraw(gone) == [Delivered(), Delivered()]


async def test_codes_are_put_back_even_if_the_first_of_them_is_gone(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, shared: Make
) -> None:
    gone = [shared(0), shared(1)]
    await fulfilment.withdraw(gone)
    for one in gone:
        await fulfilment.lookup(one, "withdraw")
    discount = simulated.discounts.codes[CODES[3]]
    assert await fulfilment.restore(gone) == [SOON, SOON]
    for one in gone:
        await fulfilment.lookup(one, "restore")
    assert [await fulfilment.lookup(one, "restore") for one in gone] == [Done(), Done()]
    assert {simulated.discounts.codes[code].id for code in CODES} == {discount.id}
    assert await fulfilment.restore(gone) == [Delivered(), Delivered()]


@pytest.mark.parametrize("done", [True, False])
async def test_a_lost_answer_is_found_out_about(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, shared: Make, done: bool
) -> None:
    simulated.lose_answers("discountCodeRedeemCodeBulkDelete", done=done)
    simulated.lose_answers("discountCodeRedeemCodeBulkDelete", done=False, times=2)
    (outcome,) = await fulfilment.withdraw([shared(1)])
    assert isinstance(outcome, Unknown | RetryLater)
    await fulfilment.lookup(shared(1), "withdraw")
    assert await fulfilment.lookup(shared(1), "withdraw") == (Done() if done else Absent())


async def test_one_that_was_made_with_others_is_not_made_again(fulfilment: ShopifyFulfilment, shared: Make) -> None:
    (outcome,) = await fulfilment.issue([shared(1)])
    assert isinstance(outcome, Rejected)


async def test_codes_of_both_sorts_go_in_one_batch(
    fulfilment: ShopifyFulfilment, voucher: Make, member: str, shared: Make
) -> None:
    own = voucher("amount_off", 7, reference=member)
    await fulfilment.issue([own])
    first, middle, last = await fulfilment.withdraw([shared(1), own, shared(2)])
    assert (first, last) == (SOON, SOON)
    assert isinstance(middle, Delivered)


async def test_a_code_that_its_discount_does_not_show_is_left_alone(
    connection: Callable[..., ConnectionContext[Any]], clock: Any, router: respx.Router, voucher: Make
) -> None:
    other = {"id": "gid://shopify/DiscountRedeemCode/9", "code": "MANY-00011"}
    node = {"id": "gid://shopify/DiscountCodeNode/1", "codeDiscount": {"status": "ACTIVE", "codes": {"nodes": [other]}}}
    route = router.post(API).mock(return_value=httpx.Response(200, json={"data": {"c0": node}}))
    fulfil = ShopifyFulfilment(Client(connection()), clock)
    (outcome,) = await fulfil.withdraw(
        [voucher("amount_off", code="MANY-0001", batch="gid://shopify/DiscountCodeNode/1")]
    )
    assert isinstance(outcome, Rejected)
    assert route.call_count == 1
