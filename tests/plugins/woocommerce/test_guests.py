"""Who buys without an account: whose the order is, under which name, and what is told of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from stampcard.plugin import (
    ConnectionContext,
    CustomerErased,
    CustomerSeen,
    CustomersMerged,
    Delivery,
    MalformedPayload,
    OrderSeen,
    Refetch,
)
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.fetching import OrderFetch
from stampcard_woocommerce.guests import reference_of
from stampcard_woocommerce.simulator import WooCommerceSimulator
from stampcard_woocommerce.webhooks import WooCommerceWebhooks

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
GUEST = reference_of("shop", "uno.sepp@mail.example")


def test_a_guests_name_is_a_digest_that_only_their_address_and_the_connection_decide() -> None:
    assert GUEST is not None
    assert GUEST.startswith("guest-")
    assert "uno" not in GUEST
    assert reference_of("shop", "  UNO.Sepp@Mail.example ") == GUEST
    assert reference_of("other", "uno.sepp@mail.example") != GUEST
    assert reference_of("shop", "uno.sepp@mail.example.org") != GUEST


@pytest.mark.parametrize("text", ["", "   ", "nobody", "@", "a@", "@b", "x" * 300 + "@mail.example", "a@b\x00c"])
def test_what_is_no_address_has_no_name(text: str) -> None:
    assert reference_of("shop", text) is None


def test_a_guests_order_is_read_at_the_shop_unless_guests_are_ignored(decode: Any) -> None:
    assert decode("order_created__guest") == [Refetch(kind="order", reference="7102")]
    (order,) = decode("order_created__guest", guests="ignore")
    assert order.snapshot.customer is None
    person, order = decode("order_created__guest", guests="apart")
    assert person.reference == order.snapshot.customer == GUEST
    (order,) = decode("order_created__nobody")
    assert order.snapshot.customer is None


def test_a_guest_is_told_of_with_what_the_order_says(decode: Any) -> None:
    person, order = decode("fetched_order__guest")
    assert isinstance(person, CustomerSeen)
    assert person.reference == order.snapshot.customer == GUEST
    assert person.attributes["email"] == "Uno.Sepp@mail.example"
    assert person.attributes["phone"] is None
    assert person.verified == frozenset()
    (order,) = decode("fetched_order__guest", guests="ignore")
    assert order.snapshot.customer is None


def test_an_account_with_the_guests_address_has_the_order(decode: Any) -> None:
    (order,) = decode("fetched_order__known_guest")
    assert order.snapshot.customer == "64"


def test_opening_an_account_takes_nothing_over_unless_the_setting_says_so(decode: Any) -> None:
    assert [type(event) for event in decode("customer_created__full")] == [CustomerSeen]
    guest = reference_of("shop", "marta@shop.example")
    seen, merged = decode("customer_created__full", guests_join=True)
    assert merged == CustomersMerged(kept="58", gone=str(guest), occurred_at=seen.occurred_at)
    for guests in ("apart", "ignore"):
        assert len(decode("customer_created__full", guests_join=True, guests=guests)) == 1


def test_a_deleted_account_is_forgotten_only_if_the_setting_says_so(decode: Any) -> None:
    assert decode("customer_deleted__plain") == []
    (erased,) = decode("customer_deleted__plain", deleted_customers="erase")
    assert erased == CustomerErased(reference="58", occurred_at=NOW)


def test_a_body_of_another_topic_erases_nobody_whatever_its_header_says(decode: Any, load: Any) -> None:
    for name in ("order_created__guest", "customer_updated__bare"):
        with pytest.raises(MalformedPayload, match="unknown field"):
            decode("customer_deleted__plain", load(name), deleted_customers="erase")


def test_only_accounts_of_the_chosen_roles_become_members_at_once(decode: Any) -> None:
    assert decode("customer_updated__administrator") == []
    assert len(decode("customer_updated__administrator", roles=["administrator"])) == 1


def test_what_an_account_leaves_open_its_billing_address_says(decode: Any) -> None:
    (person,) = decode("customer_updated__bare", {"billing": {"phone": "1", "country": "EE", "first_name": "Rein"}})
    assert person.attributes == {
        "email": "rein@shop.example",
        "phone": "1",
        "first_name": "Rein",
        "last_name": None,
        "country": "EE",
    }
    assert person.occurred_at == datetime(2026, 2, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize("topic", ["order.created", "fetched/order", "customer.updated", "order.deleted"])
def test_an_erasure_finds_bodies_by_whom_they_are_about(settings: Any, load: Any, topic: str) -> None:
    names = {"order.created": "order_created__guest", "fetched/order": "fetched_order__guest"}
    named = {"customer.updated": "customer_updated__bare", "order.deleted": "order_deleted__plain"}
    body = msgspec.json.encode(load((names | named)[topic]))
    delivery = Delivery(connection="shop", key="k", topic=topic, body=body, received_at=NOW)
    expected = GUEST if topic in names else {"customer.updated": "59"}.get(topic)
    assert WooCommerceWebhooks(settings()).subject(delivery) == expected


async def owner(context: ConnectionContext[Any], reference: int) -> str | None:
    """Whose the order is that is read at the shop."""
    fetch = OrderFetch(Client(context), context)
    (delivery,) = await fetch([Refetch(kind="order", reference=str(reference))])
    event = list(WooCommerceWebhooks(context.settings).events(delivery))[-1]
    assert isinstance(event, OrderSeen)
    return event.snapshot.customer


async def test_a_guest_is_whoever_had_an_account_with_that_address_by_then(
    simulated: WooCommerceSimulator, connection: Callable[..., ConnectionContext[Any]], clock: Any
) -> None:
    before = simulated.buy(email="Late@mail.example")
    clock.moment += timedelta(minutes=5)
    account = simulated.register("late@mail.example")
    after = simulated.buy(email="late@MAIL.example")

    guest = reference_of("shop", "late@mail.example")
    assert await owner(connection(), before.id) == guest
    assert await owner(connection(), after.id) == account
    assert await owner(connection(guests="apart"), after.id) == guest
    assert await owner(connection(guests_join=True), before.id) == account
    assert await owner(connection(guests="ignore"), after.id) is None


async def test_an_account_of_any_role_is_found(
    simulated: WooCommerceSimulator, connection: Callable[..., ConnectionContext[Any]]
) -> None:
    account = simulated.register("boss@mail.example")
    simulated.book.customers[int(account)].role = "shop_manager"
    order = simulated.buy(email="boss@mail.example")
    assert await owner(connection(), order.id) == account
