"""Rewards that a member holds, as offers on the card."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from stampcard.plugin import CardOffer, Delivered, PassPush, PassSink, RetryLater
from stampcard_google_wallet.offering import MOST
from stampcard_google_wallet.simulator import GoogleWalletSimulator

Pushes = Callable[..., PassPush]
SERIAL, OTHER = "a0" * 12, "b1" * 12
COFFEE = CardOffer(id="r1", title="A free coffee", code="FREE1", ends_at=datetime(2026, 12, 24, tzinfo=UTC))
CAKE = CardOffer(id="r2", title="A cake")


def asked(google: GoogleWalletSimulator) -> list[str]:
    told = [
        call.method + " " + call.path.partition("/")[0] + call.path.rpartition("/")[2][:6] * ("Linked" in call.path)
        for call in google.calls
    ]
    google.calls.clear()
    return told


def linked(google: GoogleWalletSimulator, serial: str = SERIAL) -> list[dict[str, object]]:
    return [google.book.kept["offerObject"][one] for one in google.card(serial).get("linkedOfferIds", ())]


async def test_a_reward_is_shown_on_the_card_with_its_code_and_its_end(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    assert await passes.deliver([push(offers=(COFFEE, CAKE))]) == [Delivered(result={"noticed": False})]
    coffee, cake = linked(google)
    assert coffee["barcode"] == {"type": "QR_CODE", "value": "FREE1", "alternateText": "FREE1"}
    assert coffee["validTimeInterval"] == {"end": {"date": "2026-12-24T00:00:00+00:00"}}
    assert coffee["textModulesData"] == [{"id": "reward", "header": "Coffee club", "body": "A free coffee"}]
    assert ("barcode" in cake, cake["state"]) == (False, "ACTIVE")
    (drawn,) = google.book.kept["offerClass"].values()
    assert (drawn["id"], drawn["title"]) == (f"{google.issuer}.phone_coffee_offers", "Coffee club")


async def test_nothing_is_asked_for_while_the_rewards_are_the_same(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    await passes.deliver([push(offers=(COFFEE,))])
    google.calls.clear()
    await passes.deliver([push(offers=(COFFEE,), holder="Ann")])
    assert asked(google) == ["PATCH loyaltyObject"]


async def test_a_reward_that_was_used_leaves_the_card_and_a_new_one_comes_onto_it(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    await passes.deliver([push(offers=(COFFEE,))])
    google.calls.clear()
    await passes.deliver([push(offers=(CAKE,))])
    assert asked(google) == ["PATCH loyaltyObject", "POST offerObject", "PATCH offerObject", "POST loyaltyObjectmodify"]
    assert [offer["textModulesData"][0]["body"] for offer in linked(google)] == ["A cake"]  # type: ignore[index]
    states = {offer["state"]: "barcode" in offer for offer in google.book.kept["offerObject"].values()}
    assert states == {"COMPLETED": False, "ACTIVE": False}


async def test_a_reward_that_changed_is_shown_as_it_is_now(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    await passes.deliver([push(offers=(COFFEE,))])
    await passes.deliver([push(offers=(CardOffer(id="r1", title="A free coffee", code="FREE2"),))])
    (offer,) = linked(google)
    assert offer["barcode"]["value"] == "FREE2"  # type: ignore[index]


async def test_two_passes_of_a_member_show_the_same_reward(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    outcomes = await passes.deliver([push(offers=(COFFEE,)), push(OTHER, offers=(COFFEE,))])
    assert [type(one) for one in outcomes] == [Delivered] * 2
    assert linked(google) == linked(google, OTHER) != []


async def test_a_reward_that_google_refuses_keeps_nothing_else_from_the_card(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    google.fail("POST offerObject", 400, reason="invalidResource")
    (outcome,) = await passes.deliver([push(offers=(COFFEE, CAKE))])
    assert outcome == Delivered(result={"noticed": False, "offers": "Google answered 400: it failed"})
    assert len(linked(google)) == 1


async def test_a_reward_that_google_takes_later_is_tried_again(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    google.fail("modifyLinkedOfferObjects", 503)
    assert [type(one) for one in await passes.deliver([push(offers=(COFFEE,))])] == [RetryLater]
    assert [type(one) for one in await passes.deliver([push(offers=(COFFEE,))])] == [Delivered]
    assert len(linked(google)) == 1


async def test_offers_of_others_on_a_card_are_not_touched(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    await passes.deliver([push()])
    theirs = {"id": f"{google.issuer}.theirs", "classId": f"{google.issuer}.phone_coffee_offers", "state": "ACTIVE"}
    google.book.kept["offerObject"][theirs["id"]] = theirs
    google.card(SERIAL)["linkedOfferIds"] = [theirs["id"]]
    await passes.deliver([push(offers=(CAKE,))])
    await passes.deliver([push()])
    assert linked(google) == [theirs]


async def test_a_card_has_room_for_ten_rewards(google: GoogleWalletSimulator, passes: PassSink, push: Pushes) -> None:
    offers = tuple(CardOffer(id=f"r{number}", title=f"Reward {number}") for number in range(12))
    assert [type(one) for one in await passes.deliver([push(offers=offers)])] == [Delivered]
    assert len(linked(google)) == MOST == 10
    assert google.tally.throttled == 0


async def test_a_class_of_rewards_that_is_gone_is_made_anew_next_time(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    await passes.deliver([push(offers=(COFFEE,))])
    google.book.kept["offerClass"].clear()
    both = push(offers=(COFFEE, CAKE))
    (outcome,) = await passes.deliver([both])
    assert isinstance(outcome, RetryLater)
    assert outcome.reason == "Google has no class of rewards"
    assert [type(one) for one in await passes.deliver([both])] == [Delivered]
    assert len(linked(google)) == 2
