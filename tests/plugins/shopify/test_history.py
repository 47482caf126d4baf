from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
import respx
import structlog

from stampcard.plugin import ConnectionContext, Delivery, HistoryPage, PluginError, Refetch
from stampcard.testing.clock import FakeClock
from stampcard_shopify import exporting, history
from stampcard_shopify.client import Client
from stampcard_shopify.fetching import OrderFetch
from stampcard_shopify.history import ShopifyHistory
from stampcard_shopify.plugin import ShopifySettings
from stampcard_shopify.simulator import ShopifySimulator
from stampcard_shopify.webhooks import ShopifyWebhooks

API = "https://acme.myshopify.com/admin/api/2026-10/graphql.json"
STORED = "https://storage.googleapis.com/shopify/file.jsonl?Signature=s"
LINE = {
    "__typename": "LineItem",
    "id": "gid://shopify/LineItem/2",
    "quantity": 1,
    "__parentId": "gid://shopify/Order/1",
}
ORDER = {"id": "gid://shopify/Order/1", "refunds": []}


@pytest.fixture
async def context(
    simulated: ShopifySimulator, clock: FakeClock, store: Any
) -> AsyncIterator[ConnectionContext[ShopifySettings]]:
    """A connection to a simulated shop."""
    async with httpx.AsyncClient() as http:
        yield ConnectionContext(
            name="acme",
            settings=ShopifySettings.model_validate(simulated.settings()),
            http=http,
            clock=clock,
            log=structlog.get_logger(),
            store=store,
            public_url="https://points.example",
        )


