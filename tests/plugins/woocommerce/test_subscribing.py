"""Webhooks of the shop, looked at and set right by its REST API."""

from __future__ import annotations

from typing import Any

import pytest

from stampcard_woocommerce.calling import CallFailed
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.simulator import WooCommerceSimulator
from stampcard_woocommerce.subscribing import TOPICS, WooCommerceSubscriptions

#: Nobody listens there; pings are sent once and nothing comes of them.
HERE = "http://127.0.0.1:9/webhooks/shop"


@pytest.fixture
def subscriptions(client: Client) -> WooCommerceSubscriptions:
    return WooCommerceSubscriptions(client, client.context.settings)


async def test_what_is_missing_is_made_with_our_secret_and_active(
    simulated: WooCommerceSimulator, subscriptions: WooCommerceSubscriptions
) -> None:
    assert (await subscriptions.look(HERE)).missing == TOPICS
    audit = await subscriptions.mend(HERE, but=("customer.deleted",))
    assert audit.missing == ("customer.deleted",)
    assert {one.topic for one in audit.good} == {*TOPICS} - {"customer.deleted"}
    (secret,) = {hook.secret for hook in simulated.hooks.all.values()}
    assert [secret] == simulated.settings()["webhook_secrets"]
    assert len(simulated.hooks.pings) == 6


async def test_mending_twice_changes_nothing(simulated: Any, subscriptions: WooCommerceSubscriptions) -> None:
    first = await subscriptions.mend(HERE)
    hooks = {number: (hook.topic, hook.status, hook.secret) for number, hook in simulated.hooks.all.items()}
    assert await subscriptions.mend(HERE) == first
    assert {number: (hook.topic, hook.status, hook.secret) for number, hook in simulated.hooks.all.items()} == hooks


async def test_one_that_was_switched_off_paused_or_given_another_secret_is_set_right(
    simulated: Any, subscriptions: WooCommerceSubscriptions
) -> None:
    await subscriptions.mend(HERE)
    disabled, paused, renamed, *_ = simulated.hooks.all.values()
    disabled.status, paused.status, renamed.secret = "disabled", "paused", "another"
    audit = await subscriptions.look(HERE + "/")
    assert {one.id: one.problem.split()[1] for one in audit.wrong} == {
        str(disabled.id): "switched",
        str(paused.id): "paused",
    }
    audit = await subscriptions.mend(HERE)
    assert (audit.wrong, audit.missing) == ((), ())
    assert {hook.status for hook in simulated.hooks.all.values()} == {"active"}
    assert renamed.secret == disabled.secret


async def test_one_that_comes_twice_is_ended_and_what_goes_elsewhere_is_left_alone(
    simulated: Any, subscriptions: WooCommerceSubscriptions
) -> None:
    await subscriptions.mend(HERE)
    first = next(iter(simulated.hooks.all.values()))
    writing = simulated.api.writing
    writing.make_hook({"topic": first.topic, "delivery_url": HERE})
    writing.make_hook({"topic": "order.updated", "delivery_url": "https://other.example/hook"})
    writing.make_hook({"topic": "product.updated", "delivery_url": HERE})
    audit = await subscriptions.look(HERE)
    assert [one.problem for one in audit.wrong] == ["comes twice"]
    assert [one.address for one in audit.foreign] == ["https://other.example/hook"]
    await subscriptions.mend(HERE)
    assert len([hook for hook in simulated.hooks.all.values() if hook.topic == first.topic]) == 1
    assert len(simulated.hooks.all) == len(TOPICS) + 2


async def test_ending_ends_all_that_come_here(simulated: Any, subscriptions: WooCommerceSubscriptions) -> None:
    await subscriptions.mend(HERE)
    simulated.api.writing.make_hook({"topic": "order.updated", "delivery_url": "https://other.example/hook"})
    assert await subscriptions.end(HERE) == len(TOPICS)
    assert [hook.url for hook in simulated.hooks.all.values()] == ["https://other.example/hook"]
    assert await subscriptions.end(HERE) == 0


async def test_a_lost_answer_makes_none_twice(simulated: Any, subscriptions: WooCommerceSubscriptions) -> None:
    simulated.fail("webhooks/batch", 0, done=True)
    with pytest.raises(CallFailed):
        await subscriptions.mend(HERE)
    assert len(simulated.hooks.all) == len(TOPICS)
    assert (await subscriptions.mend(HERE)).wrong == ()


async def test_more_webhooks_than_fit_on_a_page_are_all_seen(
    simulated: Any, subscriptions: WooCommerceSubscriptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    await subscriptions.mend(HERE)
    monkeypatch.setattr("stampcard_woocommerce.subscribing.PAGE", 3)
    audit = await subscriptions.look(HERE)
    assert (len(audit.good), audit.wrong, audit.missing) == (len(TOPICS), (), ())


def test_topics_that_are_set_are_all_that_are_understood() -> None:
    from stampcard_woocommerce.webhooks import TOPICS as UNDERSTOOD

    assert set(TOPICS) == {topic for topic in UNDERSTOOD if not topic.startswith("fetched/")}
