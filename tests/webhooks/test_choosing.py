"""Choices: picked by REST, by the shopper, and on the page that a link opens."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from html.parser import HTMLParser
from string import Formatter
from typing import Any

import pytest

from stampcard.applying.redeeming import end_overdue
from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.plugin import Rejected
from stampcard.storage.verifying import verify
from stampcard.testing.building import order, refund
from stampcard_webhooks.pages import _TEXTS

PICK = (
    "rewards:\n  pick: {name: A treat for <you>, gives: 'choice of mug, own, five-off', wallet: points, price: 25, "
    "valid: 30 days, unused: return}\n"
)


#: For what is the same on both databases: how a page looks, what it is asked for and how it refuses.
on_sqlite = pytest.mark.parametrize("served", ["sqlite"], indirect=True)
#: Elements that have no end.
VOID = {"meta", "input"}


class Reader(HTMLParser):
    """Reads a page as strictly as people need it: every element ended, every field and button with words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert self.open == []
        assert text.startswith("<!doctype html>")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            self.words.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self.open):
            self.words[tag][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.found if name == tag]


async def taken(served: Any, program: str = "", **attributes: Any) -> Any:
    """A choice that a member took."""
    await served.prepare(program or served.rewards.replace("rewards:\n", PICK))
    member = await served.rich(**attributes)
    answer = await served.call("POST", f"/members/{member}/redemptions", {"reward": "pick"})
    assert (answer.status, answer.body["status"]) == (201, "issued")
    return answer.body


@pytest.fixture
async def choice(served: Any) -> Any:
    """A choice that a member took."""
    return await taken(served)


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


@on_sqlite
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


@on_sqlite
@pytest.mark.parametrize("used", [False, True])
async def test_a_refund_takes_a_choice_that_a_rule_gave_with_what_was_picked_unless_that_was_used(
    served: Any, used: bool
) -> None:
    text = served.rewards.replace("rewards:\n", PICK).replace("reward treat", "reward pick")
    await served.prepare(text)
    member, now = await served.rich(), served.clock.now()
    await served.apply(OrderSeen(reference="A", snapshot=order(60, at=now)))
    (given,) = (await served.call("GET", f"/members/{member}/redemptions")).body["items"]
    picked = (await choose(served, given, "own")).body
    if used:
        await served.call("POST", f"/redemptions/{picked['id']}/use", {"where": "till"})

    await served.apply(RefundSeen(order="A", refund=refund("R", [("L1", 60)], at=now)))

    statuses = [(await shown(served, one["id"]))["status"] for one in (given, picked)]
    assert statuses == (["used", "used"] if used else ["revoked", "revoked"])
    await verified(served)


async def test_of_many_who_pick_at_once_one_picks(served: Any, choice: Any) -> None:
    answers = await asyncio.gather(*(choose(served, choice, name) for name in ("own", "mug", "five-off") * 5))

    assert len({answer.body["id"] for answer in answers if answer.status == 201}) == 1
    everything = await served.call("GET", f"/members/{choice['member']}/redemptions")
    assert len(everything.body["items"]) == 2
    await verified(served)


@on_sqlite
@pytest.mark.parametrize(("reward", "code"), [("red", "not_among"), ("nothing", "not_among")])
async def test_what_the_choice_is_not_among_is_refused(served: Any, choice: Any, reward: str, code: str) -> None:
    answer = await choose(served, choice, reward)

    assert (answer.status, answer.body["code"]) == (422, code)
    assert "mug, own, five-off" in answer.body["detail"]
    assert (await shown(served, choice["id"]))["status"] == "issued"


@on_sqlite
async def test_nothing_can_be_picked_from_what_is_no_choice(served: Any, choice: Any) -> None:
    own = await choose(served, choice, "own")

    answer = await choose(served, own.body, "mug")

    assert (answer.status, answer.body["code"]) == (422, "no_choice")


@on_sqlite
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


@on_sqlite
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


@on_sqlite
async def test_what_people_cannot_hand_out_gives_the_choice_back(served: Any, choice: Any) -> None:
    mug = await choose(served, choice, "mug")

    await served.call("POST", f"/redemptions/{mug.body['id']}/refused", {"note": "broken"})

    assert (await shown(served, choice["id"]))["status"] == "issued"
    assert (await choose(served, choice, "mug")).body["id"] != mug.body["id"]


@on_sqlite
async def test_a_choice_that_is_over_lets_nobody_pick(served: Any, choice: Any) -> None:
    served.clock.advance(timedelta(days=32))

    late = await choose(served, choice, "own")
    await served.application.database.write(
        lambda connection: end_overdue(connection, served.application.setting, served.clock.now(), 100)
    )

    assert (late.status, late.body["code"]) == (409, "already_expired")
    assert (await shown(served, choice["id"]))["status"] == "expired"
    assert await served.figures(choice["member"]) == (100, 0, 0)
    assert (await page(served, choice))[0] == 404


@on_sqlite
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


@on_sqlite
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


