"""Rewards on a contact's timeline."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from stampcard.domain.rewards import Redemption
from stampcard.plugin import (
    Absent,
    Balance,
    Capabilities,
    Change,
    Command,
    Delivered,
    Identity,
    Rejected,
    RetryLater,
    Sink,
)
from stampcard.testing.clock import NOON
from stampcard_hubspot.client import Client
from stampcard_hubspot.plugin import connect, outbound_commands
from stampcard_hubspot.simulator import HubSpotSimulator
from stampcard_hubspot.timeline import TimelineSink

TEMPLATE = "1001298"


def redemption(number: int = 1, status: Any = "used") -> Redemption:
    return Redemption(
        id=f"r-{number}", member="m-1", program="club", version=1, reward="five_off", kind="amount_off", gives="5 EUR",
        by="shop", status=status, created_at=NOON, wallet="points", price=500, worth=50_000,
    )  # fmt: skip


def change(*redemptions: Redemption) -> Change:
    return Change(member="m-1", version=3, occurred_at=NOON, kinds=("redeem",), redemptions=redemptions)


def command(reference: str, number: int = 1, **tokens: str) -> Command:
    told = {"reward": "five_off", "moment": "2026-03-10T12:00:00Z", **tokens}
    return Command(kind="timeline", key=f"r-{number}:used", member="m-1", reference=reference, data={"tokens": told})


@pytest.fixture
async def sink(connection: Any, portal: HubSpotSimulator) -> Sink[Any]:
    able: Capabilities = await connect(connection(portal.settings(), timeline_template=TEMPLATE))
    (found,) = able.sinks
    return found


def test_each_change_of_a_reward_is_told_once_and_nothing_of_it_is_personal() -> None:
    (told,) = outbound_commands(change(redemption()), Identity(connection="crm", reference="51"))
    assert told == Command(
        kind="timeline",
        key="r-1:used",
        member="m-1",
        reference="51",
        data={
            "tokens": {
                "reward": "five_off",
                "points": "500",
                "value": "5.00",
                "status": "used",
                "moment": "2026-03-10T12:00:00Z",
            }
        },
    )


@pytest.mark.parametrize(
    ("status", "count"), [("held", 0), ("issued", 1), ("used", 1), ("released", 1), ("expired", 1), ("revoked", 1)]
)
def test_that_it_is_held_is_over_in_a_moment(status: str, count: int) -> None:
    identity = Identity(connection="crm", reference="51")
    assert len(list(outbound_commands(change(redemption(status=status)), identity))) == count


def test_a_price_has_its_wallets_decimal_places() -> None:
    told = Change(
        member="m-1", version=3, occurred_at=NOON, kinds=("redeem",), redemptions=(redemption(),),
        balances={"points": Balance(active=1, lifetime=1, scale=2)},
    )  # fmt: skip
    (command,) = outbound_commands(told, Identity(connection="crm", reference="51"))
    assert command.data["tokens"]["points"] == "5.00"


def test_of_somebody_without_a_contact_nothing_is_told() -> None:
    assert outbound_commands(change(redemption()), None) == []
    assert outbound_commands(change(), Identity(connection="crm", reference="51")) == []


async def test_an_event_stands_on_the_timeline_once(sink: Any, portal: HubSpotSimulator) -> None:
    one = portal.add(email="a@example.com")
    assert await sink.deliver([command(one)]) == [Delivered()]
    assert await sink.deliver([command(one), command(one, 2)]) == [Delivered(), Delivered()]
    assert await sink.deliver([command(one)]) == [Delivered()]
    events = portal.timeline_of(one)
    assert [event.id for event in events] == ["stampcard:crm:r-1:used", "stampcard:crm:r-2:used"]
    assert (events[0].template, events[0].at) == (TEMPLATE, "2026-03-10T12:00:00Z")
    assert events[0].tokens["reward"] == "five_off"


async def test_of_a_batch_each_has_its_own_outcome(sink: Any, portal: HubSpotSimulator) -> None:
    one = portal.add(email="a@example.com")
    outcomes = await sink.deliver([command(one, 1), command("99", 2), command(one, 3)])
    assert outcomes == [Delivered(), Rejected(reason="the contact is not there any more", gone=True), Delivered()]
    assert await sink.deliver([command("99", 2)]) == [outcomes[1]]


async def test_a_lost_answer_is_asked_again_and_changes_nothing(sink: Any, portal: HubSpotSimulator) -> None:
    one = portal.add(email="a@example.com")
    portal.fail("events", 502, done=True)
    assert await sink.deliver([command(one)]) == [RetryLater(reason="HubSpot answered 502")]
    assert await sink.lookup(command(one)) == Absent()
    assert await sink.deliver([command(one)]) == [Delivered()]
    assert len(portal.timeline_of(one)) == 1


async def test_tokens_that_a_template_does_not_have_are_refused_in_words(connection: Any) -> None:
    told = {"category": "VALIDATION_ERROR", "message": "ada is no token"}
    context = connection(play=lambda _: httpx.Response(400, json=told), timeline_template=TEMPLATE)
    (outcome,) = await TimelineSink(Client(context)).deliver([command("51")])
    assert outcome == Rejected(
        reason="HubSpot refuses the event (VALIDATION_ERROR): check timeline_template and its tokens"
    )


async def test_without_a_template_nothing_is_shown(connection: Any, portal: HubSpotSimulator) -> None:
    sink = TimelineSink(Client(connection(portal.settings())))
    assert await sink.deliver([command("51")]) == [Delivered()]
    assert portal.calls == []
