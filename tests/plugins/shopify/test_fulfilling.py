from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, get_args

import httpx
import msgspec
import pytest
import respx

from stampcard.plugin import (
    Absent,
    ConnectionContext,
    Delivered,
    Done,
    Feature,
    Outcome,
    Rejected,
    RetryLater,
    RewardKind,
    Unknown,
    Voucher,
)
from stampcard_shopify.client import Client
from stampcard_shopify.fulfilling import WAYS, ShopifyFulfilment
from stampcard_shopify.plugin import connect

API = "https://acme.myshopify.com/admin/api/2026-10/graphql.json"
CODES = ("amount_off", "percent_off", "free_shipping", "free_product")
Make = Callable[..., Voucher]


@pytest.fixture
def fulfil(connection: Callable[..., ConnectionContext[Any]], clock: Any) -> ShopifyFulfilment:
    """What makes rewards real at a shop that is only a router."""
    return ShopifyFulfilment(Client(connection()), clock)


def data(**fields: Any) -> httpx.Response:
    return httpx.Response(200, json={"data": fields})


def node(number: int) -> dict[str, Any]:
    return {"codeDiscountNode": {"id": f"gid://shopify/DiscountCodeNode/{number}"}, "userErrors": []}


def wrong(message: str = "is wrong", code: str | None = "INVALID", *field: str) -> dict[str, Any]:
    error = {"message": message, "code": code, "field": list(field)}
    return {"codeDiscountNode": None, "userErrors": [error]}


def asked(call: Any) -> tuple[str, dict[str, Any]]:
    content = msgspec.json.decode(call.request.content)
    return content["query"], content["variables"]


async def test_all_codes_of_a_batch_go_in_one_call(
    fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make
) -> None:
    route = router.post(API).mock(return_value=data(c0=node(10), c1=node(11), c2=node(12)))
    vouchers = [voucher("amount_off", 0), voucher("free_shipping", 1), voucher("percent_off", 2)]
    outcomes = await fulfil.issue(vouchers)
    assert outcomes == [
        Delivered(result={"code": v.code, "id": f"gid://shopify/DiscountCodeNode/1{v.code[-1]}"}) for v in vouchers
    ]
    assert route.call_count == 1
    query, variables = asked(route.calls.last)
    assert query.startswith("mutation")
    assert "c1: discountCodeFreeShippingCreate(freeShippingCodeDiscount: $c1_freeShippingCodeDiscount)" in query
    assert variables["c2_basicCodeDiscount"]["code"] == vouchers[2].code


async def test_each_voucher_has_its_own_outcome(fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make) -> None:
    router.post(API).mock(return_value=data(c0=node(10), c2=wrong(), c3=None))
    vouchers = [voucher(number=0), voucher("cash_out", 1), voucher(number=2), voucher(number=3), voucher(number=4)]
    vouchers[1:1] = [voucher("amount_off", 9, amount=None)]
    outcomes = await fulfil.issue([vouchers[i] for i in (0, 1, 3, 4, 5, 2)])
    assert [type(one) for one in outcomes] == [Delivered, Rejected, Rejected, Unknown, Unknown, Rejected]
    assert outcomes[2] == Rejected(reason="INVALID: is wrong")


async def test_families_are_sent_apart_and_answered_in_the_order_of_all(
    fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make
) -> None:
    card = {"giftCard": {"id": "gid://shopify/GiftCard/7"}, "giftCardCode": "thanksabcdefg2", "userErrors": []}
    credit = {"storeCreditAccountTransaction": {"id": "gid://shopify/T/8"}, "userErrors": []}
    answers = {"discountCode": node(6), "giftCard": card, "storeCredit": credit}

    def answer(request: httpx.Request) -> httpx.Response:
        query = msgspec.json.decode(request.content)["query"]
        return data(c0=next(made for word, made in answers.items() if word in query))

    route = router.post(API).mock(side_effect=answer)
    outcomes = await fulfil.issue([voucher("store_credit", 1), voucher("gift_card", 2), voucher("amount_off", 3)])
    assert route.call_count == 3
    assert [getattr(one, "result", {}).get("id", "")[-1:] for one in outcomes] == ["8", "7", "6"]


