"""The page on which people become members by themselves: whoever is new gets a card, and nobody sees another's."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select
from tests.webhooks.test_choosing import Reader as Strict

from stampcard.domain.events import CustomerSeen
from stampcard.engine.tokens import token_of
from stampcard.program.templates import LANGUAGES, ready
from stampcard.storage.consenting import load_consents
from stampcard.storage.tables import card, idempotency, member, message
from stampcard_webhooks import joining
from stampcard_webhooks.joining import JOINING, TRAP

PROGRAM = """
program: main
name: Beans
currency: EUR
timezone: Europe/Berlin
attributes: {branch: string}
wallets: {points: {}}
rules:
  - {id: welcome, on: sign_up, award: 10}
card: {name: {en: Bean Card, nl: Bonenkaart, ar: بطاقة الفول}}
"""
CONFIRMED = PROGRAM.replace("wallets:", "enrolment: {how: request, confirm: 14 days}\nwallets:", 1)
ASKS = "messages: {ask: {on: membership_asked, use: opt_in, channels: email}}\n"
TWICE = """
sending: {double_opt_in: email}
messages: {ask: {on: consent_asked, use: opt_in, channels: email}}
"""
ANN = {"first_name": "Ann", "email": "ann@example.com"}


class Reader(Strict):
    """Also that each field that people see is within its words."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attrs)
        assert tag != "input" or ("type", "hidden") in attrs or "label" in self.open

    def fields(self) -> dict[str, dict[str, str | None]]:
        return {str(one["name"]): one for one in self.all("input")}


class Door:
    """Somebody before the page of one program."""

    def __init__(self, served: Any, program: str = "main", query: str = "") -> None:
        self.served, self.path = served, f"/join/{program}{query}"
        self.status, self.text, self.place = 0, "", ""
        self.headers: Any = {}

    async def _ask(self, method: str, **options: Any) -> Reader | None:
        async with self.served.session.request(
            method, self.served.address + self.path, allow_redirects=False, **options
        ) as answer:
            self.status, self.text, self.headers = answer.status, await answer.text(), answer.headers
            self.place = answer.headers.get("Location", "")
        return Reader(self.text) if self.text else None

    async def look(self, **headers: str) -> Reader:
        found = await self._ask("GET", headers=headers)
        assert found is not None
        return found

    async def fill(self, typed: dict[str, Any] | None = None, **options: Any) -> Reader | None:
        """Fill in the form that was shown, and send it."""
        shown = await self.look()
        hidden = {name: one["value"] for name, one in shown.fields().items() if one.get("type") == "hidden"}
        return await self._ask("POST", data={**hidden, **(ANN if typed is None else typed)}, **options)

    async def send(self, data: Any, **options: Any) -> Reader | None:
        return await self._ask("POST", data=data, **options)

    async def card(self) -> str:
        """The page to which the form led."""
        assert (self.status, self.place[:8]) == (303, "../pass/"), self.text
        async with self.served.session.get(f"{self.served.address}{self.place[2:]}") as answer:
            assert answer.status == 200
            return str(await answer.text())


async def members(served: Any) -> list[dict[str, Any]]:
    return list((await served.call("GET", "/members")).body["items"])


async def told(served: Any) -> list[tuple[str, str]]:
    """The messages that were written down: what, and by which channel."""
    return [tuple(row) for row in await served.read(select(message.c.name, message.c.channel).order_by(message.c.id))]


class Behind(list[Any]):
    """What is done behind an answer, to be waited for."""

    async def done(self) -> None:
        await asyncio.gather(*self)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Behind:
    found = Behind()

    def behind(_: Any, work: Any) -> None:
        found.append(asyncio.ensure_future(work))

    monkeypatch.setattr(joining, "behind", behind)
    return found


@pytest.fixture
async def open_(api: Any) -> Any:
    await api.prepare(PROGRAM)
    return api


