"""Rewards as coupons, from their making to the cart."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from stampcard.plugin import Absent, Delivered, Done, Rejected, RetryLater, Unknown
from stampcard_woocommerce.coupons import coupon_of
from stampcard_woocommerce.fulfilling import WooCommerceFulfilment
from stampcard_woocommerce.guests import reference_of
from stampcard_woocommerce.simulated_checkout import CodeRefused
from stampcard_woocommerce.simulator import WooCommerceSimulator


@pytest.fixture
def member(simulated: WooCommerceSimulator) -> str:
    return simulated.register("ada@mail.example")


@pytest.mark.parametrize(
    ("kind", "changes", "expected"),
    [
        ("amount_off", {}, {"discount_type": "fixed_cart", "amount": "5.00"}),
        (
            "amount_off",
            {"products": ("31", "32")},
            {"discount_type": "fixed_product", "product_ids": [31, 32], "limit_usage_to_x_items": 1},
        ),
        ("percent_off", {}, {"discount_type": "percent", "amount": "12.5"}),
        ("percent_off", {"collections": ("15",)}, {"product_categories": [15], "amount": "12.5"}),
        ("free_shipping", {}, {"free_shipping": True, "amount": "0"}),
        ("free_product", {}, {"discount_type": "percent", "amount": "100", "limit_usage_to_x_items": 1}),
        (
            "free_product",
            {"amount": Decimal(3)},
            {"discount_type": "fixed_product", "amount": "3", "limit_usage_to_x_items": 1},
        ),
        ("amount_off", {"minimum": Decimal("1E+2")}, {"minimum_amount": "100"}),
        ("amount_off", {"stack": "never"}, {"individual_use": True}),
        ("amount_off", {"stack": "always"}, {"individual_use": False}),
        ("amount_off", {"uses": 3}, {"usage_limit": 3}),
    ],
)
def test_a_voucher_as_a_coupon(voucher: Any, kind: str, changes: Any, expected: dict[str, Any]) -> None:
    made = coupon_of(voucher(kind, **changes))
    assert {name: made[name] for name in expected} == expected
    assert "email_restrictions" not in made


def test_an_address_with_a_star_would_let_others_in(voucher: Any) -> None:
    assert coupon_of(voucher(), "ada@mail.example")["email_restrictions"] == ["ada@mail.example"]
    assert "email_restrictions" not in coupon_of(voucher(), "*@mail.example")


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("percent_off", {"at_most": Decimal(5)}, "no at_most"),
        ("free_shipping", {"products": ("31",)}, "no products"),
        ("free_product", {"products": ()}, "needs products or collections"),
        ("amount_off", {"amount": None}, "needs amount"),
        ("amount_off", {"products": ("mug",)}, "own numbers"),
        ("amount_off", {"products": ("31",), "collections": ("15",)}, "not both"),
        ("amount_off", {"code": "two words"}, "keeps as it is"),
        ("gift_card", {}, "makes no gift_card"),
    ],
)
async def test_what_no_coupon_would_keep_to_is_refused(
    fulfilment: WooCommerceFulfilment, member: str, voucher: Any, kind: str, changes: Any, reason: str
) -> None:
    (outcome,) = await fulfilment.issue([voucher(kind, reference=member, **changes)])
    assert isinstance(outcome, Rejected)
    assert reason in outcome.reason


async def test_a_coupon_that_should_begin_later_is_refused(
    fulfilment: Any, member: str, voucher: Any, clock: Any
) -> None:
    (outcome,) = await fulfilment.issue([voucher(reference=member, starts_at=clock.now() + timedelta(days=1))])
    assert isinstance(outcome, Rejected)


async def test_a_coupon_works_for_its_member_once(
    simulated: WooCommerceSimulator, fulfilment: WooCommerceFulfilment, member: str, voucher: Any
) -> None:
    one = voucher(reference=member)
    (outcome,) = await fulfilment.issue([one])
    assert isinstance(outcome, Delivered)
    assert outcome.result["code"] == one.code
    other = simulated.register("bob@mail.example")
    with pytest.raises(CodeRefused, match="somebody else"):
        simulated.buy(other, codes=[one.code])
    order = simulated.buy(member, codes=[one.code])
    assert order.coupons == {one.code.lower(): Decimal("5.00")}
    with pytest.raises(CodeRefused, match="too often"):
        simulated.buy(member, codes=[one.code])


async def test_a_guest_or_a_setting_leaves_out_the_address(
    simulated: Any, fulfilment: Any, client: Any, clock: Any, member: str, voucher: Any
) -> None:
    guest = str(reference_of("shop", "uno@mail.example"))
    assert isinstance((await fulfilment.issue([voucher(reference=guest)]))[0], Delivered)
    anybody = WooCommerceFulfilment(client, clock, restricted=False)
    assert isinstance((await anybody.issue([voucher(reference=member, number=2)]))[0], Delivered)
    assert [coupon.emails for coupon in simulated.book.coupons.values()] == [(), ()]


async def test_a_free_product_is_one_piece_and_an_amount_off_products_is_off_one_piece(
    simulated: Any, fulfilment: Any, member: str, voucher: Any
) -> None:
    free, off = (
        voucher("free_product", reference=member, products=("33",)),
        voucher("amount_off", 2, reference=member, products=("31",), amount=Decimal(50)),
    )
    await fulfilment.issue([free, off])
    first = simulated.buy(member, codes=[free.code], products=[33, 31])
    assert sum(item.off for item in first.items) == Decimal("79.00")
    second = simulated.buy(member, codes=[off.code], products=[31, 33])
    assert sum(item.off for item in second.items) == Decimal("9.50")


@pytest.mark.parametrize("done", [True, False])
async def test_an_answer_that_is_lost_makes_no_second_coupon(
    simulated: Any, fulfilment: Any, member: str, voucher: Any, done: bool
) -> None:
    one, two = voucher(reference=member), voucher(number=2, reference=member)
    simulated.fail("coupons/batch", 0, done=done, times=3)
    outcomes = await fulfilment.issue([one, two])
    assert all(isinstance(outcome, RetryLater) for outcome in outcomes)
    found = await fulfilment.lookup(one, "issue")
    assert isinstance(found, Done if done else Absent)
    again = await fulfilment.issue([one, two])
    assert [outcome.result["code"] for outcome in again] == [one.code, two.code]
    assert all(outcome.result["id"] for outcome in again)
    assert len(simulated.book.coupons) == 2


async def test_a_withdrawn_coupon_is_over_and_restored_it_ends_when_it_should(
    simulated: Any, fulfilment: Any, member: str, voucher: Any, clock: Any
) -> None:
    for number, ends in ((1, None), (2, clock.now() + timedelta(days=3))):
        one = voucher(reference=member, number=number, ends_at=ends)
        await fulfilment.issue([one])
        assert await fulfilment.lookup(one, "withdraw") == Absent()
        assert await fulfilment.withdraw([one]) == [Delivered()]
        assert await fulfilment.lookup(one, "withdraw") == Done()
        with pytest.raises(CodeRefused, match="expired"):
            simulated.buy(member, codes=[one.code])
        assert await fulfilment.lookup(one, "restore") == Absent()
        assert await fulfilment.restore([one]) == [Delivered()]
        assert await fulfilment.lookup(one, "restore") == Done()
        assert simulated.book.coupon(one.code).expires_at == ends
        simulated.buy(member, codes=[one.code])


async def test_what_was_never_made_is_withdrawn_and_cannot_be_restored(fulfilment: Any, voucher: Any) -> None:
    assert await fulfilment.withdraw([voucher()]) == [Delivered()]
    assert await fulfilment.lookup(voucher(), "withdraw") == Done()
    (outcome,) = await fulfilment.restore([voucher()])
    assert isinstance(outcome, Rejected)


async def test_many_codes_are_made_at_once_and_never_twice(simulated: Any, fulfilment: Any, voucher: Any) -> None:
    terms = voucher(reference="", ends_at=None)
    codes = [f"POOL-{number:04}" for number in range(fulfilment.fill_size)]
    simulated.fail("coupons/batch", 0, done=True)
    for _ in range(2):
        assert await fulfilment.fill(terms, codes) == Delivered()
    assert len(simulated.book.coupons) == len(codes)
    assert simulated.book.coupon("pool-0007").emails == ()
    simulated.buy(simulated.register(), codes=["POOL-0007"])
    assert isinstance(await fulfilment.fill(terms, ["not a code"]), Rejected)


async def test_a_lookup_learns_nothing_from_a_shop_in_trouble(simulated: Any, fulfilment: Any, voucher: Any) -> None:
    simulated.fail("coupons", 500)
    assert isinstance(await fulfilment.lookup(voucher(), "issue"), Unknown)
