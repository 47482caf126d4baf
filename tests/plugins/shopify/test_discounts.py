from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from stampcard.plugin import Absent, Delivered, Done, OrderSeen, Rejected, Voucher
from stampcard_shopify.asking import Step
from stampcard_shopify.discounts import DiscountCodes
from stampcard_shopify.fulfilling import ShopifyFulfilment
from stampcard_shopify.simulated_checkout import CodeRefused
from stampcard_shopify.simulated_nodes import order_node
from stampcard_shopify.simulator import ShopifySimulator

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
CODES = ("amount_off", "percent_off", "free_shipping", "free_product")
Make = Callable[..., Voucher]


def inputs(voucher: Voucher) -> dict[str, Any]:
    step = DiscountCodes().issuing(voucher)
    assert isinstance(step, Step)
    (value,) = step.values.values()
    assert isinstance(value, dict)
    return value


# What is asked for


@pytest.mark.parametrize("kind", CODES)
def test_a_code_is_the_members_own_with_its_dates_and_uses(voucher: Make, kind: str) -> None:
    ends = NOW + timedelta(days=30, microseconds=5)
    value = inputs(voucher(kind, ends_at=ends, uses=3))
    assert value["code"] == "THANKS-ABCD-EFG1"
    assert value["title"] == "Thank you"
    assert (value["startsAt"], value["endsAt"]) == ("2026-03-10T12:00:00+00:00", "2026-04-09T12:00:00+00:00")
    assert (value["usageLimit"], value["appliesOncePerCustomer"]) == (3, False)
    assert value["context"] == {"customers": {"add": ["gid://shopify/Customer/9001"]}}
    assert "minimumRequirement" not in value


def test_without_an_end_a_code_is_valid_for_good(voucher: Make) -> None:
    assert inputs(voucher())["endsAt"] is None


@pytest.mark.parametrize("kind", CODES)
def test_what_the_cart_must_come_to_is_told(voucher: Make, kind: str) -> None:
    value = inputs(voucher(kind, minimum=Decimal("1E+2")))
    assert value["minimumRequirement"] == {"subtotal": {"greaterThanOrEqualToSubtotal": "100"}}


@pytest.mark.parametrize(
    ("kind", "changes", "value"),
    [
        ("amount_off", {}, {"discountAmount": {"amount": "5.00", "appliesOnEachItem": False}}),
        ("percent_off", {}, {"percentage": 0.125}),
        ("free_product", {}, {"percentage": 1.0}),
        ("free_product", {"amount": Decimal(9)}, {"discountAmount": {"amount": "9", "appliesOnEachItem": False}}),
    ],
)
def test_each_kind_has_its_value(voucher: Make, kind: str, changes: dict[str, Any], value: dict[str, Any]) -> None:
    assert inputs(voucher(kind, **changes))["customerGets"]["value"] == value


@pytest.mark.parametrize(
    ("changes", "items"),
    [
        ({}, {"all": True}),
        (
            {"products": ("7001", "7002")},
            {"products": {"productsToAdd": ["gid://shopify/Product/7001", "gid://shopify/Product/7002"]}},
        ),
        ({"collections": ("5",)}, {"collections": {"add": ["gid://shopify/Collection/5"]}}),
    ],
)
def test_what_it_counts_for_is_told_by_ids(voucher: Make, changes: dict[str, Any], items: dict[str, Any]) -> None:
    assert inputs(voucher(**changes))["customerGets"]["items"] == items


@pytest.mark.parametrize(("stack", "combines"), [("always", True), ("common", True), ("never", False)])
def test_codes_go_together_as_far_as_both_agree(voucher: Make, stack: Any, combines: bool) -> None:
    classes = {"orderDiscounts": combines, "productDiscounts": combines, "shippingDiscounts": combines}
    assert inputs(voucher(stack=stack))["combinesWith"] == classes
    shipping = inputs(voucher("free_shipping", stack=stack))
    assert shipping["combinesWith"] == classes | {"shippingDiscounts": False}
    assert shipping["destination"] == {"all": True}


# What becomes of it at the shop


async def test_a_code_that_was_made_already_is_delivered_again(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, voucher: Make, member: str
) -> None:
    vouchers = [voucher(number=number, reference=member) for number in (1, 2)]
    (first,) = await fulfilment.issue(vouchers[:1])
    again, other = await fulfilment.issue(vouchers)
    assert again == first
    assert isinstance(other, Delivered)
    assert len(simulated.discounts.codes) == 2