async def test_whoever_is_new_gets_a_card_and_what_joining_pays(served: Any) -> None:
    await served.prepare(PROGRAM)
    door = Door(served, query="?branch=Berlin%20Mitte&language=nl")
    await door.fill({**ANN, "phone": "0049 171/2345678", "agrees": ["sms", "email"]})
    page = await door.card()
    (one,) = await members(served)
    assert one["attributes"] == {
        "first_name": "Ann", "email": "ann@example.com", "phone": "+491712345678", "language": "nl",
        "branch": "Berlin Mitte",
    }  # fmt: skip
    assert (one["programs"], one["balances"]["points"]["active"]) == (["main"], 10)
    (number,) = [row.number for row in await served.read(select(card))]
    assert number in page.replace(" ", "")
    assert Reader(page).words["h1"] == ["Bonenkaart"]


async def test_a_yes_is_kept_with_its_evidence_and_no_tick_is_no_yes(served: Any) -> None:
    await served.prepare(PROGRAM)
    await Door(served, query="?branch=Bonn").fill({**ANN, "agrees": ["email", "sms", "post"]})
    await Door(served).fill({"phone": "+4930123456"})
    kept = await served.application.database.read(
        lambda connection: load_consents(
            connection,
            "main",
            [one.id for one in connection.execute(select(member.c.id))],
            served.application.setting.sealer,
            evidence=True,
        )
    )
    ((said,),) = (of for of in kept.values() if of)
    assert (said.name, said.state, said.source, said.ip) == (
        "email.marketing", "given", "join page, Bonn", "127.0.0.1",
    )  # fmt: skip
    assert said.text == ready("en")["pages"]["join_agrees_email"].format(program="Bean Card")


async def test_a_yes_is_confirmed_first_where_the_program_wants_that(open_: Any) -> None:
    await open_.prepare(PROGRAM + TWICE)
    door = Door(open_)
    await door.fill({**ANN, "agrees": "email"})
    await door.card()
    (one,) = await members(open_)
    page = (await open_.call("GET", f"/members/{one['id']}/consents")).body
    assert page["current"] == {"email.marketing": "pending"}
    assert await told(open_) == [("ask", "email")]


@pytest.mark.parametrize("typed", [ANN, {"email": "ANN@example.com "}, {"phone": "+49 30 123456"}])
async def test_nobody_sees_the_card_of_whoever_has_the_address_already(served: Any, typed: dict[str, str]) -> None:
    await served.prepare(PROGRAM.replace("branch: string", "branch: string, phone: string"))
    id_ = await served.rich(25, email="ann@example.com", phone="+4930123456")
    door = Door(served)
    shown = await door.fill({**typed, "agrees": ["email", "sms"]})
    assert shown is not None
    assert (door.status, shown.all("a"), door.place) == (200, [], "")
    assert ready("en")["pages"]["join_sent"] in shown.words["p"]
    assert [one["id"] for one in await members(served)] == [id_]
    assert await told(served) == [("link", "email")], "nobody sends texts here"
    assert (await served.call("GET", f"/members/{id_}/consents")).body["items"] == []
    (number,) = [row.number for row in await served.read(select(card))]
    assert number not in door.text.replace(" ", "")


async def test_the_link_that_is_mailed_leads_to_the_card(open_: Any) -> None:
    id_ = await open_.rich(25, email="ann@example.com")
    await Door(open_).fill()
    link = (await open_.call("POST", f"/members/{id_}/links")).body
    async with open_.session.get(f"{open_.address}/me/{link['token']}") as answer:
        (place,) = [str(one["href"]) for one in Reader(await answer.text()).all("a")]
    async with open_.session.get(f"{open_.address}{place[2:]}") as answer:
        assert (answer.status, place[:8]) == (200, "../pass/")