@pytest.fixture
def past(context: ConnectionContext[ShopifySettings]) -> ShopifyHistory:
    return ShopifyHistory(Client(context), context)


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a few orders are exported."""
    monkeypatch.setattr(history, "FEW", 0)


async def pages_of(past: ShopifyHistory, clock: FakeClock, since: Any = None, place: str = "") -> list[HistoryPage]:
    """All pages from a place on, each asked for when it is time."""
    found = list[HistoryPage]()
    while not found or place:
        found.append(await past.read(since, place))
        place = found[-1].place
        await clock.sleep(found[-1].wait)
    return found


def orders_of(pages: list[HistoryPage]) -> list[Delivery]:
    return [delivery for page in pages for delivery in page.deliveries]


def seen(delivery: Delivery, context: ConnectionContext[ShopifySettings]) -> list[Any]:
    """What the orders are decoded to, whenever they were read."""
    return list(ShopifyWebhooks(context.settings).events(msgspec.structs.replace(delivery, read_at=1)))


async def test_a_few_orders_are_fetched_the_longest_ago_first(
    past: ShopifyHistory, simulated: ShopifySimulator, clock: FakeClock
) -> None:
    list(simulated.history(120))
    assert await past.count(None) == len(simulated.book.orders)
    pages = await pages_of(past, clock)
    found = orders_of(pages)
    assert len(pages) > 1
    placed = [simulated.book.orders[int(one.key.rpartition(":")[2])].created_at for one in found]
    assert placed == sorted(placed)
    assert len({one.key for one in found}) == len(found) == len(simulated.book.orders)
    assert all(one.read_at for one in found)


@pytest.mark.usefixtures("many")
async def test_many_orders_are_exported_and_are_what_a_fetch_brings(
    past: ShopifyHistory,
    context: ConnectionContext[ShopifySettings],
    simulated: ShopifySimulator,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporting, "SOME", 20_000)
    list(simulated.history(60))
    simulated.exports.takes = 12.0
    pages = await pages_of(past, clock)
    assert [page.wait for page in pages[:4]] == [5.0, 5.0, 5.0, 0.0]
    assert pages[1].note.startswith("Shopify gathers the orders: ")
    assert len([page for page in pages if page.deliveries]) > 2
    found = {one.key: one for one in orders_of(pages)}
    assert len(found) == len(orders_of(pages)) == len(simulated.book.orders)
    fetch = OrderFetch(Client(context), context)
    for order in simulated.book.orders:
        (fetched,) = await fetch([Refetch(kind="order", reference=str(order))])
        assert seen(found[f"past:order:{order}"], context) == seen(fetched, context)


@pytest.mark.usefixtures("many")
async def test_a_place_that_is_read_again_brings_the_same(
    past: ShopifyHistory, simulated: ShopifySimulator, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "SOME", 20_000)
    list(simulated.history(30))
    pages = await pages_of(past, clock)
    first = pages[0].place
    again = await pages_of(past, clock, place=first)
    assert [(one.key, one.body) for one in orders_of(again)] == [(one.key, one.body) for one in orders_of(pages)]


@pytest.mark.usefixtures("many")
async def test_orders_since_a_moment_are_all_that_is_asked_for(
    past: ShopifyHistory, simulated: ShopifySimulator, clock: FakeClock
) -> None:
    list(simulated.history(40))
    since = clock.now() - timedelta(days=10)
    expected = {order.id for order in simulated.book.orders.values() if order.created_at >= since}
    assert 0 < len(expected) < len(simulated.book.orders)
    assert await past.count(since) == len(expected)
    found = orders_of(await pages_of(past, clock, since))
    assert {int(one.key.rpartition(":")[2]) for one in found} == expected


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("code", ["TIMEOUT", "INTERNAL_SERVER_ERROR", "ACCESS_DENIED"])
async def test_an_operation_that_fails_is_begun_again_and_what_it_gathered_is_taken(
    past: ShopifyHistory, simulated: ShopifySimulator, clock: FakeClock, code: str
) -> None:
    simulated.exports.failing.append(code)
    pages = await pages_of(past, clock)
    (failed,) = [page for page in pages if code in page.note]
    assert failed.wait == 60.0
    assert ("check the app's access scopes" in failed.note) == (code == "ACCESS_DENIED")
    assert 0 < len(failed.deliveries) < len(simulated.book.orders)
    assert {int(one.key.rpartition(":")[2]) for one in orders_of(pages)} == set(simulated.book.orders)


@pytest.mark.usefixtures("many")
async def test_a_file_that_has_expired_is_gathered_again(
    past: ShopifyHistory, simulated: ShopifySimulator, clock: FakeClock
) -> None:
    begun = await past.read(None)
    simulated.exports.expire()
    pages = await pages_of(past, clock, place=begun.place)
    assert "another is begun" in pages[0].note
    assert len(orders_of(pages)) == len(simulated.book.orders)
    unknown = await past.read(None, "bulk:17:0:0")
    assert unknown.place == "bulk::0:1"


@pytest.mark.usefixtures("many")
async def test_an_operation_whose_beginning_was_never_heard_of_is_gone_on_with(
    past: ShopifyHistory, simulated: ShopifySimulator, clock: FakeClock
) -> None:
    simulated.exports.takes = 60.0
    begun, again = await past.read(None), await past.read(None)
    assert begun.place == again.place
    other = await past.read(clock.now() - timedelta(days=300))
    assert other.place != begun.place
    assert len(simulated.exports.all) == 2


@pytest.mark.usefixtures("many")
async def test_a_shop_that_runs_one_operation_at_a_time_is_waited_for(
    past: ShopifyHistory, simulated: ShopifySimulator, clock: FakeClock
) -> None:
    simulated.exports.most, simulated.exports.takes = 1, 100.0
    await past.read(clock.now() - timedelta(days=300))
    busy = await past.read(None)
    assert (busy.place, busy.wait) == ("bulk::0:0", 60.0)
    await clock.sleep(120.0)
    assert len(orders_of(await pages_of(past, clock, place=busy.place))) == len(simulated.book.orders)


@pytest.mark.usefixtures("many")
async def test_a_shop_without_orders_has_no_past(
    past: ShopifyHistory, simulated: ShopifySimulator, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "FEW", -1)
    simulated.book.orders.clear()
    pages = await pages_of(past, clock)
    assert (orders_of(pages), pages[-1].place) == ([], "")


async def test_a_page_that_takes_long_ends_early(
    past: ShopifyHistory, simulated: ShopifySimulator, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = OrderFetch.order

    async def slowly(self: OrderFetch, reference: str) -> Any:
        await clock.sleep(5.0)
        return await whole(self, reference)

    monkeypatch.setattr(OrderFetch, "order", slowly)
    pages = await pages_of(past, clock)
    assert [len(page.deliveries) for page in pages[:2]] == [2, 2]
    assert len(orders_of(pages)) == len(simulated.book.orders)
    monkeypatch.setattr(history, "FEW", 0)
    exported = await pages_of(past, clock)
    assert len(orders_of(exported)) == len(simulated.book.orders)


Answering = Callable[[Mapping[str, Any], httpx.Response], ShopifyHistory]


@pytest.fixture
def answering(connection: Callable[..., ConnectionContext[Any]], router: respx.Router) -> Answering:
    """A history whose operation looks like this, and whose file like that."""

    def make(operation: Mapping[str, Any], file: httpx.Response) -> ShopifyHistory:
        shown = {"status": "COMPLETED", "createdAt": "2026-03-10T11:00:00Z", "url": STORED, **operation}
        router.post(API).mock(return_value=httpx.Response(200, json={"data": {"bulkOperation": shown}}))
        router.get(STORED).mock(return_value=file)
        context = connection()
        return ShopifyHistory(Client(context), context)

    return make


def written(*values: Any) -> bytes:
    return b"".join(msgspec.json.encode(value) + b"\n" for value in values)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (httpx.Response(503), "Shopify's storage answered 503"),
        (httpx.Response(302, headers={"location": "https://elsewhere.example"}), "Shopify's storage answered 302"),
        (httpx.Response(206, content=b"{}"), "does not say how long the file is"),
        (httpx.Response(200, content=b"<html>\n"), "none of JSON"),
        (httpx.Response(200, content=written(LINE)), "not grouped by their orders"),
        (httpx.Response(200, content=written(ORDER, {**LINE, "__parentId": "gid://shopify/Order/9"})), "not grouped"),
    ],
)
async def test_a_storage_in_trouble_makes_no_order_up(answering: Answering, file: httpx.Response, reason: str) -> None:
    with pytest.raises(PluginError, match=reason):
        await answering({}, file).read(None, "bulk:7:0:0")


async def test_a_storage_that_knows_no_ranges_shows_the_whole(answering: Answering, router: respx.Router) -> None:
    content = written(ORDER, LINE, {**ORDER, "id": "gid://shopify/Order/3"})
    past = answering({}, httpx.Response(200, content=content))
    page = await past.read(None, "bulk:7:0:0")
    assert [one.key for one in page.deliveries] == ["past:order:1", "past:order:3"]
    node = msgspec.json.decode(page.deliveries[0].body)
    assert node["lineItems"] == {"nodes": [{"id": "gid://shopify/LineItem/2", "quantity": 1}]}
    assert page.deliveries[0].read_at == 1_773_140_400_000_000
    asked = router.calls.last.request
    assert asked.headers["range"] == f"bytes=0-{exporting.SOME - 1}"
    assert "x-shopify-access-token" not in asked.headers
    rest = await past.read(None, f"bulk:7:{len(written(ORDER, LINE))}:0")
    assert [one.key for one in rest.deliveries] == ["past:order:3"]
    router.get(STORED).mock(return_value=httpx.Response(416))
    assert await past.read(None, f"bulk:7:{len(content)}:0") == HistoryPage()


async def test_a_piece_that_holds_no_whole_order_is_read_larger(
    answering: Answering, router: respx.Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "SOME", 64)
    content = written(ORDER, *[{**LINE, "id": f"gid://shopify/LineItem/{n}"} for n in range(20)])
    past = answering({}, httpx.Response(200))

    def piece(request: httpx.Request) -> httpx.Response:
        first, last = map(int, request.headers["range"].removeprefix("bytes=").split("-"))
        told = {"content-range": f"bytes {first}-{last}/{len(content)}"}
        return httpx.Response(206, content=content[first : last + 1], headers=told)

    router.get(STORED).mock(side_effect=piece)
    page = await past.read(None, "bulk:7:0:0")
    assert len(msgspec.json.decode(page.deliveries[0].body)["lineItems"]["nodes"]) == 20
    monkeypatch.setattr(exporting, "MOST", 256)
    with pytest.raises(PluginError, match="longer than 256 bytes"):
        await past.read(None, "bulk:7:0:0")


async def test_an_operation_that_shopify_refuses_is_told(
    connection: Callable[..., ConnectionContext[Any]], router: respx.Router
) -> None:
    refused = {"bulkOperation": None, "userErrors": [{"field": ["query"], "message": "No.", "code": "INVALID"}]}
    data = {"bulkOperationRunQuery": refused, "bulkOperations": {"nodes": []}}
    router.post(API).mock(return_value=httpx.Response(200, json={"data": data}))
    context = connection()
    with pytest.raises(PluginError, match=r"begins no bulk operation: INVALID: No\."):
        await ShopifyHistory(Client(context), context).read(None, "bulk::0:0")


def test_the_storage_of_shopify_alone_may_be_called_beside_the_shop(settings: Callable[..., ShopifySettings]) -> None:
    assert settings().outbound_hosts() == ("acme.myshopify.com", "storage.googleapis.com")
