"""Rewards over HTTP, on both databases: from the catalogue to a code that was used, and every way back."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from tests.databases import served_on_sqlite

from stampcard.applying.redeeming import end_overdue
from stampcard.domain.events import CustomEvent, OrderSeen, RefundSeen
from stampcard.plugin import Rejected, Unknown
from stampcard.storage.tables import counter, outbox, redemption
from stampcard.storage.verifying import verify
from stampcard.testing.building import order, refund


async def redeem(served: Any, member: str, reward: str, **more: Any) -> Any:
    headers = more.pop("headers", {})
    return await served.call("POST", f"/members/{member}/redemptions", {"reward": reward, **more}, headers=headers)


async def verified(served: Any) -> None:
    found = await served.application.database.read(lambda connection: verify(connection, "main"))
    assert (found.findings, found.total) == ((), 0)


@served_on_sqlite
async def test_a_reward_of_our_own_is_issued_at_once_with_a_code_and_its_points_are_spent(served: Any) -> None:
    await served.prepare()
    member = await served.rich()

    taken = await redeem(served, member, "own")

    assert (taken.status, taken.body["status"], taken.body["price"]) == (201, "issued", 20)
    assert taken.body["code"].startswith("HI-")
    assert taken.body["gives"] == "10 % off"
    assert await served.figures(member) == (80, 0, 20)
    shown = await served.call("GET", f"/redemptions/{taken.body['id']}")
    assert shown.body == taken.body
    found = await served.call("POST", "/redemptions/find", {"code": taken.body["code"].lower()})
    assert found.body["id"] == taken.body["id"]
    await verified(served)


@served_on_sqlite
async def test_points_are_held_until_the_shop_has_made_the_code(served: Any) -> None:
    await served.prepare()
    member = await served.rich()

    taken = await redeem(served, member, "five-off")

    assert (taken.body["status"], taken.body["by"], taken.body["code"]) == ("held", "shop", None)
    assert await served.figures(member) == (50, 50, 0)
    await served.turn()
    shown = (await served.call("GET", f"/redemptions/{taken.body['id']}")).body
    (made,) = served.shop.vouchers.made.values()
    assert (shown["status"], shown["code"]) == ("issued", made.code)
    assert (made.reference, made.amount, made.kind, str(made.ends_at)) == (
        "1",
        5,
        "amount_off",
        shown["valid_until"].replace("T", " ").replace("Z", "+00:00"),
    )
    assert await served.figures(member) == (50, 0, 50)
    await verified(served)


@served_on_sqlite
async def test_what_the_shop_refuses_is_released_with_its_reason(served: Any) -> None:
    await served.prepare()
    member = await served.rich()
    served.shop.vouchers.outcomes.append(Rejected(reason="no discounts on Sundays"))

    taken = await redeem(served, member, "five-off")
    await served.turn()

    shown = (await served.call("GET", f"/redemptions/{taken.body['id']}")).body
    assert (shown["status"], shown["reason"], shown["code"]) == ("released", "no discounts on Sundays", None)
    assert await served.figures(member) == (100, 0, 0)
    await verified(served)


@served_on_sqlite
async def test_a_lost_answer_is_looked_up_and_never_asked_for_twice(served: Any) -> None:
    await served.prepare()
    member = await served.rich()
    served.shop.vouchers.outcomes.append(Unknown(reason="no answer"))
    taken = await redeem(served, member, "five-off")
    await served.turn()

    waiting = (await served.call("GET", f"/redemptions/{taken.body['id']}")).body
    assert waiting["status"] == "held"
    served.clock.advance(timedelta(minutes=6))
    await served.turn()

    shown = (await served.call("GET", f"/redemptions/{taken.body['id']}")).body
    assert (shown["status"], served.shop.vouchers.attempts) == ("issued", 1)
    assert shown["code"] in served.shop.vouchers.made


@served_on_sqlite
async def test_a_hold_runs_out_only_once_nothing_can_come_of_it_any_more(served: Any) -> None:
    await served.prepare()
    member = await served.rich()
    served.shop.vouchers.outcomes += [Unknown(reason="no answer")]
    unknown = (await redeem(served, member, "five-off")).body["id"]
    await served.turn()
    waiting = (await redeem(served, member, "five-off")).body["id"]
    served.clock.advance(timedelta(days=8))

    setting, now = served.application.setting, served.clock.now()
    count, _ = await served.application.database.write(lambda connection: end_overdue(connection, setting, now, 100))

    assert count == 2
    assert (await served.call("GET", f"/redemptions/{unknown}")).body["status"] == "held"
    assert (await served.call("GET", f"/redemptions/{waiting}")).body["status"] == "released"
    await served.turn()
    assert (await served.call("GET", f"/redemptions/{unknown}")).body["status"] == "issued"
    assert len(served.shop.vouchers.made) == 1
    await verified(served)


@served_on_sqlite
async def test_the_same_request_gets_the_same_reward_and_another_under_its_key_is_a_conflict(served: Any) -> None:
    await served.prepare()
    member, key = await served.rich(), {"Idempotency-Key": "till-1"}

    first = await redeem(served, member, "own", headers=key)
    again = await redeem(served, member, "own", headers=key)
    other = await redeem(served, member, "mug", headers=key)

    assert first.body == again.body
    assert (other.status, other.body["code"]) == (409, "idempotency_key_reused")
    assert await served.figures(member) == (80, 0, 20)


async def test_concurrent_requests_with_one_key_make_one_code(served: Any) -> None:
    await served.prepare()
    member, key = await served.rich(), {"Idempotency-Key": "till-2"}

    answers = await asyncio.gather(*(redeem(served, member, "own", headers=key) for _ in range(10)))

    assert len({answer.body["code"] for answer in answers}) == 1
    assert await served.figures(member) == (80, 0, 20)


@pytest.mark.parametrize(
    ("reward", "code"),
    [
        ("red", "condition_failed"),
        ("cart", "cart_needed"),
        ("printed", "sold_out"),
        ("treat", "not_for_points"),
        ("sealed", "shop_cannot"),
        ("nothing", "not_found"),
    ],
)
async def test_what_cannot_be_had_is_refused_with_its_reason_and_changes_nothing(
    api: Any, reward: str, code: str
) -> None:
    await api.prepare()
    member = await api.rich()

    refused = await redeem(api, member, reward)

    assert refused.status in {404, 409, 422}
    assert refused.body["code"] == code
    assert await api.figures(member) == (100, 0, 0)


@served_on_sqlite
async def test_too_few_points_are_told_with_what_it_costs(served: Any) -> None:
    await served.prepare()
    member = await served.rich(10)

    refused = await redeem(served, member, "own")
    shown = (await served.call("GET", f"/members/{member}/rewards")).body["items"]

    assert refused.body["code"] == "insufficient_points"
    own = next(one for one in shown if one["reward"] == "own")
    assert (own["usable"], own["missing"], own["price"]) == (False, 10, 20)
    assert [refusal["code"] for refusal in own["refusals"]] == ["insufficient_points"]


@served_on_sqlite
async def test_a_member_sees_what_there_is_with_reasons_and_nothing_that_is_only_given(served: Any) -> None:
    await served.prepare()
    member = await served.rich(colour="red")

    items = (await served.call("GET", f"/members/{member}/rewards")).body["items"]

    found = {one["reward"]: [refusal["code"] for refusal in one["refusals"]] for one in items}
    assert found == {
        "five-off": [], "own": [], "mug": [], "once": [], "fly": [], "red": [], "cart": ["cart_needed"],
        "printed": [], "sealed": ["shop_cannot"],
    }  # fmt: skip


@served_on_sqlite
async def test_a_limit_of_a_reward_counts_and_is_given_back_with_it(served: Any) -> None:
    await served.prepare()
    member = await served.rich()
    first = await redeem(served, member, "once")

    refused = await redeem(served, member, "once")
    assert (refused.status, refused.body["code"]) == (422, "limit")
    revoked = await served.call("POST", f"/redemptions/{first.body['id']}/revoke", {"reason": "a mistake"})

    assert (revoked.body["status"], revoked.body["reason"]) == ("revoked", "a mistake")
    assert await served.figures(member) == (100, 0, 0)
    assert (await redeem(served, member, "once")).status == 201
    await verified(served)


@served_on_sqlite
async def test_what_people_hand_out_waits_in_a_queue_until_it_is_done_or_refused(served: Any) -> None:
    await served.prepare()
    member = await served.rich()
    first, second = [(await redeem(served, member, "mug")).body["id"] for _ in range(2)]
    queue = (await served.call("GET", "/redemptions?by=manual&status=held")).body["items"]

    shipped = await served.call("POST", f"/redemptions/{first}/shipped", {"note": "parcel 7"})
    done = await served.call("POST", f"/redemptions/{first}/done")
    refused = await served.call("POST", f"/redemptions/{second}/refused", {"note": "broken"})

    assert {one["id"] for one in queue} == {first, second}
    assert (shipped.body["status"], shipped.body["reason"]) == ("issued", "parcel 7")
    assert (done.body["status"], refused.body["status"]) == ("used", "revoked")
    assert await served.figures(member) == (70, 0, 30)
    assert (await redeem(served, member, "mug")).status == 201
    assert (await redeem(served, member, "mug")).body["code"] == "sold_out"
    await verified(served)


@served_on_sqlite
async def test_a_stock_that_runs_low_is_told(served: Any) -> None:
    await served.prepare()
    member = await served.rich()

    for _ in range(2):
        assert (await redeem(served, member, "mug")).status == 201

    alerts = (await served.call("GET", "/alerts")).body["items"]
    assert sorted(alert["words"] for alert in alerts) == [
        "reward mug of program 'main': 100 % of '2 times ever, in all' is used.",
        "reward mug of program 'main': 80 % of '2 times ever, in all' is used.",
    ]


@served_on_sqlite
async def test_points_can_move_to_another_wallet(served: Any) -> None:
    await served.prepare()
    member = await served.rich()

    taken = await redeem(served, member, "fly")

    balances = (await served.call("GET", f"/members/{member}")).body["balances"]
    assert (taken.body["status"], taken.body["code"]) == ("used", None)
    assert (balances["points"]["active"], balances["miles"]["active"]) == (60, 200)
    await verified(served)


@served_on_sqlite
async def test_uploaded_codes_are_given_out_once_each(served: Any) -> None:
    await served.prepare()
    member = await served.rich()
    uploaded = await served.call("POST", "/programs/main/rewards/printed/codes", {"codes": ["AAAA", "BBBB", "aaaa"]})

    taken = [await redeem(served, member, "printed") for _ in range(3)]

    assert uploaded.body == {"count": 2}
    assert sorted(one.body["code"] for one in taken[:2]) == ["AAAA", "BBBB"] or sorted(
        one.body["code"].upper() for one in taken[:2]
    ) == ["AAAA", "BBBB"]
    assert taken[2].body["code"] == "sold_out"
    assert await served.figures(member) == (90, 0, 10)


@served_on_sqlite
async def test_a_code_on_an_order_is_used_and_a_partial_refund_gives_its_share_of_the_points_back(served: Any) -> None:
    await served.prepare()
    member = await served.rich()
    taken = (await redeem(served, member, "five-off")).body["id"]
    await served.turn()
    code = (await served.call("GET", f"/redemptions/{taken}")).body["code"]

    await served.apply(OrderSeen(reference="A", snapshot=order(10, 30, codes=(code.lower(),))))
    used = (await served.call("GET", f"/redemptions/{taken}")).body
    await served.apply(RefundSeen(order="A", refund=refund("R", [("L1", 10)])))

    assert (used["status"], used["orders"]) == ("used", ["order:shop:A"])
    # 40 earned, 10 taken back; a quarter of the 50 that were spent comes back.
    assert await served.figures(member) == (50 + 30 + 12, 0, 38)
    told = (await served.call("GET", "/orders/shop/A/explanation")).body
    assert "Reward 'five-off': its code was used on this order: 5 EUR off." in str(told)
    await verified(served)


@served_on_sqlite
async def test_a_cancelled_order_gives_all_points_of_its_code_back(served: Any) -> None:
    await served.prepare()
    member = await served.rich()
    code = (await redeem(served, member, "own")).body["code"]

    await served.apply(OrderSeen(reference="A", snapshot=order(40, codes=(code,))))
    await served.apply(OrderSeen(reference="A", snapshot=order(40, codes=(code,), age=5, cancelled=True)))

    assert await served.figures(member) == (100, 0, 0)
    await verified(served)


@served_on_sqlite
async def test_an_order_that_is_known_only_with_its_cancelling_gives_the_points_back_too(served: Any) -> None:
    await served.prepare()
    member = await served.rich()
    code = (await redeem(served, member, "own")).body["code"]

    await served.apply(OrderSeen(reference="A", snapshot=order(40, codes=(code,), age=5, cancelled=True)))

    assert await served.figures(member) == (100, 0, 0)
    await verified(served)


@served_on_sqlite
async def test_a_code_that_somebody_else_uses_is_told_on_the_order(served: Any) -> None:
    await served.prepare()
    member, _ = await served.rich(), await served.rich(reference="2")
    code = (await redeem(served, member, "own")).body["code"]

    await served.apply(OrderSeen(reference="A", snapshot=order(40, codes=(code,), customer="2")))

    told = str((await served.call("GET", "/orders/shop/A/explanation")).body)
    assert "its code was given to another member" in told


@served_on_sqlite
async def test_what_was_not_used_in_time_expires_and_its_points_come_back_where_the_program_says_so(
    served: Any,
) -> None:
    await served.prepare()
    member = await served.rich(200)
    own = (await redeem(served, member, "own")).body["id"]
    five = (await redeem(served, member, "five-off")).body["id"]
    await served.turn()
    served.clock.advance(timedelta(days=40))

    setting, now = served.application.setting, served.clock.now()
    await served.application.database.write(lambda connection: end_overdue(connection, setting, now, 100))

    statuses = [(await served.call("GET", f"/redemptions/{id_}")).body["status"] for id_ in (own, five)]
    assert statuses == ["expired", "expired"]
    assert await served.figures(member) == (150, 0, 50)
    await verified(served)


@served_on_sqlite
async def test_an_order_gives_a_reward_and_its_refund_takes_it_back_unless_it_was_used(served: Any) -> None:
    await served.prepare()
    member = await served.rich()
    await served.apply(OrderSeen(reference="A", snapshot=order(60)), OrderSeen(reference="B", snapshot=order(70)))
    listed = (await served.call("GET", f"/members/{member}/redemptions")).body["items"]
    given = {one["given_for"]: one for one in listed}
    assert {one["status"] for one in listed} == {"issued"}
    assert all(one["price"] == 0 and one["rule"] == "thanks" for one in listed)
    await served.call("POST", f"/redemptions/{given['order:shop:B']['id']}/use", {"where": "till 3"})

    for name, amount in (("A", 60), ("B", 70)):
        await served.apply(RefundSeen(order=name, refund=refund(f"R{name}", [("L1", amount)])))

    listed = (await served.call("GET", f"/members/{member}/redemptions")).body["items"]
    assert {one["given_for"]: one["status"] for one in listed} == {"order:shop:A": "revoked", "order:shop:B": "used"}
    await verified(served)


@served_on_sqlite
async def test_a_till_marks_a_reward_used_once(served: Any) -> None:
    await served.prepare()
    member = await served.rich()
    id_ = (await redeem(served, member, "own")).body["id"]

    used = await served.call("POST", f"/redemptions/{id_}/use", {"where": "receipt 1"})
    again = await served.call("POST", f"/redemptions/{id_}/use", {"where": "receipt 2"})

    assert (used.body["status"], used.body["orders"]) == ("used", ["receipt 1"])
    assert (again.status, again.body["code"]) == (409, "already_used")


@served_on_sqlite
async def test_a_revoked_code_is_withdrawn_at_the_shop(served: Any) -> None:
    await served.prepare()
    member = await served.rich()
    id_ = (await redeem(served, member, "five-off")).body["id"]
    await served.turn()
    code = (await served.call("GET", f"/redemptions/{id_}")).body["code"]

    await served.call("POST", f"/redemptions/{id_}/revoke", {"reason": "fraud", "keep_points": True})
    await served.turn()

    assert served.shop.vouchers.withdrawn == {code}
    assert await served.figures(member) == (50, 0, 50)


@served_on_sqlite
async def test_a_released_hold_is_never_sent_and_one_that_was_sent_is_withdrawn(served: Any) -> None:
    await served.prepare()
    member = await served.rich()
    early = (await redeem(served, member, "five-off")).body["id"]
    await served.call("POST", f"/redemptions/{early}/release", {"reason": "changed their mind"})
    await served.turn()
    assert served.shop.vouchers.attempts == 0
    served.shop.vouchers.outcomes.append(Unknown(reason="no answer"))
    late = (await redeem(served, member, "five-off")).body["id"]
    await served.turn()

    await served.call("POST", f"/redemptions/{late}/release", {"reason": "cannot wait"})
    served.clock.advance(timedelta(minutes=6))
    await served.turn()

    assert served.shop.vouchers.withdrawn == set(served.shop.vouchers.made)
    assert await served.figures(member) == (100, 0, 0)
    await verified(served)


async def test_four_hundred_requests_for_two_hundred_rewards_give_just_two_hundred(served: Any) -> None:
    text = served.rewards.replace("stock: 2", "stock: 200").replace("price: 30", "price: 1")
    await served.prepare(text)
    members = [await served.rich(reference=str(number)) for number in range(20)]

    answers = []
    for start in range(0, 400, 80):  # the last reward goes while others still ask
        answers += await asyncio.gather(*(redeem(served, members[n % 20], "mug") for n in range(start, start + 80)))

    counted = Counter(answer.body.get("code") if answer.status != 201 else "taken" for answer in answers)
    assert counted == {"taken": 200, "sold_out": 200}
    rows = await served.read(select(func.count()).select_from(redemption))
    assert rows[0][0] == 200
    await verified(served)


async def test_nothing_that_names_a_code_lies_open_in_the_database(served: Any) -> None:
    await served.prepare()
    member = await served.rich()
    code = (await redeem(served, member, "own")).body["code"]
    await redeem(served, member, "five-off")

    (row,) = await served.read(select(redemption).where(redemption.c.reward == "own"))
    sent = await served.read(select(outbox))

    assert code not in str(row)
    assert all(code.encode() not in bytes(row.voucher_sealed) for row in [row])
    assert all(one.data_sealed for one in sent)


async def test_an_automatic_reward_is_taken_when_points_come_and_its_day_is_counted(served: Any) -> None:
    text = served.rewards.replace("by: own, prefix: HI,", "by: own, prefix: HI, automatic: 2,")
    await served.prepare(text)
    member = await served.rich()

    await served.apply(OrderSeen(reference="A", snapshot=order(40)))

    listed = (await served.call("GET", f"/members/{member}/redemptions")).body["items"]
    assert [(one["reward"], one["status"]) for one in listed] == [("own", "issued")] * 2
    assert await served.figures(member) == (100, 0, 40)
    served.clock.advance(timedelta(days=1))
    body = {"wallet": "points", "points": 1, "reason": "a gift"}
    await asyncio.gather(
        *(served.call("POST", f"/members/{member}/adjustments", body) for _ in range(3)),
    )
    assert await served.figures(member) == (63, 0, 80)
    await verified(served)


@served_on_sqlite
async def test_unused_codes_of_a_stopped_reward_are_switched_off_at_the_shop_and_on_again(served: Any) -> None:
    await served.prepare()
    member = await served.rich(200)
    used, unused = [(await redeem(served, member, "five-off")).body["id"] for _ in range(2)]
    await served.turn()
    codes = {id_: (await served.call("GET", f"/redemptions/{id_}")).body["code"] for id_ in (used, unused)}
    await served.call("POST", f"/redemptions/{used}/use", {"where": "till"})
    path = "/programs/main/rewards/five-off"
    early = await served.call("POST", f"{path}/withdraw")
    await served.call("POST", "/switches/reward/five-off/stop", {"note": "a misprint"})

    assert (early.status, early.body["code"]) == (409, "not_stopped")
    assert (await redeem(served, member, "five-off")).body["code"] == "stopped"
    assert (await served.call("POST", f"{path}/withdraw")).body == {"count": 1}
    await served.turn()
    shown = (await served.call("GET", f"/redemptions/{unused}")).body
    assert (shown["withdrawn"], served.shop.vouchers.withdrawn) == (True, {codes[unused]})
    refused = await served.call("POST", f"/redemptions/{unused}/use", {"where": "till"})
    assert refused.body["code"] == "already_withdrawn"
    await served.call("POST", f"{path}/restore")
    await served.turn()
    assert served.shop.vouchers.withdrawn == set()
    assert (await served.call("POST", f"{path}x/withdraw")).status == 404


@served_on_sqlite
async def test_a_reward_is_changed_by_itself_and_the_programs_text_keeps_its_comments(served: Any) -> None:
    text = served.rewards.replace("rewards:\n", "rewards:  # what people love\n")
    await served.prepare(text)
    shown = (await served.call("GET", "/programs/main/rewards/mug")).body

    changed = await served.call(
        "PUT",
        "/programs/main/rewards/mug",
        {"base_version": shown["version"], "reward": {**shown["reward"], "price": 35}},
    )

    assert changed.status == 200, changed.body
    again = (await served.call("GET", "/programs/main/rewards/mug")).body
    assert again["reward"]["price"] == 35
    whole = (await served.call("GET", "/programs/main")).body
    assert "# what people love" in str(whole)
    late = await served.call(
        "PUT", "/programs/main/rewards/mug", {"base_version": shown["version"], "reward": shown["reward"]}
    )
    assert late.status == 409
    removed = await served.call("DELETE", f"/programs/main/rewards/treat?base_version={again['version']}")
    assert (removed.status, removed.body["code"]) == (422, "program_wrong")


@served_on_sqlite
@pytest.mark.parametrize("together", [True, False])
async def test_refunds_give_a_codes_points_back_once_however_they_come(served: Any, together: bool) -> None:
    await served.prepare()
    member, now = await served.rich(), served.clock.now()
    code = (await redeem(served, member, "own")).body["code"]
    events = [
        OrderSeen(reference="A", snapshot=order(20, 20, at=now, codes=(code, code.lower()))),
        *(RefundSeen(order="A", refund=refund(f"R{n}", [(f"L{n}", 20)], at=now)) for n in (1, 2)),
    ]

    for batch in [events] if together else [[event] for event in events]:
        await served.apply(*batch)

    assert await served.figures(member) == (100, 0, 0)
    await verified(served)


@served_on_sqlite
@pytest.mark.parametrize("together", [True, False])
async def test_a_refund_gives_points_back_to_whose_code_it_was_not_to_who_bought(served: Any, together: bool) -> None:
    await served.prepare()
    owner, buyer, now = await served.rich(), await served.rich(reference="2"), served.clock.now()
    code = (await redeem(served, owner, "own")).body["code"]
    events = [
        OrderSeen(reference="A", snapshot=order(20, 20, at=now, customer="2", codes=(code,))),
        RefundSeen(order="A", refund=refund("R", [("L1", 20)], at=now)),
    ]

    for batch in [events] if together else [[event] for event in events]:
        await served.apply(*batch)

    assert (await served.figures(owner), await served.figures(buyer)) == ((90, 0, 10), (120, 0, 0))
    await verified(served)


@served_on_sqlite
@pytest.mark.parametrize("turned", [True, False])
async def test_a_code_that_an_edited_order_shows_no_more_was_used_whatever_comes_first(
    served: Any, turned: bool
) -> None:
    await served.prepare()
    member, now = await served.rich(), served.clock.now()
    taken = (await redeem(served, member, "own")).body
    shown = [
        OrderSeen(reference="A", snapshot=order(40, at=now, codes=(taken["code"],))),
        OrderSeen(reference="A", snapshot=order(40, at=now, age=5)),
    ]

    for event in reversed(shown) if turned else shown:
        await served.apply(event)
    await served.apply(RefundSeen(order="A", refund=refund("R", [("L1", 20)], at=now)))

    used = (await served.call("GET", f"/redemptions/{taken['id']}")).body
    assert (used["status"], used["orders"]) == ("used", ["order:shop:A"])
    assert await served.figures(member) == (110, 0, 10)
    await verified(served)


REWARDED = """
program: main
currency: EUR
timezone: Europe/Berlin
attributes: {colour: string}
wallets: {points: {pay: {rate: 1 EUR per 1, share: 50 %}}}
rules:
  - {id: hi, on: sign_up, award: reward welcome}
  - {id: thanks, on: purchase, award: reward treat, limits: "1000 EUR ever, in all"}
  - {id: print, on: purchase, award: reward printed}