async def test_whoever_is_known_but_takes_no_part_yet_takes_part_from_then_on(served: Any) -> None:
    await served.prepare(PROGRAM.replace("wallets:", "enrolment: first purchase\nwallets:", 1))
    now = served.clock.now()
    await served.apply(CustomerSeen(reference="7", occurred_at=now, attributes={"email": "ann@example.com"}))
    assert (await members(served))[0]["programs"] == []
    await Door(served).fill()
    (one,) = await members(served)
    assert (one["programs"], one["balances"]["points"]["active"]) == (["main"], 10)
    assert await told(served) == [("link", "email")]


async def test_whoever_left_is_not_brought_back_by_somebody_else(open_: Any) -> None:
    id_ = await open_.rich(25, email="ann@example.com")
    assert (await open_.call("DELETE", f"/members/{id_}/memberships/main")).status in {200, 204}
    await Door(open_).fill()
    (state,) = (await open_.call("GET", f"/members/{id_}/memberships")).body["items"]
    assert state["state"] == "left"


async def test_where_members_confirm_nothing_tells_whether_an_address_is_known(served: Any, begun: Behind) -> None:
    await served.prepare(CONFIRMED + ASKS)
    id_ = await served.rich(email="ben@example.com")
    before = len(await told(served))
    answers = []
    for address in ("ann@example.com", "ben@example.com"):
        door = Door(served)
        await door.fill({"email": address})
        answers.append((door.status, door.place, re.sub(r'value="[^"]*"', "", door.text)))
    assert answers[0] == answers[1]
    await begun.done()
    rows = await served.read(select(message.c.name, message.c.member).order_by(message.c.id))
    assert sorted((row.name, row.member == id_) for row in rows[before:]) == [("ask", False), ("link", True)]


async def test_whoever_confirms_is_led_to_their_card(open_: Any, begun: Behind) -> None:
    await open_.prepare(CONFIRMED + ASKS)
    await Door(open_).fill()
    await begun.done()
    ((id_,),) = await open_.read(select(message.c.id))
    path = f"{open_.address}/c/{token_of(open_.application.setting.sealer, 'main', 'c', id_)}"
    async with open_.session.post(path, data={"yes": "1"}) as answer:
        (link,) = Reader(await answer.text()).all("a")
    async with open_.session.get(f"{open_.address}{str(link['href'])[2:]}") as answer:
        assert answer.status == 200
    ((state,),) = [
        (await open_.call("GET", f"/members/{one['id']}/memberships")).body["items"] for one in await members(open_)
    ]
    assert state["state"] == "active"


async def test_where_nobody_would_be_asked_to_confirm_the_link_is_mailed(open_: Any, begun: Behind) -> None:
    await open_.prepare(CONFIRMED)
    await Door(open_).fill()
    await begun.done()
    assert await told(open_) == [("link", "email")]


async def test_joining_one_program_is_no_word_for_another(open_: Any) -> None:
    for name, how in (("club", "request"), ("other", "request"), ("open", "automatic")):
        text = PROGRAM.replace("program: main", f"program: {name}").replace("points: {}", f"{name}: {{}}")
        text = text.replace("award: 10", f"award: 10, wallet: {name}")
        await open_.prepare(text.replace("wallets:", f"enrolment: {how}\nwallets:", 1))
    door = Door(open_, "club")
    await door.fill()
    await door.card()
    assert (await members(open_))[0]["programs"] == ["club", "main", "open"]


async def test_a_form_that_is_sent_twice_makes_one_member_and_leads_both_to_the_card(served: Any) -> None:
    await served.prepare(PROGRAM)
    shown = await Door(served).look()
    hidden = {name: one["value"] for name, one in shown.fields().items() if one.get("type") == "hidden"}
    doors = [Door(served) for _ in range(2)]
    await asyncio.gather(*(door.send({**hidden, **ANN}) for door in doors))
    assert len({door.place for door in doors}) == 1
    await doors[0].card()
    assert len(await members(served)) == 1
    (row,) = await served.read(select(idempotency).where(idempotency.c.key.like("join:%")))
    assert doors[0].place.partition("-")[0].rpartition("/")[2] not in str(row)
    await Door(served).send({**hidden, **ANN, "first_name": "Bo"})
    assert await told(served) == [("link", "email")], "what was changed in between is another"