@on_sqlite
async def test_the_page_waits_for_the_shop_to_make_the_code(served: Any, choice: Any) -> None:
    _, before, _ = await page(served, choice, "five-off")
    await served.turn()
    _, after, _ = await page(served, choice)

    assert "Reload this page" in before
    assert "Reload" not in after
    (made,) = served.shop.vouchers.made
    assert made in after


@on_sqlite
async def test_the_page_tells_what_cannot_be_picked(served: Any, choice: Any) -> None:
    status, text, _ = await page(served, choice, "<b>red</b>")

    assert status == 409
    assert 'role="alert"' in text
    assert "<b>" not in text
    assert (await shown(served, choice["id"]))["status"] == "issued"


@on_sqlite
async def test_a_link_that_leads_nowhere_says_so_and_guessing_is_slowed(served: Any, choice: Any) -> None:
    own = await choose(served, choice, "own")
    answers = [await page(served, choice, token=token) for token in ("NOBODYS", "%00", own.body["code"])]
    haste = [(await page(served, choice, token=f"A{number}"))[0] for number in range(30)]

    assert [status for status, _, _ in answers] == [404, 404, 404]
    assert "This link is not valid" in answers[0][1]
    assert haste[-1] == 429


@on_sqlite
async def test_the_page_is_whole_with_one_heading_of_the_program_and_words_on_everything(
    served: Any, choice: Any
) -> None:
    _, open_, _ = await page(served, choice)
    _, chosen, _ = await page(served, choice, "five-off")
    _, unknown, _ = await page(served, choice, token="NOBODYS")

    for text in (open_, chosen, unknown):
        read = Reader(text)
        assert len(read.all("h1")) == len(read.all("title")) == 1
        assert not read.all("script")
        labelled = {label.get("for") for label in read.all("label")}
        assert all(field["id"] in labelled for field in read.all("input"))
        assert all(map(str.strip, [*read.words.get("button", []), *read.words["h1"], *read.words["p"]]))
    assert Reader(open_).words["h1"] == ["main"]
    assert Reader(open_).words["h2"] == ["A treat for <you>"]


@on_sqlite
async def test_names_of_the_program_are_text_on_the_page_whatever_they_look_like(served: Any) -> None:
    evil = "name: '</button><script>alert(1)</script>', description: '\"><img src=x>', gives: 5 EUR off, wallet"
    program = served.rewards.replace("rewards:\n", PICK).replace("name: Five off, gives: 5 EUR off, wallet", evil)
    choice = await taken(served, program.replace("program: main", "program: main\nname: <i>Beans</i>"))

    for reward in (None, "five-off"):
        _, text, _ = await page(served, choice, reward)
        read = Reader(text)
        assert not read.all("script") + read.all("img") + read.all("i")
        assert read.words["h1"] == ["<i>Beans</i>"]
        assert "&lt;script&gt;alert(1)" in text


@pytest.mark.parametrize(
    ("speaks", "lang", "direction", "says"),
    [
        ("de-AT", "de", "ltr", "Bitte eines auswählen"),
        ("DE_de", "de", "ltr", "Bitte eines auswählen"),
        ("en", "en", "ltr", "Pick one"),
        ("fi", "en", "ltr", "Pick one"),
        ("ar", "en", "rtl", "Pick one"),
        ("he-IL", "en", "rtl", "Pick one"),
    ],
)
async def test_the_page_speaks_the_members_language_and_runs_its_way(
    api: Any, speaks: str, lang: str, direction: str, says: str
) -> None:
    choice = await taken(api, language=speaks)

    _, text, _ = await page(api, choice)

    read = Reader(text)
    assert read.all("html") == [{"lang": lang, "dir": direction}]
    assert any(says in words for words in read.words["p"])
    assert all(one.get("dir") == "auto" for tag in ("h1", "h2", "p", "span") for one in read.all(tag))


def test_every_language_of_the_page_says_the_same_things_with_the_same_words_in_them() -> None:
    def fields(text: str) -> set[str | None]:
        return {name for _, name, _, _ in Formatter().parse(text) if name is not None}

    for texts in _TEXTS.values():
        assert {what: fields(text) for what, text in texts.items()} == {
            what: fields(text) for what, text in _TEXTS["en"].items()
        }


@on_sqlite
async def test_the_page_shows_what_is_sold_out_and_refuses_it(served: Any, choice: Any) -> None:
    for reference in ("2", "3"):
        member = await served.rich(reference=reference)
        await served.call("POST", f"/members/{member}/redemptions", {"reward": "mug"})

    _, text, _ = await page(served, choice)
    status, refused, _ = await page(served, choice, "mug")

    assert [one["value"] for one in Reader(text).all("button") if "disabled" in one] == ["mug"]
    assert "mugSold out" in Reader(text).words["button"]
    assert status == 409
    assert "This could not be picked" in refused
    assert (await shown(served, choice["id"]))["status"] == "issued"