async def test_nothing_to_send_asks_nothing(fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make) -> None:
    route = router.post(API).mock(return_value=data())
    assert await fulfil.issue([]) == await fulfil.withdraw([]) == await fulfil.restore([]) == []
    assert [type(one) for one in await fulfil.issue([voucher(amount=None), voucher("choice")])] == [Rejected] * 2
    assert route.call_count == 0


@pytest.mark.parametrize("reference", ["ada@shop.example", "", "1/../2", "٣"])
async def test_a_reference_that_is_no_id_is_not_sent(
    fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make, reference: str
) -> None:
    route = router.post(API).mock(return_value=data())
    for kind in WAYS:
        (outcome,) = await fulfil.issue([voucher(kind, reference=reference)])
        assert isinstance(outcome, Rejected)
        assert outcome.gone
    assert route.call_count == 0


@pytest.mark.parametrize(
    ("kind", "changes", "named"),
    [
        ("percent_off", {"at_most": 5}, "at_most"),
        ("amount_off", {"at_most": 5}, "at_most"),
        ("free_product", {"at_most": 5}, "at_most"),
        ("free_shipping", {"at_most": 5}, "at_most"),
        ("free_shipping", {"products": ("7001",)}, "products"),
        ("gift_card", {"minimum": 50}, "minimum"),
        ("gift_card", {"starts_at": timedelta(days=1)}, "starts_at"),
        ("store_credit", {"collections": ("1",)}, "collections"),
        ("store_credit", {"starts_at": timedelta(days=1)}, "starts_at"),
        ("amount_off", {"products": ("1",), "collections": ("2",)}, "not both"),
        ("amount_off", {"products": ("mug",)}, "products"),
        ("amount_off", {"amount": None}, "amount"),
        ("percent_off", {"percent": None}, "percent"),
        ("free_product", {"products": ()}, "products or collections"),
        ("gift_card", {"amount": None}, "amount"),
        ("gift_card", {"code": "AB-12"}, "8 letters and digits"),
    ],
)
async def test_what_shopify_would_not_keep_to_is_refused_and_named(
    fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make, kind: str, changes: dict[str, Any], named: str
) -> None:
    route = router.post(API).mock(return_value=data())
    later = {name: voucher().starts_at + value for name, value in changes.items() if isinstance(value, timedelta)}
    (outcome,) = await fulfil.issue([voucher(kind, **(changes | later))])
    assert isinstance(outcome, Rejected)
    assert named in outcome.reason
    assert route.call_count == 0


# What became of a call


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
@pytest.mark.parametrize("kind", WAYS)
async def test_what_never_left_is_tried_later(
    fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make, kind: str, error: type[httpx.HTTPError]
) -> None:
    router.post(API).mock(side_effect=error("tok must not be told"))
    assert await fulfil.issue([voucher(kind)]) == [RetryLater(reason=f"no answer from Shopify: {error.__name__}")]


@pytest.mark.parametrize("error", [httpx.ReadTimeout, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError])
@pytest.mark.parametrize("kind", WAYS)
async def test_what_left_without_an_answer_is_unknown(
    fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make, kind: str, error: type[httpx.HTTPError]
) -> None:
    route = router.post(API).mock(side_effect=error("tok must not be told"))
    assert await fulfil.issue([voucher(kind)]) == [Unknown(reason=f"no answer from Shopify: {error.__name__}")]
    if kind == "store_credit":
        assert route.call_count == 1


