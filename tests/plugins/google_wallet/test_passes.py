"""Cards at the simulated Google, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

import httpx
import pytest
from msgspec.structs import replace

from stampcard.plugin import (
    Capabilities,
    CardField,
    CardOffer,
    Delivered,
    PassPush,
    PassSink,
    PluginError,
    Rejected,
    RetryLater,
)
from stampcard.testing.clock import FakeClock
from stampcard_google_wallet.simulator import GoogleWalletSimulator

Pushes = Callable[..., PassPush]
Sinks = Callable[..., Awaitable[PassSink]]
SERIAL, OTHER = "a0" * 12, "b1" * 12


def asked(google: GoogleWalletSimulator) -> list[str]:
    """What was asked for since the last time, without the names of issuers."""
    told = [f"{call.method} {call.path.replace(google.issuer, '')}" for call in google.calls]
    google.calls.clear()
    return told


async def test_a_card_that_is_not_there_is_made_behind_its_class(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    assert await passes.deliver([push()]) == [Delivered(result={"noticed": False})]
    assert asked(google) == ["POST loyaltyClass", f"PATCH loyaltyObject/.{SERIAL}", "POST loyaltyObject"]
    card = google.card(SERIAL)
    assert card["loyaltyPoints"]["balance"] == {"int": 1250}
    assert card["loyaltyPoints"]["localizedLabel"]["translatedValues"] == [{"language": "nl", "value": "Punten"}]
    assert card["secondaryLoyaltyPoints"]["balance"] == {"string": "Gold"}
    assert [(text["id"], text["body"]) for text in card["textModulesData"]] == [("next_reward", "A free coffee")]
    assert (card["accountId"], card["accountName"]) == ("123412341234", "Zoë Archer")
    assert card["barcode"] == {"type": "QR_CODE", "value": push().code, "alternateText": "1234 1234 1234"}
    (drawn,) = google.book.kept["loyaltyClass"].values()
    assert drawn["id"] == f"{google.issuer}.phone_coffee"
    assert drawn["callbackOptions"] == {"url": "https://points.example/webhooks/phone"}
    assert drawn["localizedIssuerName"]["translatedValues"] == [{"language": "nl", "value": "Hill Branders"}]
    assert (drawn["reviewStatus"], drawn["hexBackgroundColor"]) == ("UNDER_REVIEW", "#7f5539")


async def test_a_card_that_is_there_is_patched_alone(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    await passes.deliver([push()])
    asked(google)
    changed = push(fields=(CardField(name="points", text="9", number="9"),), holder="")
    assert await passes.deliver([changed]) == [Delivered(result={"noticed": False})]
    assert asked(google) == [f"PATCH loyaltyObject/.{SERIAL}"]
    card = google.card(SERIAL)
    assert card["loyaltyPoints"]["balance"] == {"int": 9}
    assert card["textModulesData"] == []
    assert {"accountName", "secondaryLoyaltyPoints", "rotatingBarcode"}.isdisjoint(card)


async def test_cards_of_a_batch_leave_in_one_call_and_each_has_its_own_outcome(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    items = [push(f"{number:024x}") for number in range(passes.batch_size)]
    assert [type(one) for one in await passes.deliver(items)] == [Delivered] * passes.batch_size
    assert google.api.batches == [10, 10]
    google.fail(f"PATCH loyaltyObject/{google.issuer}.{3:024x}", 400, reason="invalidResource")
    google.fail(f"PATCH loyaltyObject/{google.issuer}.{5:024x}", 503, retry_after=7)
    outcomes = await passes.deliver(items)
    assert outcomes[3] == Rejected(reason="Google answered 400: it failed")
    assert outcomes[5] == RetryLater(reason="Google answered 503", after=7)
    assert [type(one) for one in outcomes].count(Delivered) == 8
    assert google.api.batches == [10, 10, 10]


async def test_no_more_than_twenty_requests_leave_in_a_second(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes, clock: FakeClock
) -> None:
    began = clock.now()
    for start in range(0, 60, passes.batch_size):
        items = [push(f"{start + number:024x}") for number in range(passes.batch_size)]
        assert [type(one) for one in await passes.deliver(items)] == [Delivered] * passes.batch_size
        assert passes.rate is not None
        clock.advance(max(passes.pace(), 1 / passes.rate.per_second))
    assert google.tally.throttled == 0
    assert len(google.calls) == 121
    assert clock.now() - began >= timedelta(seconds=6)


async def test_a_class_is_told_once_and_again_when_it_looks_otherwise(
    google: GoogleWalletSimulator, sink: Sinks, passes: PassSink, push: Pushes
) -> None:
    await passes.deliver([push()])
    restarted = await sink()
    asked(google)
    await restarted.deliver([push()])
    assert asked(google) == [f"PATCH loyaltyObject/.{SERIAL}"]
    design = replace(push().design, banner="", colour="#000000")
    await restarted.deliver([push(design=design)])
    assert asked(google)[0] == "PATCH loyaltyClass/.phone_coffee"
    (drawn,) = google.book.kept["loyaltyClass"].values()
    assert (drawn["hexBackgroundColor"], "heroImage" in drawn) == ("#000000", False)


async def test_a_class_that_another_installation_made_is_taken_over(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes, store: dict[str, bytes]
) -> None:
    await passes.deliver([push()])
    store.clear()
    asked(google)
    assert [type(one) for one in await passes.deliver([push()])] == [Delivered]
    assert asked(google)[:2] == ["POST loyaltyClass", "PATCH loyaltyClass/.phone_coffee"]


async def test_a_class_that_is_gone_is_made_anew_next_time(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    await passes.deliver([push()])
    for kept in google.book.kept.values():
        kept.clear()
    (outcome,) = await passes.deliver([push()])
    assert isinstance(outcome, RetryLater)
    assert [type(one) for one in await passes.deliver([push()])] == [Delivered]


async def test_a_class_that_is_refused_is_told_of_each_card(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    google.fail("POST loyaltyClass", 400, reason="invalidResource")
    outcomes = await passes.deliver([push(), push(OTHER)])
    assert outcomes == [Rejected(reason="Google answered 400: it failed")] * 2
    assert asked(google) == ["POST loyaltyClass"]


async def test_without_a_logo_it_is_said_what_to_change(passes: PassSink, push: Pushes) -> None:
    bare = push(design=replace(push().design, logo=""))
    (outcome,) = await passes.deliver([bare])
    told = "Google Wallet shows no card without a logo: give the card of the program one (card, logo)"
    assert outcome == Rejected(reason=told)
    with pytest.raises(PluginError, match="card, logo"):
        await passes.link(bare, is_there=False)


async def test_callbacks_are_asked_for_only_where_google_can_call(
    google: GoogleWalletSimulator, sink: Sinks, push: Pushes
) -> None:
    one = await sink(public_url="http://127.0.0.1:8080", class_suffix="of-its-own")
    await one.deliver([push()])
    drawn = google.book.kept["loyaltyClass"][f"{google.issuer}.of-its-own"]
    assert "callbackOptions" not in drawn


async def test_whoever_takes_no_part_any_more_has_an_inactive_card(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    await passes.deliver([push()])
    await passes.deliver([push(active=False)])
    assert google.card(SERIAL)["state"] == "INACTIVE"
    await passes.deliver([push()])
    assert google.card(SERIAL)["state"] == "ACTIVE"


@pytest.mark.parametrize(
    ("number", "text", "balance"),
    [
        ("-5", "-5", {"int": -5}),
        ("150.00", "150", {"int": 150}),
        ("12.5", "12,5", {"string": "12,5"}),
        ("2147483648", "2.147.483.648", {"string": "2.147.483.648"}),
        ("", "Gold", {"string": "Gold"}),
        ("NaN", "?", {"string": "?"}),
        ("1E+999999", "many", {"string": "many"}),
    ],
)
async def test_a_whole_number_is_told_as_one_and_all_else_as_the_member_reads_it(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes, number: str, text: str, balance: dict[str, object]
) -> None:
    await passes.deliver([push(fields=(CardField(name="points", text=text, number=number),))])
    assert google.card(SERIAL)["loyaltyPoints"]["balance"] == balance


async def test_a_figure_that_is_a_number_and_then_a_text_is_never_both(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    fields = {"250": {"int": 250}, "12.5": {"string": "12.5"}, "9": {"int": 9}, "": {"string": ""}}
    for number, balance in fields.items():
        figures = [CardField(name=name, text=number, number=number) for name in ("points", "pending")]
        assert [type(one) for one in await passes.deliver([push(fields=tuple(figures))])] == [Delivered]
        card = google.card(SERIAL)
        assert [card[name]["balance"] for name in ("loyaltyPoints", "secondaryLoyaltyPoints")] == [balance] * 2


async def test_what_is_made_is_told_without_nulls_and_what_is_changed_with_them(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    await passes.deliver([push(holder="", design=replace(push().design, banner=""))])
    told = {f"{call.method} {call.path.partition('/')[0]}": json.dumps(call.body) for call in google.calls}
    assert {what: "null" in body for what, body in told.items()} == {
        "POST loyaltyClass": False,
        "PATCH loyaltyObject": True,
        "POST loyaltyObject": False,
    }


async def test_a_card_without_figures_shows_none(google: GoogleWalletSimulator, passes: PassSink, push: Pushes) -> None:
    await passes.deliver([push(fields=())])
    assert "loyaltyPoints" not in google.card(SERIAL)


# Notices


async def test_a_fourth_notice_within_a_day_is_left_out_and_told(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes, clock: FakeClock
) -> None:
    await passes.deliver([push()])
    for points, noticed in ((1, True), (2, True), (3, True), (4, False)):
        fields = (CardField(name="points", text=str(points), number=str(points)),)
        assert await passes.deliver([push(fields=fields, notify=True)]) == [Delivered(result={"noticed": noticed})]
    assert google.card(SERIAL)["loyaltyPoints"]["balance"] == {"int": 4}
    assert len(google.notices(SERIAL)) == passes.notices == 3
    clock.advance(timedelta(hours=24))
    assert await passes.deliver([push(notify=True)]) == [Delivered(result={"noticed": True})]


async def test_a_holder_is_notified_once_although_an_offer_is_tried_again(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    await passes.deliver([push()])
    google.fail("POST offerObject", 503)
    rung = push(offers=(CardOffer(id="r1", title="Coffee"),), notify=True)
    assert [type(one) for one in await passes.deliver([rung])] == [RetryLater]
    assert await passes.deliver([rung]) == [Delivered(result={"noticed": True})]
    assert google.notices(SERIAL) == ["update"]


async def test_what_the_network_loses_is_tried_later(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    await passes.deliver([push(), push(OTHER)])
    google.fail("POST batch", 0)
    outcomes = await passes.deliver([push(), push(OTHER)])
    assert [type(one) for one in outcomes] == [RetryLater] * 2
    google.fail("PATCH", 0, done=True)
    assert [type(one) for one in await passes.deliver([push()])] == [RetryLater]
    assert [type(one) for one in await passes.deliver([push()])] == [Delivered]


async def test_google_that_asks_for_patience_is_left_alone(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes, clock: FakeClock
) -> None:
    google.fail("POST batch", 429, retry_after=30)
    outcomes = await passes.deliver([push(), push(OTHER)])
    assert outcomes == [RetryLater(reason="Google wants fewer calls (429)", after=30)] * 2
    assert passes.pace() == pytest.approx(30, abs=1)
    clock.advance(30)
    assert passes.pace() == 0


async def test_an_account_that_is_no_user_of_the_issuer_is_told_to_become_one(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    google.api.is_user = False
    (outcome,) = await passes.deliver([push()])
    assert isinstance(outcome, RetryLater)
    assert "add it as a user in the Google Pay & Wallet console" in outcome.reason
    assert google.account.email in outcome.reason


async def test_google_words_are_told_without_what_was_sent(
    sink: Sinks, push: Pushes, google: GoogleWalletSimulator
) -> None:
    def play(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return httpx.Response(200, json={"access_token": "t" * 50, "expires_in": 3599})
        if "loyaltyClass" in request.url.path:
            return httpx.Response(200, json={"id": f"{google.issuer}.phone_coffee"})
        told = f"Invalid value Zoë Archer at accountName, code {push().code} {'t' * 50}"
        return httpx.Response(400, json={"error": {"code": 400, "message": told}})

    one = await sink(play=play)
    (outcome,) = await one.deliver([push()])
    assert outcome == Rejected(reason="Google answered 400: Invalid value … at accountName, code … …")


# Passes that are over


async def test_a_pass_that_is_over_shows_nothing_of_anybody(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    await passes.deliver([push(offers=(CardOffer(id="r1", title="Coffee", code="FREE1"),)), push(OTHER)])
    assert await passes.end([SERIAL, OTHER, "c2" * 12]) == [Delivered()] * 3
    told = repr(google.card(SERIAL))
    for private in ("Zoë", "1234", "Gold", "1250", "coffee.", "token", "FREE1"):
        assert private not in told.replace("phone_coffee", "")
    assert google.card(SERIAL)["state"] == "INACTIVE"
    assert google.card(SERIAL)["linkedOfferIds"] == []
    (offer,) = google.book.kept["offerObject"].values()
    assert (offer["state"], "barcode" in offer) == ("COMPLETED", False)
    assert await passes.end([SERIAL]) == [Delivered()]


async def test_whoever_removes_the_connection_can_take_away_what_cards_show(
    google: GoogleWalletSimulator, able: Capabilities, passes: PassSink, push: Pushes
) -> None:
    await passes.deliver([push()])
    assert able.clean is not None
    assert await able.clean.clean([SERIAL, "of-nobody"]) == [Delivered()] * 2
    assert "accountName" not in google.card(SERIAL)


async def test_a_pass_that_cannot_be_ended_now_is_ended_later(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    await passes.deliver([push()])
    google.fail("PATCH loyaltyObject", 500)
    assert [type(one) for one in await passes.end([SERIAL])] == [RetryLater]