@pytest.mark.parametrize(
    ("typed", "wrong", "text"),
    [
        ({"first_name": "Ann"}, "email", "join_one"),
        ({"email": "ann@nowhere", "phone": "+4930123456"}, "email", "join_email_wrong"),
        ({"email": "ann@example.com", "phone": "030 123456"}, "phone", "join_phone_wrong"),
        ({"email": "ann@example.com", "first_name": "A" * 101}, "first_name", "answer_long"),
        ({"email": f"{'a' * 320}@example.com"}, "email", "join_email_wrong"),
    ],
)
async def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_stays(
    open_: Any, typed: dict[str, str], wrong: str, text: str
) -> None:
    door = Door(open_, query="?branch=%22%3E%3Cb%3E&language=it")
    shown = await door.fill({**typed, "agrees": "sms"})
    assert shown is not None
    assert (door.status, await members(open_)) == (422, [])
    fields = shown.fields()
    assert [name for name, one in fields.items() if one.get("aria-invalid") == "true"] == [wrong]
    assert fields[wrong]["aria-describedby"] == f"wrong-{wrong}"
    assert any(one.get("id") == f"wrong-{wrong}" for one in shown.all("div"))
    assert ready("it")["pages"][text].format(most=100) in shown.words["p"]
    assert {name: fields[name]["value"] for name in typed} == typed
    assert [one["value"] for one in shown.all("input") if "checked" in one] == ["sms"]
    assert fields["branch"]["value"] == '"><b>'
    assert shown.all("b") == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_page_speaks_every_language_and_its_direction(open_: Any, language: str) -> None:
    door = Door(open_, query=f"?language={language}&branch={quote('Berlin & Bonn')}")
    shown = await door.look()
    (page,) = shown.all("html")
    assert (page["lang"], page["dir"]) == (language, "rtl" if language == "ar" else "ltr")
    words = ready(language)["pages"]
    assert shown.words["button"] == [words["join_does"]]
    assert [one.get("type") for name, one in shown.fields().items() if name in {"email", "phone"}] == ["email", "tel"]
    assert not any("checked" in one for one in shown.all("input"))
    assert [one["lang"] for one in shown.all("a")] == [one for one in LANGUAGES if one != language]
    assert all(str(one["href"]).endswith("&branch=Berlin%20%26%20Bonn") for one in shown.all("a"))
    assert "script" not in door.headers["Content-Security-Policy"]
    assert (door.headers["Referrer-Policy"], door.headers["X-Robots-Tag"]) == ("no-referrer", "noindex")


async def test_without_a_word_of_the_sign_the_browser_says_which_language_and_else_the_program(open_: Any) -> None:
    async def spoken(query: str = "", **headers: str) -> str | None:
        return (await Door(open_, query=query).look(**headers)).all("html")[0]["lang"]

    assert await spoken(**{"Accept-Language": "de, nl-BE;q=0.8, en;q=0.5"}) == "nl"
    assert await spoken("?language=ms", **{"Accept-Language": "nl"}) == "ms"
    assert await spoken("?language=tlh") == "en"
    await open_.prepare(PROGRAM + "sending: {language: id}\n")
    assert await spoken(**{"Accept-Language": "de"}) == "id"


@pytest.mark.parametrize(
    ("change", "status", "text"),
    [
        ("state: draft", 403, "join_closed"),
        ("state: ended", 410, "join_ended"),
        ("state: test\naudience: {members: [m_1]}", 403, "join_closed"),
        ("state: soft\naudience: {share: 20 %}", 403, "join_closed"),
        ("segments: {vip: {}}\nenrolment: segment vip", 403, "join_closed"),
        ("state: ending\nending: {last_earn: 2020-01-01, last_redeem: 2020-02-01}", 410, "join_ended"),
    ],
)
async def test_a_program_that_takes_nobody_says_so(open_: Any, change: str, status: int, text: str) -> None:
    await open_.prepare(PROGRAM.replace("wallets:", f"{change}\nwallets:", 1))
    for method, options in (("GET", {}), ("POST", {"data": ANN})):
        door = Door(open_)
        shown = await door._ask(method, **options)
        assert shown is not None
        assert (door.status, shown.all("form")) == (status, [])
        assert ready("en")["pages"][text] in shown.words["p"]
    assert await members(open_) == []


