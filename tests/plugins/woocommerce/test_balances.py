"""What a customer's account shows, and how it goes away again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stampcard.plugin import Balance, BalancePush, Delivered, Rejected, RetryLater, TagPush
from stampcard_woocommerce.balances import BalanceSink, plain
from stampcard_woocommerce.cleaning import WooCommerceCleaner
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.guests import reference_of
from stampcard_woocommerce.marking import TagSink
from stampcard_woocommerce.simulator import WooCommerceSimulator


@pytest.fixture
def sink(client: Client) -> BalanceSink:
    return BalanceSink(client, client.context.settings)


def push(reference: str, active: int = 120, **more: Any) -> BalancePush:
    balances = {"points": Balance(active=active, lifetime=150), "cash": Balance(active=1250, scale=2)}
    return BalancePush(member="m", reference=reference, version=7, balances=balances, **more)


async def test_all_figures_are_written_and_each_wallet_has_a_plain_number(
    simulated: WooCommerceSimulator, sink: BalanceSink
) -> None:
    customer = simulated.register()
    assert await sink.deliver([push(customer)]) == [Delivered()]
    shown = simulated.book.customers[int(customer)].meta
    assert json.loads(shown["stampcard_balance"])["wallets"]["points"]["lifetime"] == 150
    assert (shown["stampcard_balance_points"], shown["stampcard_balance_cash"]) == ("120", "12.50")
    assert simulated.shown() == {customer: 120}
    assert simulated.shown_versions() == {customer: 7}


@pytest.mark.parametrize(
    ("figure", "scale", "text"), [(0, 0, "0"), (7, 2, "0.07"), (1250, 2, "12.50"), (-5, 1, "-0.5"), (-40, 0, "-40")]
)
def test_a_plain_number_has_its_decimal_places(figure: int, scale: int, text: str) -> None:
    assert plain(figure, scale) == text


async def test_a_guest_has_nothing_to_show_it_in_and_a_stranger_is_refused(
    simulated: WooCommerceSimulator, sink: BalanceSink
) -> None:
    guest = reference_of("shop", "uno@mail.example")
    assert guest is not None
    customer = simulated.register()
    outcomes = await sink.deliver([push(guest), push("nobody"), push("999999"), push(customer), push("0")])
    assert [type(outcome) for outcome in outcomes] == [Delivered, Rejected, Rejected, Delivered, Rejected]
    assert [outcome.gone for outcome in outcomes if isinstance(outcome, Rejected)] == [True, True, True]
    assert await sink.deliver([push(guest)]) == [Delivered()]
    assert len(simulated.api.calls) == 1


async def test_a_busy_shop_gets_it_later(simulated: WooCommerceSimulator, sink: BalanceSink) -> None:
    customer = simulated.register()
    simulated.fail("batch", 503, retry_after=9)
    assert await sink.deliver([push(customer)]) == [RetryLater(reason="WooCommerce answered 503", after=9)]
    assert sink.pace() == 9


async def test_the_fields_of_all_wallets_are_taken_away_and_no_others(
    simulated: WooCommerceSimulator, sink: BalanceSink, client: Client
) -> None:
    customer, bare = simulated.register(), simulated.register()
    await sink.deliver([push(customer)])
    shown = simulated.book.customers[int(customer)].meta
    shown["stampcard_balances"] = shown["nickname"] = "theirs"
    cleaner = WooCommerceCleaner(client, client.context.settings)
    guest = str(reference_of("shop", "uno@mail.example"))
    for _ in range(2):
        outcomes = await cleaner.clean([customer, bare, guest, "999999", "nobody"])
        assert outcomes == [Delivered()] * 5
        assert shown == {"stampcard_balances": "theirs", "nickname": "theirs"}
    assert "stampcard_balance" in cleaner.what


async def test_perks_are_listed_in_a_field_of_their_own_and_go_with_the_rest(
    simulated: WooCommerceSimulator, client: Client
) -> None:
    marks = TagSink(client, client.context.settings)
    customer, guest = simulated.register(), str(reference_of("shop", "uno@mail.example"))
    shown = simulated.book.customers[int(customer)].meta

    def wanted(reference: str, *tags: str) -> TagPush:
        return TagPush(member="m", reference=reference, version=1, tags=tags)

    assert await marks.deliver([wanted(customer, "early", "vip"), wanted(guest, "vip")]) == [Delivered()] * 2
    assert shown == {"stampcard_perks": "early,vip"}
    assert await marks.deliver([wanted(customer)]) == [Delivered()]
    assert shown == {}
    await marks.deliver([wanted(customer, "vip")])
    assert await WooCommerceCleaner(client, client.context.settings).clean([customer]) == [Delivered()]
    assert shown == {}
    (outcome,) = await marks.deliver([wanted("nobody", "vip")])
    assert isinstance(outcome, Rejected)


async def test_what_could_not_be_taken_away_is_told(simulated: WooCommerceSimulator, client: Client, sink: Any) -> None:
    customer = simulated.register()
    await sink.deliver([push(customer)])
    cleaner = WooCommerceCleaner(client, client.context.settings)
    for part in ("customers", "batch"):
        simulated.fail(part, 503)
        (outcome,) = await cleaner.clean([customer])
        assert isinstance(outcome, RetryLater)
    assert "stampcard_balance" in simulated.book.customers[int(customer)].meta
