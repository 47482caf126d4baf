from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
import respx

from stampcard.plugin import (
    Balance,
    BalancePush,
    ConnectionContext,
    Delivered,
    Rejected,
    RetryLater,
)
from stampcard_shopify.balances import BalanceSink
from stampcard_shopify.client import Client

API = "https://acme.myshopify.com/admin/api/2026-10/graphql.json"


def push(number: int, *, reference: str = "", version: int = 3) -> BalancePush:
    balances = {"points": Balance(active=120, pending=30, lifetime=150), "status": Balance(active=5, scale=2)}
    return BalancePush(
        member=f"m{number}", reference=reference or str(7_000 + number), version=version, balances=balances
    )


def cost(requested: float = 10, available: float = 990, restore: float = 100) -> dict[str, Any]:
    status = {"maximumAvailable": 1000, "currentlyAvailable": available, "restoreRate": restore}
    return {"cost": {"requestedQueryCost": requested, "actualQueryCost": None, "throttleStatus": status}}


def answer(*errors: dict[str, Any], **extensions: Any) -> httpx.Response:
    told = [{"message": "is wrong", "code": "INVALID", "elementIndex": None} | error for error in errors]
    data = {"metafieldsSet": {"userErrors": told}}
    return httpx.Response(200, json={"data": data, "extensions": cost(**extensions)})


def throttled(status: int = 200, **extensions: Any) -> httpx.Response:
    error = {"message": "Throttled", "extensions": {"code": "THROTTLED", "documentation": "…"}}
    return httpx.Response(status, json={"errors": [error], "extensions": cost(**extensions)})


@pytest.fixture
def client(connection: Callable[..., ConnectionContext[Any]]) -> Client:
    return Client(connection())


@pytest.fixture
def sink(client: Client, settings: Callable[..., Any]) -> BalanceSink:
    return BalanceSink(client, settings())


def sent(call: Any) -> list[dict[str, Any]]:
    fields: list[dict[str, Any]] = msgspec.json.decode(call.request.content)["variables"]["metafields"]
    return fields


async def test_figures_go_out_as_one_json_metafield_per_customer(sink: BalanceSink, router: respx.Router) -> None:
    route = router.post(API).mock(return_value=answer())
    assert await sink.deliver([push(1), push(2)]) == [Delivered(), Delivered()]
    first, second = sent(route.calls.last)
    assert first["ownerId"] == "gid://shopify/Customer/7001"
    assert second["ownerId"] == "gid://shopify/Customer/7002"
    assert (first["namespace"], first["key"], first["type"]) == ("stampcard", "balance", "json")
    value = msgspec.json.decode(first["value"])
    assert value["version"] == 3
    assert value["wallets"]["points"] == {
        "active": 120,
        "pending": 30,
        "held": 0,
        "spent": 0,
        "expired": 0,
        "negative": 0,
        "lifetime": 150,
        "scale": 0,
    }
    assert value["wallets"]["status"]["scale"] == 2
    assert route.calls.last.request.headers["x-shopify-access-token"] == "tok"


async def test_what_is_refused_is_taken_out_and_the_rest_sent_again(sink: BalanceSink, router: respx.Router) -> None:
    refused = {"field": ["metafields", "1", "value"], "message": "too long"}
    route = router.post(API).mock(side_effect=[answer(refused), answer()])
    outcomes = await sink.deliver([push(1), push(2), push(3)])
    assert outcomes == [Delivered(), Rejected(reason="too long"), Delivered()]
    assert [field["ownerId"][-4:] for field in sent(route.calls.last)] == ["7001", "7003"]


async def test_a_customer_who_does_not_exist_any_more_is_gone(sink: BalanceSink, router: respx.Router) -> None:
    gone = {"field": ["metafields", "0", "ownerId"], "message": "Owner does not exist."}
    router.post(API).mock(side_effect=[answer(gone), answer()])
    outcomes = await sink.deliver([push(1), push(2)])
    assert outcomes == [Rejected(reason="Owner does not exist.", gone=True), Delivered()]


async def test_a_reference_that_is_no_id_is_not_sent(sink: BalanceSink, router: respx.Router) -> None:
    route = router.post(API).mock(return_value=answer())
    outcomes = await sink.deliver([push(1, reference="ada@shop.example"), push(2)])
    assert isinstance(outcomes[0], Rejected)
    assert outcomes[1] == Delivered()
    assert len(sent(route.calls.last)) == 1
    assert isinstance((await sink.deliver([push(3, reference="1/../2")]))[0], Rejected)
    assert route.call_count == 1


async def test_the_index_of_the_element_is_enough(sink: BalanceSink, router: respx.Router) -> None:
    router.post(API).mock(side_effect=[answer({"field": None, "elementIndex": 1}), answer()])
    outcomes = await sink.deliver([push(1), push(2)])
    assert outcomes == [Delivered(), Rejected(reason="is wrong")]


async def test_a_passing_error_of_one_item_is_tried_later(sink: BalanceSink, router: respx.Router) -> None:
    passing = {"field": ["metafields", "0"], "code": "INTERNAL_ERROR"}
    router.post(API).mock(side_effect=[answer(passing), answer()])
    assert await sink.deliver([push(1), push(2)]) == [RetryLater(reason="is wrong"), Delivered()]


async def test_an_error_that_names_no_item_is_of_all(sink: BalanceSink, router: respx.Router) -> None:
    router.post(API).mock(return_value=answer({"field": ["metafields"]}))
    assert await sink.deliver([push(1), push(2)]) == [Rejected(reason="is wrong")] * 2