@pytest.mark.parametrize("kind", CODES)
async def test_a_code_is_withdrawn_and_restored_with_its_dates(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, clock: Any, voucher: Make, member: str, kind: str
) -> None:
    mine = voucher(kind, reference=member, ends_at=NOW + timedelta(days=30))
    assert await fulfilment.lookup(mine, "issue") == Absent()
    await fulfilment.issue([mine])
    assert await fulfilment.lookup(mine, "withdraw") == Absent()
    await clock.sleep(3600)
    assert [type(one) for one in await fulfilment.withdraw([mine])] == [Delivered]
    assert await fulfilment.lookup(mine, "withdraw") == Done()
    assert await fulfilment.lookup(mine, "restore") == Absent()
    assert [type(one) for one in await fulfilment.restore([mine])] == [Delivered]
    assert await fulfilment.lookup(mine, "restore") == Done()
    (discount,) = simulated.discounts.codes.values()
    assert (discount.starts_at, discount.ends_at) == (mine.starts_at, mine.ends_at)
    assert discount.status(clock.now()) == "ACTIVE"


async def test_a_code_for_good_is_restored_for_good(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, voucher: Make, member: str
) -> None:
    mine = voucher(reference=member)
    await fulfilment.issue([mine])
    await fulfilment.withdraw([mine])
    assert await fulfilment.lookup(mine, "restore") == Absent()
    await fulfilment.restore([mine])
    assert await fulfilment.lookup(mine, "restore") == Done()
    (discount,) = simulated.discounts.codes.values()
    assert discount.ends_at is None


async def test_a_code_that_does_not_exist_any_more_is_withdrawn_but_cannot_be_restored(
    fulfilment: ShopifyFulfilment, voucher: Make, member: str
) -> None:
    mine = voucher(reference=member)
    assert await fulfilment.withdraw([mine]) == [Delivered()]
    assert await fulfilment.lookup(mine, "withdraw") == Done()
    assert [type(one) for one in await fulfilment.restore([mine])] == [Rejected]


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("action", ["withdraw", "restore"])
async def test_whether_it_was_changed_is_found_out(
    fulfilment: ShopifyFulfilment,
    simulated: ShopifySimulator,
    voucher: Make,
    member: str,
    action: Any,
    done: bool,
) -> None:
    mine = voucher(reference=member)
    await fulfilment.issue([mine])
    if action == "restore":
        await fulfilment.withdraw([mine])
    for field in ("discountCodeDeactivate", "discountCodeBasicUpdate"):
        simulated.lose_answers(field, done=done)
        simulated.lose_answers(field, done=False, times=2)
    await getattr(fulfilment, action)([mine])
    assert await fulfilment.lookup(mine, action) == (Done() if done else Absent())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"amount": Decimal(-5)}, "GREATER_THAN"),
        ({"ends_at": NOW - timedelta(days=1)}, "INVALID"),
        ({"kind": "percent_off", "percent": Decimal(120)}, "VALUE_OUTSIDE_RANGE"),
    ],
)
async def test_what_the_shop_refuses_is_rejected_with_its_code(
    fulfilment: ShopifyFulfilment, voucher: Make, member: str, changes: dict[str, Any], named: str
) -> None:
    (outcome,) = await fulfilment.issue([voucher(reference=member, **changes)])
    assert isinstance(outcome, Rejected)
    assert outcome.reason.startswith(named)
    assert not outcome.gone


# What becomes of it at the checkout


@pytest.fixture
def seen(simulated: ShopifySimulator, decode: Callable[..., Any]) -> Callable[..., OrderSeen]:
    """The order that was just paid, as it is told."""

    def buy(member: str, **more: str) -> OrderSeen:
        paid = simulated.buy(member, **more)[-1]
        changes = {"shop": simulated.settings()["shop"]}
        (event,) = decode("", paid.body, topic=paid.headers["X-Shopify-Topic"], changes=changes)
        assert isinstance(event, OrderSeen)
        return event

    return buy