async def test_store_credit_that_may_have_arrived_is_not_sent_again_at_once(
    fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make
) -> None:
    lost = [httpx.ConnectError("refused"), httpx.ReadError("reset")]
    route = router.post(API).mock(side_effect=[*lost, data(c0=node(1))])
    assert [type(one) for one in await fulfil.issue([voucher("store_credit")])] == [Unknown]
    assert route.call_count == 2


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
@pytest.mark.parametrize("kind", WAYS)
async def test_a_shop_in_trouble_may_have_done_it(
    fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make, kind: str, status: int
) -> None:
    router.post(API).mock(return_value=httpx.Response(status, text="<html>"))
    assert await fulfil.issue([voucher(kind)]) == [Unknown(reason=f"Shopify answered {status}")]


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b"{}", b'{"data": {"c0": {}}}', b'{"data": {"c0": 1}}'])
@pytest.mark.parametrize("kind", WAYS)
async def test_an_answer_of_another_shape_leaves_it_unknown(
    fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make, kind: str, body: bytes
) -> None:
    router.post(API).mock(return_value=httpx.Response(200, content=body))
    assert [type(one) for one in await fulfil.issue([voucher(kind)])] == [Unknown]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("THROTTLED", RetryLater),
        ("ACCESS_DENIED", RetryLater),
        ("MAX_COST_EXCEEDED", RetryLater),
        ("INTERNAL_SERVER_ERROR", Unknown),
        ("", Unknown),
    ],
)
async def test_errors_of_the_whole_call_say_whether_anything_was_done(
    fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make, code: str, kind: type[Outcome]
) -> None:
    error = {"message": "private", "extensions": {"code": code}}
    router.post(API).mock(return_value=httpx.Response(200, json={"errors": [error]}))
    (outcome,) = await fulfil.issue([voucher("store_credit")])
    assert isinstance(outcome, kind)
    assert "private" not in str(outcome)


async def test_a_missing_scope_is_named(fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make) -> None:
    error = {"message": "private", "extensions": {"code": "ACCESS_DENIED"}}
    router.post(API).mock(return_value=httpx.Response(200, json={"errors": [error]}))
    (outcome,) = await fulfil.issue([voucher()])
    assert "access scopes" in getattr(outcome, "reason", "")


async def test_throttling_by_status_keeps_to_retry_after(
    fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make
) -> None:
    router.post(API).mock(return_value=httpx.Response(429, headers={"retry-after": "7"}))
    (outcome,) = await fulfil.issue([voucher("store_credit")])
    assert outcome == RetryLater(reason="Shopify throttles us", after=7.0)


async def test_the_pace_is_that_of_the_shop(fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make) -> None:
    status = {"maximumAvailable": 1000, "currentlyAvailable": 50, "restoreRate": 100}
    cost = {"requestedQueryCost": 250, "actualQueryCost": 250, "throttleStatus": status}
    body = {"data": {"c0": node(1)}, "extensions": {"cost": cost}}
    router.post(API).mock(return_value=httpx.Response(200, json=body))
    assert fulfil.pace() == 0
    await fulfil.issue([voucher()])
    assert fulfil.pace() == pytest.approx(2.0)


async def test_a_reason_has_codes_and_messages_but_no_ids(
    fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make
) -> None:
    where = ("basicCodeDiscount", "context", "customers", "add")
    made = wrong("Customer with id: gid://shopify/Customer/9001 is invalid", "INVALID", *where)
    router.post(API).mock(return_value=data(c0=made))
    (outcome,) = await fulfil.issue([voucher()])
    assert outcome == Rejected(reason="INVALID: Customer with id: … is invalid", gone=True)


async def test_an_error_inside_shopify_is_tried_later(
    fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make
) -> None:
    router.post(API).mock(return_value=data(c0=wrong("Unexpected", "INTERNAL_ERROR")))
    assert await fulfil.issue([voucher()]) == [RetryLater(reason="INTERNAL_ERROR: Unexpected")]


async def test_a_long_complaint_is_cut(fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make) -> None:
    router.post(API).mock(return_value=data(c0=wrong("x" * 5000)))
    (outcome,) = await fulfil.issue([voucher()])
    assert len(getattr(outcome, "reason", "")) == 300


# Finding


@pytest.mark.parametrize("kind", [*CODES, "gift_card"])
async def test_a_search_that_fails_changes_nothing(
    fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make, kind: str
) -> None:
    route = router.post(API).mock(return_value=httpx.Response(503))
    assert await fulfil.withdraw([voucher(kind)]) == [RetryLater(reason="Shopify answered 503")]
    assert route.call_count == 1


@pytest.mark.parametrize("body", [{}, {"data": {}}, {"data": {"shop": {}}}, {"data": {"c0": {"id": 1}}}])
@pytest.mark.parametrize("kind", [*CODES, "gift_card"])
async def test_an_answer_that_does_not_say_what_was_asked_finds_nothing_out(
    fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make, kind: str, body: dict[str, Any]
) -> None:
    router.post(API).mock(return_value=httpx.Response(200, json=body))
    for action in ("issue", "withdraw", "restore"):
        assert isinstance(await fulfil.lookup(voucher(kind), action), Unknown)
    assert [type(one) for one in await fulfil.withdraw([voucher(kind)])] == [RetryLater]