rewards:
  welcome: {gives: 5 EUR off, by: shop}
  treat: {gives: free shipping, by: own, values: [{when: "member.attributes.colour == 'red'", gives: free shipping}]}
  printed: {gives: 3 EUR off, by: pool}
"""


@served_on_sqlite
async def test_a_member_made_by_rest_is_given_a_reward_of_the_shop(served: Any) -> None:
    await served.prepare(REWARDED)

    member = await served.rich()

    (given,) = (await served.call("GET", f"/members/{member}/redemptions")).body["items"]
    assert (given["reward"], given["status"], given["by"]) == ("welcome", "held", "shop")


async def test_a_batch_of_orders_empties_a_pool_code_by_code(served: Any) -> None:
    await served.prepare(REWARDED)
    member, now = await served.rich(), served.clock.now()
    codes = [f"PRINT-{number}" for number in range(35)]
    await served.call("POST", "/programs/main/rewards/printed/codes", {"codes": codes})

    await served.apply(*(OrderSeen(reference=f"O{number}", snapshot=order(1, at=now)) for number in range(40)))

    listed = await served.call("GET", f"/members/{member}/redemptions?reward=printed&limit=100")
    assert sorted(one["code"] for one in listed.body["items"]) == sorted(codes)
    await verified(served)


@served_on_sqlite
async def test_codes_of_events_that_count_for_nothing_stay_in_the_pool(served: Any) -> None:
    text = REWARDED.replace("attributes:", "events: {review: {}}\nattributes:").replace(
        "print, on: purchase", "print, on: review"
    )
    await served.prepare(text)
    member, now = await served.rich(), served.clock.now()
    await served.call("POST", "/programs/main/rewards/printed/codes", {"codes": ["PRINT-1", "PRINT-2"]})
    first, second = (CustomEvent(name="review", customer="1", key=key, occurred_at=now) for key in ("r1", "r2"))

    await served.apply(first)
    await served.apply(first, second)

    listed = await served.call("GET", f"/members/{member}/redemptions?reward=printed")
    assert sorted(one["code"] for one in listed.body["items"]) == ["PRINT-1", "PRINT-2"]
    await verified(served)


@served_on_sqlite
async def test_an_edited_order_counts_once_against_the_limit_of_a_rule_that_gives_a_reward(served: Any) -> None:
    await served.prepare(REWARDED)
    await served.rich()
    now = served.clock.now()

    for age, total in enumerate((100, 10, 100, 10)):
        await served.apply(OrderSeen(reference="A", snapshot=order(total, at=now, age=age)))
    (counted,) = await served.read(select(counter.c.value).where(counter.c.scope.contains("thanks")))
    assert counted.value == 10 * 10_000

    await served.apply(OrderSeen(reference="A", snapshot=order(10, at=now, age=9, cancelled=True)))
    (counted,) = await served.read(select(counter.c.value).where(counter.c.scope.contains("thanks")))
    assert counted.value == 0


@served_on_sqlite
async def test_payments_share_what_points_may_pay_of_an_order(served: Any) -> None:
    await served.prepare(REWARDED)
    member = await served.rich(1000)
    payment = {"wallet": "points", "total": "100", "order": "shop:A"}

    first = await served.call("POST", f"/members/{member}/payments", {**payment, "money": "30"})
    second = await served.call("POST", f"/members/{member}/payments", payment)
    third = await served.call("POST", f"/members/{member}/payments", {**payment, "money": "1"})

    assert [first.body["money"], second.body["money"]] == ["30.00", "20.00"]
    assert (third.status, third.body["code"]) == (422, "above_share")


async def test_a_code_that_the_shop_makes_after_it_was_withdrawn_is_switched_off(served: Any) -> None:
    await served.prepare()
    member = await served.rich()
    taken = (await redeem(served, member, "five-off")).body
    await served.call("POST", "/switches/reward/main/five-off/stop", {"note": "printed by mistake"})
    stopped = await served.call("POST", "/programs/main/rewards/five-off/withdraw")
    assert stopped.status == 200, stopped.body

    await served.turn()
    await served.turn()

    shown = (await served.call("GET", f"/redemptions/{taken['id']}")).body
    assert (shown["status"], shown["withdrawn"]) == ("issued", True)
    assert served.shop.vouchers.withdrawn == {shown["code"]}


@served_on_sqlite
async def test_the_same_place_counts_once_when_a_reward_is_used(served: Any) -> None:
    await served.prepare()
    taken = (await redeem(served, await served.rich(), "own")).body

    answers = [await served.call("POST", f"/redemptions/{taken['id']}/use", {"where": "till 1"}) for _ in range(2)]

    assert [(answer.status, answer.body["orders"]) for answer in answers] == [(200, ["till 1"])] * 2


async def test_a_campaign_counts_a_reward_and_the_rule_that_gives_it_once(served: Any) -> None:
    text = REWARDED.replace('reward treat, limits: "1000 EUR ever, in all"', "reward treat, campaign: spring")
    text = text.replace("  treat: {", "  treat: {campaign: spring, ")
    await served.prepare(text + "campaigns:\n  spring: {limits: '4 times ever, in all'}\n")
    member, now = await served.rich(), served.clock.now()

    for number in range(5):
        await served.apply(OrderSeen(reference=f"O{number}", snapshot=order(10, at=now)))

    listed = await served.call("GET", f"/members/{member}/redemptions?reward=treat")
    assert len(listed.body["items"]) == 4
    (counted,) = await served.read(select(counter.c.value).where(counter.c.scope.contains("spring")))
    assert counted.value == 4