async def test_a_shop_that_always_finds_another_fault_is_not_asked_for_ever(
    sink: BalanceSink, router: respx.Router
) -> None:
    route = router.post(API).mock(return_value=answer({"field": ["metafields", "0", "value"]}))
    outcomes = await sink.deliver([push(number) for number in range(5)])
    assert route.call_count == 3
    assert [type(outcome) for outcome in outcomes] == [Rejected, Rejected, Rejected, RetryLater, RetryLater]


async def test_an_index_that_was_never_sent_changes_nothing(sink: BalanceSink, router: respx.Router) -> None:
    router.post(API).mock(return_value=answer({"field": ["metafields", "9", "value"]}))
    assert [type(outcome) for outcome in await sink.deliver([push(1)])] == [RetryLater]


@pytest.mark.parametrize("status", [200, 429])
async def test_throttling_says_how_long_to_wait(sink: BalanceSink, router: respx.Router, status: int) -> None:
    router.post(API).mock(return_value=throttled(status, requested=60, available=10, restore=50))
    outcomes = await sink.deliver([push(1), push(2)])
    assert outcomes == [RetryLater(reason="Shopify throttles us", after=1.0)] * 2


async def test_throttling_by_status_alone_keeps_to_retry_after(sink: BalanceSink, router: respx.Router) -> None:
    router.post(API).mock(return_value=httpx.Response(429, headers={"retry-after": "2.0"}, text="Too many"))
    assert await sink.deliver([push(1)]) == [RetryLater(reason="Shopify throttles us", after=2.0)]


async def test_the_pace_follows_the_points_that_are_left(sink: BalanceSink, router: respx.Router, clock: Any) -> None:
    assert sink.pace() == 0
    router.post(API).mock(return_value=answer(requested=10, available=4, restore=2))
    await sink.deliver([push(1)])
    assert sink.pace() == pytest.approx(3.0)
    clock.moment += timedelta(seconds=2)
    assert sink.pace() == pytest.approx(1.0)
    clock.moment += timedelta(seconds=20)
    assert sink.pace() == 0


@pytest.mark.parametrize("status", [500, 502, 503, 504, 402, 408, 409, 423, 425, 430, 301])
async def test_what_may_pass_is_tried_later(sink: BalanceSink, router: respx.Router, status: int) -> None:
    headers = {"retry-after": "7", "location": "https://elsewhere.example/"}
    route = router.post(API).mock(return_value=httpx.Response(status, headers=headers, text="<html>"))
    assert await sink.deliver([push(1)]) == [RetryLater(reason=f"Shopify answered {status}", after=7.0)]
    assert route.call_count == 1


@pytest.mark.parametrize("status", [400, 403, 404, 406, 413, 422])
async def test_what_blames_the_request_is_rejected(sink: BalanceSink, router: respx.Router, status: int) -> None:
    router.post(API).mock(return_value=httpx.Response(status, json={"errors": "Not Found"}))
    assert await sink.deliver([push(1)]) == [Rejected(reason=f"Shopify answered {status}")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>maintenance</html>",
        b"\xff",
        b"null",
        b"{}",
        b'{"data": null}',
        b'{"data": {"metafieldsSet": null}}',
        b'{"data": {"metafieldsSet": {"userErrors": "none"}}}',
        b'{"data": {"metafieldsSet": {"userErrors": [{"message": "\xff"}]}}}',
        b"[" * 100_000,
    ],
)
async def test_an_answer_of_another_shape_is_tried_later(sink: BalanceSink, router: respx.Router, body: bytes) -> None:
    router.post(API).mock(return_value=httpx.Response(200, content=body))
    (outcome,) = await sink.deliver([push(1)])
    assert isinstance(outcome, RetryLater)


async def test_errors_of_the_query_are_named_by_their_codes(sink: BalanceSink, router: respx.Router) -> None:
    errors = [{"message": "private", "extensions": {"code": "ACCESS_DENIED"}}, {"message": "?"}]
    router.post(API).mock(return_value=httpx.Response(200, json={"data": None, "errors": errors}))
    (outcome,) = await sink.deliver([push(1)])
    assert isinstance(outcome, RetryLater)
    assert "ACCESS_DENIED" in outcome.reason
    assert "private" not in outcome.reason


@pytest.mark.parametrize("error", [httpx.ReadTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol])
async def test_a_timeout_is_tried_later_not_at_once(
    sink: BalanceSink, router: respx.Router, error: type[httpx.HTTPError]
) -> None:
    route = router.post(API).mock(side_effect=error("tok must not be told"))
    assert await sink.deliver([push(1)]) == [RetryLater(reason=f"no answer from Shopify: {error.__name__}")]
    assert route.call_count == 1


async def test_a_lost_connection_is_tried_again_at_once(sink: BalanceSink, router: respx.Router) -> None:
    lost = [httpx.ConnectError("refused"), httpx.RemoteProtocolError("reset")]
    route = router.post(API).mock(side_effect=[*lost, answer()])
    assert await sink.deliver([push(1)]) == [Delivered()]
    assert route.call_count == 3


async def test_a_connection_that_stays_lost_is_given_up_after_three_tries(
    sink: BalanceSink, router: respx.Router
) -> None:
    route = router.post(API).mock(side_effect=httpx.ConnectError("refused"))
    assert await sink.deliver([push(1)]) == [RetryLater(reason="no answer from Shopify: ConnectError")]
    assert route.call_count == 3


async def test_nothing_to_send_asks_nothing(sink: BalanceSink, router: respx.Router) -> None:
    route = router.post(API).mock(return_value=answer())
    assert await sink.deliver([]) == []
    assert route.call_count == 0
