"""Messages by REST, as a shopper reads them, and on the pages behind their links."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from sqlalchemy import insert, select
from tests.core.letters import Box

from stampcard.domain.events import MessageReceived, MessageReported
from stampcard.plugin import (
    Capabilities,
    ConnectionContext,
    PluginManifest,
    PluginSettings,
    Unknown,
    hookimpl,
)
from stampcard.program.templates import LANGUAGES, ready
from stampcard.storage.tables import consent, message, outbox

#: For what takes the same way on both kinds of database.
on_sqlite = pytest.mark.parametrize("desk", ["sqlite"], indirect=True)

PROGRAM = """
program: main
name: Bean Club
currency: EUR
timezone: Europe/Berlin
attributes: {colour: string}
wallets: {points: {}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
  - {id: thanks, on: answered, when: event.data.score >= 9, award: 7}
rewards:
  mug: {name: A mug, gives: merchandise, price: 100}
sending:
  quiet: {sms: none}
  double_opt_in: email
messages:
  welcome: {on: sign_up, use: welcome, purpose: transactional, channels: [email, inbox], deliver: all}
  earned: {on: points_earned, use: points_earned, channels: [email, sms]}
  opt-in: {on: consent_asked, use: opt_in}
  feedback:
    on: by_hand
    use: feedback
    question: {kind: score, texts: {en: "How likely is it that you tell others?", nl: "Hoe waarschijnlijk is het?"}}
  news:
    on: by_hand
    channels: [sms, email]
    who: {share: 100 %}
    texts:
      en: {subject: News for {{ member.first_name }}, text: "Hello {{ member.first_name }}, [look](https://shop.example)"}
""".replace("News for {{ member.first_name }}", '"News for {{ member.first_name }}"')


class Post:
    """A plugin with a mail and a text channel, and an inbox."""

    def __init__(self) -> None:
        self.mail, self.text = Box("email"), Box("sms", hears=True)
        self.inbox = Box("inbox", form="note", kept=True)

    @hookimpl
    def plugin_manifest(self) -> PluginManifest:
        return PluginManifest(name="post", summary="for tests", settings=PluginSettings)

    @hookimpl
    async def connect(self, context: ConnectionContext[PluginSettings]) -> Capabilities:  # noqa: ARG002 - it calls nobody
        return Capabilities(channels=(self.mail, self.text, self.inbox))


class Desk:
    """A served installation, and its post."""

    def __init__(self, served: Any, post: Post) -> None:
        self.served, self.post = served, post

    async def turn(self) -> None:
        """Let everything leave that is due."""
        dispatcher = self.served.application.dispatchers["post"]
        for _ in range(3):
            await dispatcher.turn()
            while dispatcher._flights:
                await asyncio.gather(*dispatcher._flights)
            while await self.served.application.worker.work_once():
                pass

    async def joins(self, reference: str = "1", **attributes: Any) -> str:
        told = {"email": f"{reference}@example.com", "first_name": "Ada", **attributes}
        identity = {"connection": "shop", "reference": reference}
        made = await self.served.call("POST", "/members", {"identity": identity, "attributes": told})
        return str(made.body["id"])

    async def says(self, member: str, channel: str, state: str = "given", purpose: str = "marketing") -> None:
        said = {"channel": channel, "purpose": purpose, "state": state, "source": "form", "confirmed": True}
        assert (await self.served.call("POST", f"/members/{member}/consents", said)).status == 201
        self.served.clock.advance(timedelta(seconds=1))

    async def state(self, member: str, name: str) -> str:
        found = (await self.served.call("GET", f"/members/{member}/consents")).body["current"]
        return str(found.get(name, ""))

    async def page(self, text: str, purpose: str, form: Any = None, **headers: str) -> tuple[int, str]:
        """The page behind the link of a text, after its form was sent if there is one."""
        found = re.search(rf"https?://[^\s/\"]+(/{purpose}/[\w-]+)", text)
        assert found is not None, text
        method = "GET" if form is None else "POST"
        address = self.served.address + found[1]
        async with self.served.session.request(method, address, data=form, headers=headers) as answer:
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            return answer.status, await answer.text()

    async def me(self, method: str, path: str, member: str, body: Any = None) -> Any:
        """As the member, by a link of theirs."""
        token = (await self.served.call("POST", f"/members/{member}/links")).body["token"]
        headers = {"Authorization": f"Bearer {token}"}
        address = f"{self.served.address}/shopper/stampcard{path}"
        async with self.served.session.request(method, address, json=body, headers=headers) as answer:
            return answer.status, await answer.json() if answer.content_length else None


@pytest.fixture(params=["sqlite", "postgresql"])
async def desk(request: pytest.FixtureRequest, serve: Any) -> Desk:
    if request.param == "sqlite":
        url = request.getfixturevalue("sqlite_url")
    else:
        make: Callable[[], str] = request.getfixturevalue("new_postgresql")
        url = make()
    return await _desk(serve, url)


@pytest.fixture
async def here(serve: Any, sqlite_url: str) -> Desk:
    """On SQLite, for what does not depend on the database."""
    return await _desk(serve, sqlite_url)


async def _desk(serve: Any, url: str) -> Desk:
    post = Post()
    connections = {"shop": {"plugin": "shopping"}, "post": {"plugin": "post"}}
    served = await serve(url, connections=connections, plugins={"post": post})
    await served.prepare(PROGRAM)
    return Desk(served, post)


async def test_messages_stand_in_the_members_timeline_but_those_that_try_one(desk: Desk) -> None:
    ada = await desk.joins()
    await desk.says(ada, "email")
    await desk.turn()
    asked = {"to": "me@example.com", "member": ada}
    assert (await desk.served.call("POST", "/programs/main/messages/welcome/test", asked)).status == 202
    await desk.turn()
    path = f"/members/{ada}/timeline"

    whole = (await desk.served.call("GET", path)).body["items"]

    told = {item["words"]: item for item in whole if item["kind"] == "message"}
    assert set(told) == {"Message 'welcome' by email: sent.", "Message 'welcome' by inbox: delivered."}
    assert {item["subject"].partition(":")[0] for item in told.values()} == {"message"}
    assert [item["at"] for item in whole] == sorted((item["at"] for item in whole), reverse=True)
    pages = [(await desk.served.call("GET", f"{path}?limit=1")).body]
    while pages[-1]["next"]:
        pages.append((await desk.served.call("GET", f"{path}?limit=1&cursor={pages[-1]['next']}")).body)
    assert [item for page in pages for item in page["items"]] == whole


async def test_what_became_of_a_message_is_listed_and_told_step_by_step(desk: Desk) -> None:
    member = await desk.joins()
    await desk.turn()
    (mail,) = desk.post.mail.sent
    at = desk.served.clock.now()
    for state in ("opened", "delivered", "sent"):
        report = MessageReported(channel="email", state=state, occurred_at=at, message=mail.id)
        await _told(desk, report)

    listed = (await desk.served.call("GET", "/messages?name=welcome&channel=email")).body["items"]
    assert [(one["member"], one["state"], one["language"]) for one in listed] == [(member, "opened", "en")]
    shown = (await desk.served.call("GET", f"/messages/{mail.id}")).body
    assert {step["state"] for step in shown["steps"]} == {"sent", "delivered", "opened"}
    mine = (await desk.served.call("GET", f"/members/{member}/messages")).body["items"]
    assert {(one["channel"], one["state"]) for one in mine} == {("email", "opened"), ("inbox", "delivered")}
    (row,) = [
        row
        for row in (await desk.served.call("GET", "/reports/messages")).body["rows"]
        if (row["message"], row["channel"]) == ("welcome", "email")
    ]
    assert (row["left"], row["delivered"], row["opened"], row["bounced"]) == (1, 1, 1, 0)


async def _told(desk: Desk, *events: Any) -> None:
    """What the channel's connection tells, as its webhook would."""
    from stampcard.applying.deliveries import Prepared, decide_all
    from stampcard.applying.unit import Sourced, Unit

    application = desk.served.application
    now = desk.served.clock.now()

    def work(connection: Any) -> None:
        unit = Unit(connection, application.setting, now)
        sourced = tuple(Sourced(event=one, connection="post", source="post", received_at=now) for one in events)
        (settled,) = decide_all(unit, [Prepared(delivery=1, connection="post", source="post", events=sourced)])
        assert settled.status == "done", settled
        unit.save()

    await application.database.write(work)


async def test_a_link_to_unsubscribe_shows_a_page_and_acts_only_when_it_is_sent(desk: Desk) -> None:
    member = await desk.joins()
    await desk.says(member, "email")
    await desk.served.call(
        "POST", f"/members/{member}/adjustments", {"wallet": "points", "points": 5, "reason": "gift"}
    )
    await desk.turn()
    mail = desk.post.mail.sent[-1]
    assert mail.name == "earned"

    status, text = await desk.page(mail.unsubscribe, "u")
    assert (status, "News and offers" in text) == (200, True)
    assert await desk.state(member, "email.marketing") == "given"
    status, _ = await desk.page(mail.unsubscribe, "u", {}, Origin="https://evil.example")
    assert (status, await desk.state(member, "email.marketing")) == (403, "given")

    # A mail program's own button sends just this, from anywhere and without a cookie (RFC 8058).
    status, text = await desk.page(
        mail.unsubscribe, "u", {"List-Unsubscribe": "One-Click"}, Origin="https://mail.example"
    )
    assert (status, "You get no more of this" in text) == (200, True)
    assert await desk.state(member, "email.marketing") == "withdrawn"
    again, _ = await desk.page(mail.unsubscribe, "u", {"List-Unsubscribe": "One-Click"})
    assert again == 200
    rows = await desk.served.read(select(consent).where(consent.c.channel == "email"))
    assert [row.state for row in rows] == ["given", "withdrawn"]

    desk.served.clock.advance(timedelta(seconds=1))
    await desk.page(mail.unsubscribe, "u", {"again": "1"})
    assert await desk.state(member, "email.marketing") == "given"


async def test_a_link_that_is_not_ours_or_for_something_else_opens_nothing(here: Desk) -> None:
    await here.joins()
    await here.turn()
    link = re.search(r"/p/([\w-]+)", here.post.mail.sent[0].text)
    assert link is not None
    token = link[1]
    changed = token[:-1] + ("0" if token[-1] != "0" else "1")
    for path in (f"/u/{token}", f"/p/{changed}", "/p/x", "/p/1-0000000000000000", f"/c/{token}"):
        async with here.served.session.get(here.served.address + path) as answer:
            assert answer.status == 404


async def test_everything_is_chosen_on_one_page_in_the_members_own_language(here: Desk) -> None:
    member = await here.joins(language="ar", phone="+4915112345678")
    await here.says(member, "email")
    await here.turn()
    link = here.post.mail.sent[0].text
    status, text = await here.page(link, "p")
    assert (status, 'lang="ar" dir="rtl"' in text) == (200, True)
    assert 'value="email.marketing" checked' in text
    assert re.search(r'value="sms\.marketing">', text)

    wanted = [("get", "sms.marketing"), ("get", "inbox.transactional"), ("language", "nl")]
    status, text = await here.page(link, "p", wanted)
    assert (status, "Opgeslagen" in text) == (200, True)
    current = (await here.served.call("GET", f"/members/{member}/consents")).body["current"]
    assert current["sms.marketing"] == "given"
    assert (current["email.marketing"], current["email.transactional"]) == ("withdrawn", "withdrawn")
    assert current.get("inbox.transactional") in {None, "given"}
    assert (await here.served.call("GET", f"/members/{member}")).body["attributes"]["language"] == "nl"


@on_sqlite
async def test_a_yes_counts_only_once_it_is_confirmed_in_time(desk: Desk) -> None:
    member = await desk.joins()
    said = {"channel": "email", "purpose": "marketing", "state": "given", "source": "form"}
    answer = await desk.served.call("POST", f"/members/{member}/consents", said)
    assert answer.body["current"]["email.marketing"] == "pending"
    desk.served.clock.advance(timedelta(seconds=1))
    await desk.turn()
    mail = desk.post.mail.sent[-1]
    assert (mail.name, mail.subject) == ("opt-in", "Please confirm for Bean Club")
    status, text = await desk.page(mail.text, "c")
    assert (status, "News and offers (E-mail)" in text) == (200, True)
    assert await desk.state(member, "email.marketing") == "pending"
    status, _ = await desk.page(mail.text, "c", {})
    assert (status, await desk.state(member, "email.marketing")) == (200, "given")
    # Once more changes nothing, and who says no later is not brought back by the old link.
    await desk.says(member, "email", "withdrawn")
    await desk.page(mail.text, "c", {})
    assert await desk.state(member, "email.marketing") == "withdrawn"

    other = await desk.joins("2")
    await desk.says(other, "email", "pending")
    await desk.turn()
    desk.served.clock.advance(timedelta(days=8))
    status, _ = await desk.page(desk.post.mail.sent[-1].text, "c", {})
    assert (status, await desk.state(other, "email.marketing")) == (404, "pending")


@on_sqlite
async def test_an_answer_is_kept_once_and_pays(desk: Desk) -> None:
    member = await desk.joins(language="nl")
    await desk.says(member, "email")
    answer = await desk.served.call("POST", "/programs/main/messages/feedback/mailings", {"confirm": True})
    assert answer.status == 202
    await desk.served.application.timer.tick()
    await desk.turn()
    mail = desk.post.mail.sent[-1]
    assert (mail.name, mail.language) == ("feedback", "nl")
    status, text = await desk.page(mail.text, "q")
    assert (status, "Hoe waarschijnlijk is het?" in text) == (200, True)
    status, _ = await desk.page(mail.text, "q", {"score": "11"})
    assert status == 422
    status, text = await desk.page(mail.text, "q", {"score": "9", "text": "Good <coffee>"})
    assert (status, "Bedankt" in text) == (200, True)
    status, text = await desk.page(mail.text, "q", {"score": "1"})
    assert "al beantwoord" in text
    assert (await desk.served.figures(member))[0] == 7
    shown = (await desk.served.call("GET", f"/messages/{mail.id}")).body
    assert (shown["score"], shown["words"]) == (9, "Good <coffee>")
    rows = (await desk.served.call("GET", "/reports/answers")).body["rows"]
    assert [(row["message"], row["answers"], row["score"], row["promoters"]) for row in rows] == [
        ("feedback", 1, "9.00", 1)
    ]
    mailing = (
        await desk.served.call("GET", f"/programs/main/messages/feedback/mailings/{answer.body['mailing']}")
    ).body
    assert (mailing["looked_at"], mailing["ended"]) == (1, True)


async def test_a_large_send_is_estimated_stopped_at_once_and_goes_on(desk: Desk) -> None:
    for number in range(6):
        member = await desk.joins(str(number), **({"phone": f"+49151123456{number}0"} if number < 3 else {}))
        if number < 5:
            await desk.says(member, "sms" if number < 2 else "email")
    estimate = (await desk.served.call("GET", "/programs/main/messages/news/estimate")).body
    assert (estimate["audience"], estimate["reached"]) == (6, {"sms": 2, "email": 3})
    assert (estimate["dropped"], estimate["parts"]) == ({"no_consent": 1}, 2)
    await desk.turn()

    await desk.served.call("POST", "/programs/main/messages/news/mailings", {"confirm": True})
    stopped = await desk.served.call("POST", "/switches/message/news/stop", {"note": "a typo"})
    assert stopped.status == 200
    await desk.served.application.refresh()
    await desk.served.application.timer.tick()
    before = len(desk.post.text.sent)
    await desk.turn()
    assert len(desk.post.text.sent) == before
    waiting = (await desk.served.call("GET", "/messages?name=news&state=waiting")).body["items"]
    assert {one["reason"] for one in waiting} == {"stopped"}
    assert (await desk.served.call("POST", "/switches/message/main/news/start", {})).status == 200
    await desk.served.application.refresh()
    await desk.turn()
    await desk.turn()
    assert len(desk.post.text.sent) == before + 2
    assert [one.text for one in desk.post.text.sent[-1:]] == ["Hello Ada, look: https://shop.example"]


async def test_a_message_is_previewed_and_tried_without_anybodys_consent(here: Desk) -> None:
    member = await here.joins()
    await here.turn()
    asked = {"member": member, "language": "it"}
    seen = (await here.served.call("POST", "/programs/main/messages/earned/preview", asked)).body
    assert (seen["language"], seen["subject"]) == ("it", "Hai guadagnato 120 punti")
    asked = {"member": member, "to": "boss@shop.example"}
    tried = await here.served.call("POST", "/programs/main/messages/earned/test", asked)
    assert tried.status == 202
    await here.turn()
    assert here.post.mail.sent[-1].to == "boss@shop.example"
    shown = (await here.served.call("GET", f"/messages/{tried.body['id']}")).body
    assert (shown["test"], shown["state"]) == (True, "sent")
    wrong = await here.served.call("POST", "/programs/main/messages/earnd/preview", {"member": member})
    assert (wrong.status, "earned" in wrong.body["detail"]) == (404, True)


async def test_a_person_settles_what_nobody_could_tell(here: Desk) -> None:
    here.post.mail.answers = [Unknown(reason="no answer"), Unknown(reason="no answer")]
    await here.joins("1")
    await here.joins("2")
    await here.turn()
    items = (await here.served.call("GET", "/messages?state=unknown")).body["items"]
    assert len(items) == 2
    left, not_left = items[0]["id"], items[1]["id"]
    assert (await here.served.call("POST", f"/messages/{left}/settle", {"left": True})).body["state"] == "sent"
    assert (await here.served.call("POST", f"/messages/{not_left}/settle", {"left": False})).body["state"] == "waiting"
    await here.turn()
    assert len(here.post.mail.sent) == 1
    again = await here.served.call("POST", f"/messages/{left}/settle", {"left": True})
    assert (again.status, again.body["code"]) == (409, "not_unknown")


@on_sqlite
async def test_an_address_that_bounced_gets_nothing_until_somebody_releases_it(desk: Desk) -> None:
    await desk.joins()
    await desk.turn()
    (mail,) = desk.post.mail.sent
    at = desk.served.clock.now()
    bounce = MessageReported(
        channel="email", state="bounced", occurred_at=at, message=mail.id, because="address", address="1@example.com"
    )
    await _told(desk, bounce)
    held = (await desk.served.call("GET", "/suppressions")).body["items"]
    assert [(one["channel"], one["address"], one["reason"]) for one in held] == [("email", "1@example.com", "bounced")]
    tell = {"channel": "email", "address": "1@Example.com "}
    assert (await desk.served.call("POST", "/suppressions/release", tell)).status == 204
    assert (await desk.served.call("POST", "/suppressions/release", tell)).status == 404
    assert (await desk.served.call("POST", "/suppressions", {**tell, "note": "asked on the phone"})).status == 201


async def test_what_is_kept_is_read_and_dismissed_by_its_member_alone(desk: Desk) -> None:
    member, other = await desk.joins("1"), await desk.joins("2")
    await desk.turn()
    status, notes = await desk.me("GET", "/messages", member)
    assert (status, notes["unread"], notes["items"][0]["title"]) == (200, 1, "Welcome to Bean Club")
    id_ = notes["items"][0]["id"]
    assert (await desk.me("POST", f"/messages/{id_}/read", other, {}))[0] == 404
    assert (await desk.me("POST", f"/messages/{id_}/read", member, {}))[0] == 204
    assert (await desk.me("GET", "/messages", member))[1]["unread"] == 0
    assert (await desk.me("POST", f"/messages/{id_}/dismiss", member, {}))[0] == 204
    assert (await desk.me("GET", "/messages", member))[1]["items"] == []
    desk.served.clock.advance(timedelta(days=91))
    assert (await desk.me("GET", "/messages", other))[1]["items"] == []


@on_sqlite
async def test_ones_own_link_is_mailed_and_nobody_learns_who_is_a_member(desk: Desk) -> None:
    member = await desk.joins()
    await desk.turn()
    before = len(desk.post.mail.sent)
    for address in ("1@example.com", "nobody@example.com"):
        told = {"email": address}
        async with desk.served.session.post(f"{desk.served.address}/shopper/stampcard/link", json=told) as answer:
            assert (answer.status, await answer.json()) == (202, {})
    async with asyncio.timeout(30):
        while len(desk.post.mail.sent) == before:
            await desk.turn()
    (mail,) = desk.post.mail.sent[before:]
    assert (mail.name, mail.to) == ("link", "1@example.com")
    link = re.search(r"(/me/st_[\w-]+)", mail.text)
    assert link is not None
    async with desk.served.session.get(desk.served.address + link[1]) as page:
        text = await page.text()
        assert (page.status, "Your points: 0" in text, "A mug" in text) == (200, True, True)
    desk.served.clock.advance(timedelta(minutes=16))
    async with desk.served.session.get(desk.served.address + link[1]) as page:
        assert page.status == 404
    del member


@on_sqlite
async def test_words_that_come_back_are_understood_and_answered_once(desk: Desk) -> None:
    member = await desk.joins(phone="+4915112345678")
    await desk.says(member, "sms")
    await desk.turn()
    at = desk.served.clock.now()

    async def writes(text: str, key: str) -> str:
        before = len(desk.post.text.sent)
        await _told(desk, MessageReceived(channel="sms", address="+4915112345678", text=text, key=key, occurred_at=at))
        await desk.turn()
        return " ".join(one.text for one in desk.post.text.sent[before:])

    assert await writes("balance", "1") == "Bean Club: you have no points."
    assert "nothing is in reach yet" in await writes("Rewards?", "2")
    assert "STOP to get no more messages" in await writes("HELP", "3")
    assert await writes("what a nice day", "4") == ""
    assert "no more messages" in await writes("please stop texting me", "5")
    assert await desk.state(member, "sms.marketing") == "withdrawn"


async def test_erasing_somebody_reaches_their_messages(desk: Desk) -> None:
    member = await desk.joins()
    await desk.turn()
    await desk.joins("2")
    assert (await desk.served.call("DELETE", f"/members/{member}")).status == 204
    rows = await desk.served.read(select(message).where(message.c.member == member))
    assert rows
    assert all((row.data_sealed, row.content_sealed, row.to_print) == (None, None, None) for row in rows)
    mail = desk.post.mail.sent[0]
    status, _ = await desk.page(mail.text, "p")
    assert status == 404
    left = await desk.served.read(select(outbox).where(outbox.c.member == member))
    assert all(row.data_sealed is None for row in left)


@pytest.mark.parametrize(
    "again", ["", "multipart/form-data; boundary=xx", "multipart/form-data; charset=ascii; boundary=xx"]
)
async def test_the_button_of_a_mail_program_works_however_its_form_is_written(here: Desk, again: str) -> None:
    member, link = await _gifted(here)
    form: Any = aiohttp.FormData({"List-Unsubscribe": "One-Click"}, default_to_multipart=True)
    headers = {"Origin": "https://mail.example"}
    if again:
        head = 'Content-Disposition: form-data; name="List-Unsubscribe"'
        file = 'Content-Disposition: form-data; name="again"; filename="a.txt"'
        form = f"--xx\r\n{head}\r\n\r\nOne-Click\r\n--xx\r\n{file}\r\n\r\n1\r\n--xx--\r\n".encode()
        headers["Content-Type"] = again
    status, text = await here.page(link, "u", form, **headers)
    assert (status, "You get no more of this" in text) == (200, True)
    assert await here.state(member, "email.marketing") == "withdrawn"


async def _gifted(desk: Desk, **attributes: Any) -> tuple[str, str]:
    """A member who got a message that can be ended, and its link for that."""
    member = await desk.joins(**attributes)
    await desk.says(member, "email")
    gift = {"wallet": "points", "points": 5, "reason": "gift"}
    await desk.served.call("POST", f"/members/{member}/adjustments", gift)
    await desk.turn()
    return member, next(mail.unsubscribe for mail in desk.post.mail.sent if mail.name == "earned")


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("kind", "sent", "status", "said"),
    [
        (f"{FORM}; charset=nonsense", b"again=1", 415, "could not be read"),
        (f"{FORM}; charset=hex", b"again=1", 415, "could not be read"),
        ("application/json", b"{}", 415, "could not be read"),
        ("multipart/form-data", b"again=1", 200, "You get no more of this"),
        (FORM, b"a=" + b"a" * 40_000, 413, "too much at once"),
        ("multipart/form-data; boundary=xx", b"a" * 40_000, 413, "too much at once"),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
async def test_what_is_no_form_is_refused_in_words(
    here: Desk, kind: str, sent: bytes, status: int, said: str, chunked: bool
) -> None:
    _, link = await _gifted(here)

    async def pieces() -> Any:
        yield sent

    got, text = await here.page(link, "u", pieces() if chunked else sent, **{"Content-Type": kind})
    assert (got, said in text) == (status, True), text
    assert status == 200 or 'That did not work</h1><p role="alert"' in text


async def test_a_refusal_is_told_in_the_language_of_who_is_refused(here: Desk) -> None:
    _, link = await _gifted(here, language="nl-BE")
    status, text = await here.page(link, "u", {}, Origin="https://evil.example")
    assert (status, 'lang="nl" dir="ltr"' in text, "Dit is vanaf een andere pagina verstuurd" in text) == (
        403,
        True,
        True,
    )


@pytest.mark.parametrize(
    "change",
    [
        ("  earned: {on: points_earned", "  other: {on: points_earned"),
        ("use: points_earned,", "use: points_earned, purpose: transactional,"),
    ],
)
async def test_who_wants_it_again_gets_it_whatever_became_of_the_message(here: Desk, change: tuple[str, str]) -> None:
    member, link = await _gifted(here)
    here.served.clock.advance(timedelta(seconds=1))
    await here.served.prepare(PROGRAM.replace(*change))
    await here.page(link, "u", {})
    assert await here.state(member, "email.marketing") == "withdrawn"
    here.served.clock.advance(timedelta(seconds=1))
    status, text = await here.page(link, "u", {"again": "1"})
    assert (status, "You get it again" in text) == (200, True)
    assert await here.state(member, "email.marketing") == "given"
    assert (await here.served.call("DELETE", f"/members/{member}")).status == 204
    assert (await here.page(link, "u", {"again": "1"}))[0] == 404


async def _asked(desk: Desk, question: str, language: str = "en") -> str:
    """A mail that asks a question."""
    score = PROGRAM[PROGRAM.index("    question:") : PROGRAM.index("  news:")]
    await desk.served.prepare(PROGRAM.replace(score, f"    question: {question}\n"))
    member = await desk.joins(language=language)
    await desk.says(member, "email")
    await desk.served.call("POST", "/programs/main/messages/feedback/mailings", {"confirm": True})
    await desk.served.application.timer.tick()
    await desk.turn()
    return str(desk.post.mail.sent[-1].text)


@pytest.mark.parametrize(
    ("question", "kept"),
    [
        ("{kind: score, texts: {en: How?}}", (9, "", "why")),
        ("{kind: choice, choices: [good, bad], texts: {en: How?}}", (None, "good", "why")),
        ("{kind: text, texts: {en: How?}}", (None, "", "why")),
    ],
)
async def test_of_an_answer_that_alone_is_kept_which_is_asked(
    here: Desk, question: str, kept: tuple[int | None, str, str]
) -> None:
    link = await _asked(here, question)
    sent = {"score": "9", "choice": "good", "text": " w\0hy\r\n"}
    assert (await here.page(link, "q", sent))[0] == 200
    (row,) = await here.served.read(select(message).where(message.c.answered_at.is_not(None)))
    shown = (await here.served.call("GET", f"/messages/{row.id}")).body
    assert (shown["score"], shown["choice"], shown["words"]) == kept


@pytest.mark.parametrize(
    ("question", "sent", "said", "typed"),
    [
        ("{kind: score, texts: {en: How?}}", {"score": "11", "text": "<why>"}, "Please choose one of these.", ">&lt;why&gt;</textarea>"),
        ("{kind: score, texts: {en: How?}}", {"score": "3", "text": "x" * 2001}, "Please write at most 2000 characters.", 'value="3" required checked'),
        ("{kind: choice, choices: [good, bad], texts: {en: How?}}", {"choice": "ok", "text": "so"}, "Please choose one of these.", ">so</textarea>"),
        ("{kind: text, texts: {en: How?}}", {"text": " \0 "}, "Please write a few words.", "></textarea>"),
    ],
)  # fmt: skip
async def test_a_wrong_answer_shows_the_question_again_with_what_was_typed(
    here: Desk, question: str, sent: dict[str, str], said: str, typed: str
) -> None:
    link = await _asked(here, question)
    status, text = await here.page(link, "q", sent)
    assert (status, f'<p role="alert" dir="auto">{said}</p>' in text, typed in text) == (422, True, True), text


async def test_the_longest_answer_fits_in_any_letters(here: Desk) -> None:
    link = await _asked(here, "{kind: text, texts: {en: How?}}")
    assert (await here.page(link, "q", {"text": "ह" * 2000}))[0] == 200


async def test_fields_that_belong_together_are_named(here: Desk) -> None:
    link = await _asked(here, "{kind: choice, choices: [good, bad], texts: {en: How <was> it?}}")
    for purpose, name in (("q", "How &lt;was&gt; it?"), ("p", "What you get from us")):
        _, text = await here.page(link, purpose)
        assert re.search(rf"<fieldset><legend><h2[^>]*>{re.escape(name)}</h2></legend>", text)


@pytest.mark.parametrize(
    ("speaks", "asked", "page"),
    [
        ("pt-BR", "Como foi?", 'lang="en" dir="ltr"'),
        ("pt_br", "Como foi?", 'lang="en" dir="ltr"'),
        ("pt", "Que tal?", 'lang="en" dir="ltr"'),
        ("nl-BE", "Hoe was het?", 'lang="nl" dir="ltr"'),
        ("ar-EG", "How was it?", 'lang="ar" dir="rtl"'),
        ("he", "How was it?", 'lang="en" dir="ltr"'),
        ("fr", "How was it?", 'lang="en" dir="ltr"'),
        ("nonsense", "How was it?", 'lang="en" dir="ltr"'),
    ],
)
async def test_a_question_is_asked_in_the_members_own_kind_of_a_language(
    here: Desk, speaks: str, asked: str, page: str
) -> None:
    texts = "{nl: Hoe was het?, pt: Que tal?, pt-BR: Como foi?, en: How was it?}"
    link = await _asked(here, f"{{kind: text, texts: {texts}}}", speaks)
    _, text = await here.page(link, "q")
    assert (f">{asked}</h2>" in text, page in text) == (True, True), text


async def test_who_chooses_what_they_get_keeps_their_region(here: Desk) -> None:
    member, link = await _gifted(here, language="nl-BE")
    mail = here.post.mail.sent[-1].text
    _, text = await here.page(mail, "p")
    assert 'value="nl" selected' in text
    await here.page(mail, "p", {"get": "email.marketing", "language": "nl"})
    assert (await here.served.call("GET", f"/members/{member}")).body["attributes"]["language"] == "nl-BE"
    del link


async def test_ones_own_page_is_in_the_direction_of_its_words(here: Desk) -> None:
    for reference, language, told in (("1", "he", 'lang="en" dir="ltr"'), ("2", "ar-EG", 'lang="ar" dir="rtl"')):
        member = await here.joins(reference, language=language)
        token = (await here.served.call("POST", f"/members/{member}/links")).body["token"]
        async with here.served.session.get(f"{here.served.address}/me/{token}") as page:
            assert told in await page.text()


@pytest.mark.parametrize(("channel", "to"), [("email", "nobody"), ("email", "a@b"), ("sms", "0151 12345678")])
async def test_a_message_is_tried_on_an_address_of_its_channel_alone(here: Desk, channel: str, to: str) -> None:
    member = await here.joins()
    asked = {"member": member, "to": to, "channel": channel}
    refused = await here.served.call("POST", "/programs/main/messages/earned/test", asked)
    assert (refused.status, refused.body["code"], repr(to) in refused.body["detail"]) == (422, "no_address", True)


async def test_all_that_is_unread_is_counted(desk: Desk) -> None:
    member = await desk.joins()
    await desk.turn()
    (row,) = await desk.served.read(select(message).where(message.c.channel == "inbox"))
    unsealed = {**row._mapping, "content_sealed": None, "data_sealed": None}
    more = [{**unsealed, "id": number, "occasion": f"more:{number}"} for number in range(1, 151)]
    await desk.served.application.database.write(lambda connection: connection.execute(insert(message), more))
    _, notes = await desk.me("GET", "/messages?limit=2", member)
    assert (notes["unread"], len(notes["items"])) == (151, 2)


def test_pages_have_all_words_in_every_language() -> None:
    assert len({frozenset(ready(language)["pages"]) for language in LANGUAGES}) == 1