@on_sqlite
@pytest.mark.parametrize("end", ["expired", "revoked", "withdrawn", "erased"])
async def test_the_link_of_a_choice_that_is_over_is_as_invalid_as_a_forged_one(
    served: Any, choice: Any, end: str
) -> None:
    if end == "expired":
        served.clock.advance(timedelta(days=32))
    elif end == "revoked":
        await served.call("POST", f"/redemptions/{choice['id']}/revoke", {"reason": "by mistake"})
    elif end == "withdrawn":
        await served.call("POST", "/switches/reward/pick/stop", {"note": "recalled"})
        await served.call("POST", "/programs/main/rewards/pick/withdraw")
        assert (await shown(served, choice["id"]))["withdrawn"]
    else:
        await served.call("DELETE", f"/members/{choice['member']}")

    forged = await page(served, choice, token="NOBODYS")
    for reward in (None, "own"):
        assert (await page(served, choice, reward))[:2] == forged[:2]
    assert forged[0] == 404
    everything = await served.call("GET", "/redemptions")
    assert [one["reward"] for one in everything.body["items"]] == ["pick"]


@on_sqlite
async def test_the_code_of_what_an_erased_member_picked_is_not_shown_any_more(served: Any, choice: Any) -> None:
    await page(served, choice, "own")
    await served.call("DELETE", f"/members/{choice['member']}")

    assert (await page(served, choice))[0] == 404


async def test_of_many_forms_at_once_one_picks_and_all_are_told_what(served: Any, choice: Any) -> None:
    answers = await asyncio.gather(*(page(served, choice, name) for name in ("own", "mug") * 5))

    everything = (await served.call("GET", f"/members/{choice['member']}/redemptions")).body["items"]
    (chosen,) = [one for one in everything if one["reward"] != "pick"]
    heard = [text for status, text, _ in answers if status == 200]
    assert {status for status, _, _ in answers} <= {200, 429}
    assert heard
    assert all(f"You picked: {chosen['title']}" in text for text in heard)
    await verified(served)


@on_sqlite
async def test_whoever_picks_again_in_another_window_sees_what_was_picked(served: Any, choice: Any) -> None:
    _, first, _ = await page(served, choice, "own")
    status, second, _ = await page(served, choice, "mug")

    assert status == 200
    assert second == first


async def test_a_form_is_answered_with_the_way_back_to_the_page_below_whatever_path_a_proxy_serves_it(
    api: Any,
) -> None:
    choice = await taken(api)
    url = f"{api.address}/choose/{choice['code']}"

    async with api.session.post(url, data={"reward": "own"}, allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (303, f"./{choice['code']}")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 303),
        ({"Origin": "OWN"}, 303),
        ({"Origin": "PUBLIC"}, 303),
    ],
)
async def test_only_the_page_itself_and_what_is_no_browser_may_pick(
    api: Any, headers: dict[str, str], status: int
) -> None:
    choice = await taken(api)
    own = {"OWN": api.address, "PUBLIC": api.application.public_url}
    sent = {name: own.get(value, value) for name, value in headers.items()}
    url = f"{api.address}/choose/{choice['code']}"

    async with api.session.post(url, data={"reward": "own"}, headers=sent, allow_redirects=False) as response:
        assert response.status == status
    assert (await shown(api, choice["id"]))["status"] == ("used" if status == 303 else "issued")


@pytest.mark.parametrize("sent", [{"json": {"reward": "own"}}, {"data": {"reward": "own" * 2000}}, {"data": b""}])
async def test_what_is_no_form_of_the_page_picks_nothing(api: Any, sent: dict[str, Any]) -> None:
    choice = await taken(api)

    async with api.session.post(f"{api.address}/choose/{choice['code']}", **sent) as response:
        assert (response.status, response.content_type) == (415, "text/html")
    assert (await shown(api, choice["id"]))["status"] == "issued"


@on_sqlite
async def test_the_page_tells_what_people_do_about_what_was_picked(served: Any, choice: Any) -> None:
    _, waiting, _ = await page(served, choice, "mug")
    everything = (await served.call("GET", f"/members/{choice['member']}/redemptions")).body["items"]
    (mug,) = [one["id"] for one in everything if one["reward"] == "mug"]
    await served.call("POST", f"/redemptions/{mug}/shipped", {"note": "parcel <1Z>"})
    _, shipped, _ = await page(served, choice)
    await served.call("POST", f"/redemptions/{mug}/refused", {"note": "lost"})
    _, again, _ = await page(served, choice)

    assert "The shop will send it." in waiting
    assert "The shop has sent it." in shipped
    assert "parcel &lt;1Z&gt;" in shipped
    assert "Pick one" in again


@on_sqlite
async def test_the_page_tells_that_points_came_and_until_when_a_code_is_valid(served: Any) -> None:
    choices = served.rewards.replace("rewards:\n", PICK.replace("mug, own, five-off", "fly, own"))
    flown = await taken(served, choices)
    other = await served.rich(reference="2")
    kept = (await served.call("POST", f"/members/{other}/redemptions", {"reward": "pick"})).body

    assert "The points are in your account." in (await page(served, flown, "fly"))[1]
    assert re.search(r"Valid until \d{4}-\d\d-\d\d 00:00 \(Europe/Berlin\)", (await page(served, kept, "own"))[1])
