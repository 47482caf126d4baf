from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from stampcard.plugin import Absent, Delivered, Done, Rejected, Unknown, Voucher
from stampcard_shopify.asking import Step
from stampcard_shopify.fulfilling import ShopifyFulfilment
from stampcard_shopify.simulator import ShopifySimulator
from stampcard_shopify.store_credits import Holder, StoreCredits, expiry

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
ENDS = NOW + timedelta(days=90)
Make = Callable[..., Voucher]


def test_credit_goes_to_the_member_in_the_vouchers_currency(voucher: Make) -> None:
    step = StoreCredits().issuing(voucher("store_credit", currency="EUR"))
    assert isinstance(step, Step)
    money = {"amount": "7.50", "currencyCode": "EUR"}
    assert step.values["id"] == "gid://shopify/Customer/9001"
    assert step.values["creditInput"] == {"creditAmount": money, "expiresAt": None}


def test_when_it_ends_tells_two_vouchers_apart_and_stays_within_the_minute(voucher: Make) -> None:
    moments = {expiry(voucher("store_credit", number, ends_at=ENDS)) for number in range(50)}
    assert len(moments) > 20
    assert all(one is not None and ENDS <= one < ENDS + timedelta(minutes=1) for one in moments)
    assert expiry(voucher("store_credit")) is None
    assert expiry(voucher("store_credit", 3, ends_at=ENDS)) == expiry(voucher("store_credit", 3, ends_at=ENDS))


async def test_credit_is_given_and_taken_back(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, voucher: Make, member: str
) -> None:
    mine = voucher("store_credit", reference=member, ends_at=ENDS)
    assert await fulfilment.lookup(mine, "issue") == Absent()
    (issued,) = await fulfilment.issue([mine])
    assert isinstance(issued, Delivered)
    assert await fulfilment.lookup(mine, "issue") == Done(result=issued.result)
    assert simulated.credits.balance_of(member, "USD") == Decimal("7.50")
    assert await fulfilment.lookup(mine, "withdraw") == Absent()
    (withdrawn,) = await fulfilment.withdraw([mine])
    assert isinstance(withdrawn, Delivered)
    assert await fulfilment.lookup(mine, "withdraw") == Done(result=withdrawn.result)
    assert simulated.credits.balance_of(member, "USD") == 0


async def test_what_was_spent_cannot_be_taken_back(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, voucher: Make, member: str
) -> None:
    one, two = voucher("store_credit", 1, reference=member), voucher("store_credit", 2, reference=member)
    await fulfilment.issue([one])
    outcomes = await fulfilment.withdraw([one, two])
    assert isinstance(outcomes[0], Delivered)
    assert isinstance(outcomes[1], Rejected)
    assert outcomes[1].reason.startswith("INSUFFICIENT_FUNDS")
    assert simulated.credits.balance_of(member, "USD") == 0


async def test_credit_that_was_taken_back_is_not_restored(
    fulfilment: ShopifyFulfilment, voucher: Make, member: str
) -> None:
    mine = voucher("store_credit", reference=member)
    assert [type(one) for one in await fulfilment.restore([mine])] == [Rejected]
    assert await fulfilment.lookup(mine, "restore") == Absent()


async def test_two_credits_alike_leave_it_unknown_which_is_ours(
    fulfilment: ShopifyFulfilment, voucher: Make, member: str
) -> None:
    alike = [voucher("store_credit", number, reference=member) for number in (1, 2)]
    await fulfilment.issue(alike)
    assert isinstance(await fulfilment.lookup(alike[0], "issue"), Unknown)


async def test_credits_that_end_are_told_apart(fulfilment: ShopifyFulfilment, voucher: Make, member: str) -> None:
    alike = [voucher("store_credit", number, reference=member, ends_at=ENDS) for number in (1, 2)]
    assert expiry(alike[0]) != expiry(alike[1])
    first, second = await fulfilment.issue(alike)
    for mine, outcome in zip(alike, (first, second), strict=True):
        assert isinstance(outcome, Delivered)
        assert await fulfilment.lookup(mine, "issue") == Done(result=outcome.result)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": Decimal(8)},
        {"currency": "EUR"},
        {"starts_at": NOW + timedelta(hours=2)},
        {"ends_at": ENDS},
    ],
)
async def test_a_credit_that_differs_is_not_ours(
    fulfilment: ShopifyFulfilment, voucher: Make, member: str, changes: dict[str, Any]
) -> None:
    await fulfilment.issue([voucher("store_credit", reference=member)])
    assert await fulfilment.lookup(voucher("store_credit", reference=member, **changes), "issue") == Absent()


async def test_a_customer_who_is_gone_leaves_it_unknown(fulfilment: ShopifyFulfilment, voucher: Make) -> None:
    assert isinstance(await fulfilment.lookup(voucher("store_credit"), "issue"), Unknown)


@pytest.mark.parametrize("done", [True, False])
async def test_whether_it_was_taken_back_is_found_out(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, voucher: Make, member: str, done: bool
) -> None:
    mine = voucher("store_credit", reference=member)
    await fulfilment.issue([mine])
    simulated.lose_answers("storeCreditAccountDebit", done=done)
    assert [type(one) for one in await fulfilment.withdraw([mine])] == [Unknown]
    assert isinstance(await fulfilment.lookup(mine, "withdraw"), Done if done else Absent)


def page(count: int, *, more: bool, **changes: Any) -> Holder:
    transaction = {
        "__typename": "StoreCreditAccountCreditTransaction",
        "id": "gid://shopify/T/1",
        "createdAt": "2026-03-10T12:00:01Z",
        "event": "ADJUSTMENT",
        "amount": {"amount": "7.5"},
        "expiresAt": None,
    }
    transactions = {"pageInfo": {"hasNextPage": more}, "nodes": [transaction | changes] * count}
    accounts = {"nodes": [{"balance": {"currencyCode": "USD"}, "transactions": transactions}]}
    return msgspec.convert({"storeCreditAccounts": accounts}, Holder)


def test_more_transactions_than_were_read_leave_it_unknown(voucher: Make) -> None:
    found = page(50, more=True, amount={"amount": "1"})
    assert isinstance(StoreCredits().verdict(voucher("store_credit"), "issue", found), Unknown)
    older = page(50, more=True, createdAt="2026-03-01T12:00:01Z")
    assert StoreCredits().verdict(voucher("store_credit"), "issue", older) == Absent()


def test_what_an_order_gave_back_is_not_ours(voucher: Make) -> None:
    found = page(1, more=False, event="ORDER_REFUND")
    assert StoreCredits().verdict(voucher("store_credit"), "issue", found) == Absent()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"amount": Decimal(-1)}, "NEGATIVE_OR_ZERO_AMOUNT"),
        ({"currency": "XAU"}, "UNSUPPORTED_CURRENCY"),
        ({"ends_at": NOW - timedelta(days=1)}, "EXPIRES_AT_IN_PAST"),
    ],
)
async def test_what_the_shop_refuses_is_rejected_with_its_code(
    fulfilment: ShopifyFulfilment, voucher: Make, member: str, changes: dict[str, Any], named: str
) -> None:
    (outcome,) = await fulfilment.issue([voucher("store_credit", reference=member, **changes)])
    assert isinstance(outcome, Rejected)
    assert outcome.reason.startswith(named)