@pytest.mark.parametrize("kind", [*WAYS, "choice"])
async def test_a_lookup_that_fails_leaves_it_unknown(
    fulfil: ShopifyFulfilment, router: respx.Router, voucher: Make, kind: str
) -> None:
    router.post(API).mock(side_effect=httpx.ReadTimeout(""))
    assert isinstance(await fulfil.lookup(voucher(kind), "issue"), Unknown)


# What it says of itself


async def test_a_connection_makes_rewards_real(connection: Callable[..., ConnectionContext[Any]]) -> None:
    fulfil = (await connect(connection())).fulfil
    assert isinstance(fulfil, ShopifyFulfilment)
    assert not fulfil.idempotent
    assert fulfil.batch_size == 25


def told(table: Any, names: Sequence[str]) -> list[str]:
    return [name for name in names if name in table and table[name].level != "yes" and not table[name].note]


def test_whatever_is_not_fully_supported_has_a_note() -> None:
    assert told(ShopifyFulfilment.features, get_args(Feature)) == []
    assert told(ShopifyFulfilment.kinds, get_args(RewardKind)) == []
    assert set(ShopifyFulfilment.features) == set(get_args(Feature))


def test_exactly_the_kinds_that_are_promised_have_a_way() -> None:
    assert set(ShopifyFulfilment.kinds) == set(WAYS)
    assert not {"cash_out", "experience", "merchandise", "points", "choice", "custom"} & set(WAYS)


# A whole life at the simulated shop


@pytest.mark.parametrize("kind", WAYS)
async def test_a_full_batch_of_each_kind_is_made_and_made_unusable(
    fulfilment: ShopifyFulfilment, voucher: Make, member: str, kind: str
) -> None:
    vouchers = [voucher(kind, 100 + number, reference=member) for number in range(fulfilment.batch_size)]
    issued = await fulfilment.issue(vouchers)
    assert [type(one) for one in issued] == [Delivered] * len(vouchers)
    assert len({getattr(one, "result", {})["id"] for one in issued}) == len(vouchers)
    assert [type(one) for one in await fulfilment.withdraw(vouchers)] == [Delivered] * len(vouchers)


@pytest.mark.parametrize("kind", [*CODES, "gift_card"])
async def test_an_answer_that_was_lost_is_made_up_for_by_the_repeat_at_once(
    fulfilment: ShopifyFulfilment, simulated: Any, voucher: Make, member: str, kind: str
) -> None:
    for field in ("discountCodeBasicCreate", "discountCodeFreeShippingCreate", "giftCardCreate"):
        simulated.lose_answers(field, done=True)
    mine = voucher(kind, reference=member)
    (outcome,) = await fulfilment.issue([mine])
    assert isinstance(outcome, Delivered)
    assert set(outcome.result) == {"code", "id"}
    assert await fulfilment.lookup(mine, "issue") == Done(result=outcome.result)
    assert len(simulated.discounts.codes) + len(simulated.cards.cards) == 1


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("kind", WAYS)
async def test_whether_it_was_made_is_found_out_when_no_answer_comes_at_all(
    fulfilment: ShopifyFulfilment, simulated: Any, voucher: Make, member: str, kind: str, done: bool
) -> None:
    fields = ("discountCodeBasicCreate", "discountCodeFreeShippingCreate", "giftCardCreate", "storeCreditAccountCredit")
    for field in fields:
        simulated.lose_answers(field, done=done)
        simulated.lose_answers(field, done=False, times=2)
    mine = voucher(kind, reference=member)
    assert [type(one) for one in await fulfilment.issue([mine])] == [Unknown]
    lookup = await fulfilment.lookup(mine, "issue")
    assert isinstance(lookup, Done if done else Absent)
    if isinstance(lookup, Done):
        assert lookup.result["id"]


async def test_a_voucher_for_nobody_is_rejected_and_told_as_gone(fulfilment: ShopifyFulfilment, voucher: Make) -> None:
    for kind in WAYS:
        (outcome,) = await fulfilment.issue([voucher(kind, reference="404")])
        assert isinstance(outcome, Rejected), kind
        assert outcome.gone, kind
        assert "404" not in outcome.reason
