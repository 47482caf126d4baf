from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from stampcard.plugin import Absent, Delivered, Done, Rejected, RetryLater, Unknown, Voucher
from stampcard_shopify.asking import Step
from stampcard_shopify.fulfilling import ShopifyFulfilment
from stampcard_shopify.gift_cards import GiftCards, card_code
from stampcard_shopify.simulator import ShopifySimulator

Make = Callable[..., Voucher]


def test_a_card_has_the_amount_the_member_and_the_key(voucher: Make) -> None:
    step = GiftCards().issuing(voucher("gift_card", ends_at=datetime(2026, 9, 1, 23, 30, tzinfo=UTC)))
    assert isinstance(step, Step)
    assert step.values["input"] == {
        "code": "THANKSABCDEFG1",
        "initialAmount": {"amount": "25", "currencyCode": "USD"},
        "customerId": "gid://shopify/Customer/9001",
        "expiresOn": "2026-09-01",
        "note": "redemption-1",
    }


@pytest.mark.parametrize(
    ("code", "card"),
    [("AB12-CD34", "AB12CD34"), ("SPRING-SALE-2026-ABCD-EFGH", "RINGSALE2026ABCDEFGH"), ("ÄB12·CD34x", "B12CD34x")],
)
def test_its_code_is_the_end_of_ours_without_what_a_card_cannot_have(voucher: Make, code: str, card: str) -> None:
    assert card_code(voucher(code=code)) == card


async def test_the_code_of_the_card_is_told(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, voucher: Make, member: str
) -> None:
    (outcome,) = await fulfilment.issue([voucher("gift_card", reference=member)])
    (card,) = simulated.cards.cards.values()
    assert outcome == Delivered(result={"code": card.code, "id": f"gid://shopify/GiftCard/{card.id}"})
    assert (card.amount, card.currency, str(card.customer)) == (Decimal(25), "USD", member)


async def test_a_card_that_was_made_already_is_delivered_again(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, voucher: Make, member: str
) -> None:
    mine = voucher("gift_card", reference=member)
    (first,), (again,) = await fulfilment.issue([mine]), await fulfilment.issue([mine])
    assert isinstance(first, Delivered)
    assert isinstance(again, Delivered)
    assert again.result["id"] == first.result["id"]
    assert again.result["code"].lower() == first.result["code"].lower()
    assert len(simulated.cards.cards) == 1


async def test_a_card_is_withdrawn_once_and_for_all(
    fulfilment: ShopifyFulfilment, simulated: ShopifySimulator, voucher: Make, member: str
) -> None:
    mine = voucher("gift_card", reference=member)
    await fulfilment.issue([mine])
    assert await fulfilment.lookup(mine, "withdraw") == Absent()
    assert [type(one) for one in await fulfilment.withdraw([mine])] == [Delivered]
    assert await fulfilment.lookup(mine, "withdraw") == Done()
    assert [type(one) for one in await fulfilment.withdraw([mine])] == [Delivered]
    assert [type(one) for one in await fulfilment.restore([mine])] == [Rejected]
    assert await fulfilment.lookup(mine, "restore") == Absent()
    (card,) = simulated.cards.cards.values()
    assert card.deactivated_at is not None


async def test_a_card_that_is_not_found_is_looked_for_later(
    fulfilment: ShopifyFulfilment, voucher: Make, member: str
) -> None:
    mine = voucher("gift_card", reference=member)
    assert [type(one) for one in await fulfilment.withdraw([mine])] == [RetryLater]
    assert await fulfilment.lookup(mine, "issue") == Absent()
    assert isinstance(await fulfilment.lookup(mine, "withdraw"), Unknown)


async def test_somebody_elses_card_that_the_search_finds_is_not_ours(
    fulfilment: ShopifyFulfilment, voucher: Make, member: str
) -> None:
    await fulfilment.issue([voucher("gift_card", 1, reference=member)])
    assert await fulfilment.lookup(voucher("gift_card", 1, reference=member, key="another"), "issue") == Absent()


@pytest.mark.parametrize(
    ("changes", "named"),
    [({"amount": Decimal(-1)}, "GREATER_THAN"), ({"amount": Decimal(5000)}, "GIFT_CARD_LIMIT_EXCEEDED")],
)
async def test_what_the_shop_refuses_is_rejected_with_its_code(
    fulfilment: ShopifyFulfilment, voucher: Make, member: str, changes: dict[str, Any], named: str
) -> None:
    (outcome,) = await fulfilment.issue([voucher("gift_card", reference=member, **changes)])
    assert isinstance(outcome, Rejected)
    assert outcome.reason.startswith(named)
