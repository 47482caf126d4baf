"""Choices, on both databases: picked by REST, by the shopper, and on the page that a link opens."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest

from stampcard.applying.redeeming import end_overdue
from stampcard.plugin import Rejected
from stampcard.storage.verifying import verify

PICK = (
    "rewards:\n  pick: {name: A treat for <you>, gives: 'choice of mug, own, five-off', wallet: points, price: 25, "
    "valid: 30 days, unused: return}\n"
)


@pytest.fixture
async def choice(served: Any) -> Any:
    """A choice that a member took."""
    await served.prepare(served.rewards.replace("rewards:\n", PICK))
    member = await served.rich()
    taken = await served.call("POST", f"/members/{member}/redemptions", {"reward": "pick"})
    assert (taken.status, taken.body["status"]) == (201, "issued")
    return taken.body


async def choose(served: Any, choice: Any, reward: str) -> Any:
    return await served.call("POST", f"/redemptions/{choice['id']}/choose", {"reward": reward})


async def shown(served: Any, id_: str) -> Any:
    return (await served.call("GET", f"/redemptions/{id_}")).body


async def verified(served: Any) -> None:
    found = await served.application.database.read(lambda connection: verify(connection, "main"))
    assert (found.findings, found.total) == ((), 0)


async def page(served: Any, choice: Any, reward: str | None = None, *, token: str = "") -> Any:
    """The page of a choice, after a reward was picked on it if one is named; answers status, text and headers."""
    path = f"/choose/{token or choice['code']}"
    method, form = ("GET", None) if reward is None else ("POST", {"reward": reward})
    async with served.session.request(method, served.address + path, data=form) as response:
        return response.status, await response.text(), response.headers


async def test_one_reward_of_a_choice_is_picked_and_costs_nothing_more(served: Any, choice: Any) -> None:
    offered = await served.call("GET", f"/redemptions/{choice['id']}/choices")
    picked = await choose(served, choice, "own")
    again = await choose(served, choice, "own")
    other = await choose(served, choice, "mug")

    assert [(one["reward"], one["price"], one["usable"]) for one in offered.body["items"]] == [
        ("mug", 0, True),
        ("own", 0, True),
        ("five-off", 0, True),
    ]
    assert (picked.status, picked.body["status"], picked.body["price"]) == (201, "issued", 0)
    assert picked.body["code"].startswith("HI-")
    assert again.body == picked.body
    assert (other.status, other.body["code"]) == (409, "already_used")
    assert (await shown(served, choice["id"]))["status"] == "used"
    assert await served.figures(choice["member"]) == (75, 0, 25)
    await verified(served)


async def test_of_many_who_pick_at_once_one_picks(served: Any, choice: Any) -> None:
    answers = await asyncio.gather(*(choose(served, choice, name) for name in ("own", "mug", "five-off") * 5))

    assert len({answer.body["id"] for answer in answers if answer.status == 201}) == 1
    everything = await served.call("GET", f"/members/{choice['member']}/redemptions")
    assert len(everything.body["items"]) == 2
    await verified(served)


@pytest.mark.parametrize(("reward", "code"), [("red", "not_among"), ("nothing", "not_among")])
async def test_what_the_choice_is_not_among_is_refused(served: Any, choice: Any, reward: str, code: str) -> None:
    answer = await choose(served, choice, reward)

    assert (answer.status, answer.body["code"]) == (422, code)
    assert "mug, own, five-off" in answer.body["detail"]
    assert (await shown(served, choice["id"]))["status"] == "issued"


async def test_nothing_can_be_picked_from_what_is_no_choice(served: Any, choice: Any) -> None:
    own = await choose(served, choice, "own")

    answer = await choose(served, own.body, "mug")

    assert (answer.status, answer.body["code"]) == (422, "no_choice")


async def test_what_is_sold_out_is_told_and_cannot_be_picked(served: Any, choice: Any) -> None:
    for reference in ("2", "3"):
        member = await served.rich(reference=reference)
        assert (await served.call("POST", f"/members/{member}/redemptions", {"reward": "mug"})).status == 201

    offered = await served.call("GET", f"/redemptions/{choice['id']}/choices")
    answer = await choose(served, choice, "mug")

    mug = offered.body["items"][0]
    assert (mug["usable"], mug["refusals"][0]["code"]) == (False, "sold_out")
    assert (answer.status, answer.body["code"]) == (422, "sold_out")
    assert (await choose(served, choice, "own")).status == 201


async def test_what_the_shop_refuses_gives_the_choice_back(served: Any, choice: Any) -> None:
    served.shop.vouchers.outcomes = [Rejected(reason="no such product")]
    refused = await choose(served, choice, "five-off")
    await served.turn()

    assert (await shown(served, refused.body["id"]))["status"] == "released"
    again = await shown(served, choice["id"])
    assert (again["status"], again["valid_until"]) == ("issued", choice["valid_until"])
    picked = await choose(served, choice, "five-off")
    await served.turn()
    assert (await shown(served, picked.body["id"]))["status"] == "issued"
    await verified(served)


async def test_what_people_cannot_hand_out_gives_the_choice_back(served: Any, choice: Any) -> None:
    mug = await choose(served, choice, "mug")

    await served.call("POST", f"/redemptions/{mug.body['id']}/refused", {"note": "broken"})

    assert (await shown(served, choice["id"]))["status"] == "issued"
    assert (await choose(served, choice, "mug")).body["id"] != mug.body["id"]


async def test_a_choice_that_is_over_lets_nobody_pick(served: Any, choice: Any) -> None:
    served.clock.advance(timedelta(days=32))

    late = await choose(served, choice, "own")
    await served.application.database.write(
        lambda connection: end_overdue(connection, served.application.setting, served.clock.now(), 100)
    )

    assert (late.status, late.body["code"]) == (409, "already_expired")
    assert (await shown(served, choice["id"]))["status"] == "expired"
    assert await served.figures(choice["member"]) == (100, 0, 0)
    assert (await page(served, choice))[0] == 409


async def test_a_shopper_picks_from_their_own_choice_alone(served: Any, choice: Any) -> None:
    await served.rich(reference="2")
    headers = {"x-secret": "sesame", "x-customer": "2"}
    url = f"{served.address}/shopper/shop/redemptions/{choice['id']}"

    async with served.session.post(f"{url}/choose", json={"reward": "own"}, headers=headers) as response:
        assert response.status == 404
    async with served.session.get(f"{url}/choices", headers=headers) as response:
        assert response.status == 404
    headers["x-customer"] = "1"
    async with served.session.get(f"{url}/choices", headers=headers) as response:
        assert len((await response.json())["items"]) == 3
    async with served.session.post(f"{url}/choose", json={"reward": "own"}, headers=headers) as response:
        assert (response.status, (await response.json())["status"]) == (201, "issued")


async def test_the_page_lets_its_holder_pick_and_shows_the_code(served: Any, choice: Any) -> None:
    status, text, headers = await page(served, choice)

    assert choice["url"].endswith(f"/choose/{choice['code']}")
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert re.findall(r'value="([^"]+)"', text) == ["mug", "own", "five-off"]
    assert "A treat for &lt;you&gt;" in text
    assert "script" not in text
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert (headers["Referrer-Policy"], headers["Cache-Control"]) == ("no-referrer", "no-store")

    status, text, _ = await page(served, choice, "own")
    everything = (await served.call("GET", f"/members/{choice['member']}/redemptions")).body["items"]
    (code,) = [one["code"] for one in everything if one["reward"] == "own"]
    assert status == 200
    assert code in text


async def test_the_page_waits_for_the_shop_to_make_the_code(served: Any, choice: Any) -> None:
    _, before, _ = await page(served, choice, "five-off")
    await served.turn()
    _, after, _ = await page(served, choice)

    assert 'http-equiv="refresh"' in before
    assert 'http-equiv="refresh"' not in after
    (made,) = served.shop.vouchers.made
    assert made in after


async def test_the_page_tells_what_cannot_be_picked(served: Any, choice: Any) -> None:
    status, text, _ = await page(served, choice, "<b>red</b>")

    assert status == 409
    assert "&lt;b&gt;red" in text
    assert "<b>" not in text


async def test_a_link_that_leads_nowhere_says_so_and_guessing_is_slowed(served: Any, choice: Any) -> None:
    own = await choose(served, choice, "own")
    answers = [await page(served, choice, token=token) for token in ("NOBODYS", "%00", own.body["code"])]
    haste = [(await page(served, choice, token=f"A{number}"))[0] for number in range(30)]

    assert [status for status, _, _ in answers] == [404, 404, 404]
    assert "leads nowhere" in answers[0][1]
    assert haste[-1] == 429