async def test_a_program_that_is_stopped_takes_nobody(open_: Any) -> None:
    stopped = await open_.call("POST", "/switches/program/main/stop", {"note": "a pause"})
    assert stopped.status < 300, stopped.body
    door = Door(open_)
    await door.look()
    assert door.status == 403


async def test_an_address_without_a_program_says_so_and_is_not_tried_for_long(open_: Any) -> None:
    statuses = []
    for _ in range(22):
        door = Door(open_, "nothing")
        shown = await door.look()
        statuses.append(door.status)
    assert (statuses[:20], statuses[-1]) == ([404] * 20, 429)
    assert ready("en")["pages"]["haste"] in shown.words["p"]


async def test_whoever_sends_too_much_is_asked_to_wait_and_keeps_what_they_typed(open_: Any) -> None:
    door = Door(open_)
    for number in range(JOINING.burst):
        await door.send({"email": f"ann{number}@example.com"})
        assert door.status == 303
    shown = await door.send(ANN)
    assert shown is not None
    assert (door.status, shown.fields()["email"]["value"]) == (429, "ann@example.com")
    assert int(door.headers["Retry-After"]) >= 1
    assert len(await members(open_)) == JOINING.burst


async def test_one_address_is_sent_no_more_than_a_few_links(open_: Any) -> None:
    await open_.rich(email="ann@example.com")
    statuses = []
    for _ in range(5):
        door = Door(open_)
        await door.fill()
        statuses.append(door.status)
    assert statuses == [200, 200, 200, 429, 429]
    assert await told(open_) == [("link", "email")] * 3


async def test_a_program_that_fills_in_every_field_makes_no_member(open_: Any) -> None:
    door = Door(open_)
    shown = await door.fill({**ANN, TRAP: "https://spam.example"})
    assert shown is not None
    assert (door.status, await members(open_)) == (200, [])
    assert ready("en")["pages"]["join_sent"] in shown.words["p"]


@pytest.mark.parametrize(
    ("status", "options"),
    [
        (403, {"data": ANN, "headers": {"Origin": "https://elsewhere.example"}}),
        (403, {"data": ANN, "headers": {"Sec-Fetch-Site": "cross-site"}}),
        (413, {"data": {**ANN, "first_name": "a" * 20_000}}),
        (415, {"json": ANN}),
        (415, {"data": b"\xff\xfe", "headers": {"Content-Type": "application/x-www-form-urlencoded; charset=klingon"}}),
    ],
)
async def test_what_is_no_form_of_ours_makes_no_member(open_: Any, status: int, options: dict[str, Any]) -> None:
    door = Door(open_)
    shown = await door._ask("POST", **options)
    assert shown is not None
    assert (door.status, len(shown.all("form"))) == (status, 1)
    assert len([one for one in shown.all("p") if one.get("role") == "alert"]) == 1
    assert await members(open_) == []


async def test_whoever_was_erased_can_join_anew(served: Any) -> None:
    await served.prepare(PROGRAM)
    await Door(served).fill()
    (one,) = await members(served)
    served.clock.advance(timedelta(minutes=1))
    assert (await served.call("DELETE", f"/members/{one['id']}")).status == 204
    door = Door(served)
    await door.fill()
    await door.card()


async def test_whoever_people_put_in_is_not_handed_to_whoever_types_their_address(open_: Any) -> None:
    made = await open_.call("POST", "/members", {"attributes": {"email": "ann@example.com"}})
    assert made.status == 201
    door = Door(open_)
    await door.fill()
    assert door.status == 200
    assert len(await members(open_)) == 1