@pytest.mark.parametrize("kind", CODES)
async def test_an_order_tells_the_code_and_what_it_took_off(
    fulfilment: ShopifyFulfilment,
    simulated: ShopifySimulator,
    seen: Callable[..., OrderSeen],
    voucher: Make,
    member: str,
    kind: str,
) -> None:
    product = simulated.products()[0]
    changes = {"products": (product,)} if kind == "free_product" else {}
    mine = voucher(kind, reference=member, **changes)
    await fulfilment.issue([mine])
    order = seen(member, code=mine.code.lower(), product=product).snapshot
    assert order.codes == (mine.code,)
    off = sum(line.discount for line in order.lines)
    goods = sum((line.gross for line in order.lines), Decimal(0))
    wanted: dict[str, Decimal] = {
        "amount_off": min(Decimal(5), goods),
        "percent_off": (goods / 8).quantize(Decimal("0.01")),
        "free_shipping": Decimal(0),
        "free_product": next(line.gross for line in order.lines if line.product == product),
    }
    assert abs(off - wanted[kind]) <= Decimal("0.01")
    assert order.shipping == (0 if kind == "free_shipping" else Decimal("4.90"))


async def test_a_code_is_good_for_its_member_its_dates_and_its_uses_alone(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, clock: Any, voucher: Make, member: str
) -> None:
    other = list(simulated.book.customers)[1]
    mine = voucher(reference=member, uses=2, ends_at=NOW + timedelta(days=1))
    early = voucher(number=2, reference=member, starts_at=NOW + timedelta(days=2))
    dear = voucher(number=3, reference=member, minimum=Decimal(100_000))
    elsewhere = voucher(number=4, reference=member, products=("1",))
    await fulfilment.issue([mine, early, dear, elsewhere])
    orders = len(simulated.book.orders)
    for who, code, reason in (
        (str(other), mine.code, "somebody else"),
        (member, "NO-SUCH-CODE", "no such"),
        (member, early.code, "not active"),
        (member, dear.code, "too small"),
        (member, elsewhere.code, "not for anything"),
    ):
        with pytest.raises(CodeRefused, match=reason):
            simulated.buy(who, code=code)
    assert len(simulated.book.orders) == orders
    simulated.buy(member, code=mine.code)
    simulated.buy(member, code=mine.code)
    with pytest.raises(CodeRefused, match="used up"):
        simulated.buy(member, code=mine.code)
    await clock.sleep(2 * 86_400)
    simulated.buy(member, code=early.code)
    with pytest.raises(CodeRefused, match="not active"):
        simulated.buy(member, code=mine.code)


async def test_a_withdrawn_code_is_good_for_nothing_until_it_is_restored(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, voucher: Make, member: str
) -> None:
    mine = voucher(reference=member)
    await fulfilment.issue([mine])
    await fulfilment.withdraw([mine])
    with pytest.raises(CodeRefused, match="not active"):
        simulated.buy(member, code=mine.code)
    await fulfilment.restore([mine])
    assert len(simulated.buy(member, code=mine.code)) == 2


async def test_a_code_for_a_collection_takes_off_what_is_in_it(
    fulfilment: ShopifyFulfilment,
    simulated: ShopifySimulator,
    seen: Callable[..., OrderSeen],
    voucher: Make,
    member: str,
) -> None:
    product = simulated.products()[4]
    simulated.book.collections[55] = frozenset({int(product)})
    mine = voucher("percent_off", reference=member, collections=("55",))
    await fulfilment.issue([mine])
    order = seen(member, code=mine.code, product=product).snapshot
    assert {line.product for line in order.lines if line.discount} == {product}


async def test_a_code_is_told_alike_by_webhook_and_by_the_admin_api(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, voucher: Make, member: str, decode: Callable[..., Any]
) -> None:
    vouchers = [voucher(kind, number, reference=member) for number, kind in enumerate(CODES[:3])]
    await fulfilment.issue(vouchers)
    for mine in vouchers:
        paid = simulated.buy(member, code=mine.code)[-1]
        order = list(simulated.book.orders.values())[-1]
        (told,) = decode("", paid.body, topic="orders/paid")
        (fetched,) = decode("", order_node(order), topic="fetched/order", read_at=7)

        def content(event: OrderSeen) -> Any:
            stamp = msgspec.structs.replace(event.snapshot.stamp, read_at=0)
            return msgspec.structs.replace(event.snapshot, stamp=stamp, utc_offset=None)

        assert content(told) == content(fetched)
