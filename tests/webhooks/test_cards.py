"""Cards and passes over HTTP, with a phone's wallet whose phones ask us themselves."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from tests.core.pockets import BUSY, MAGIC, REFUSED, Pocket, Pockets, turn
from tests.webhooks.test_choosing import Reader

from stampcard.domain.events import CustomerErased, CustomerSeen, OrderSeen, SourceErased
from stampcard.engine.codes import made_code, read_code
from stampcard.outbox import presenting
from stampcard.program.reading import read_program
from stampcard.storage.passes import owe_next as really_owe
from stampcard.storage.plugging import remove_plugged
from stampcard.storage.programming import store_version
from stampcard.storage.tables import card_moment, outbox, pass_, push
from stampcard.storage.tables import member as member_table
from stampcard.testing.building import order
from stampcard_webhooks import cards

PROGRAM = """
program: main
name: Beans
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
tiers: {by: spend, within: ever, levels: {basic: 0, gold: {from: 100, name: Gold Club}}}
rules:
  - {id: purchase, on: purchase, award: 1 per 1 EUR}
  - {id: saved, on: card_saved, award: 25}
rewards:
  mug: {name: A mug, gives: merchandise, price: 1500}
  free: {name: Free coffee, gives: 3 EUR off, price: 10, by: own}
card:
  name: {en: Bean Card, nl: Bonenkaart}
  logo: https://shop.example/logo.png
  fields: [points, tier, next_reward]
"""
PHONE = {"Authorization": f"Pocket {MAGIC}"}


@pytest.fixture
def pockets() -> Pockets:
    return Pockets()


@pytest.fixture(params=["sqlite"])
async def served(request: pytest.FixtureRequest, serve: Any, pockets: Pockets, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An installation with a shop and a phone's wallet, which is told when a test lets it."""
    monkeypatch.setattr(cards, "PATIENCE", 0.0)
    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "new_postgresql")
    connections = {"shop": {"plugin": "shopping"}, "pocket": {"plugin": "pocket"}}
    found = await serve(url if isinstance(url, str) else url(), connections=connections, plugins={"pocket": pockets})
    await found.prepare(PROGRAM)
    return found


on_both = pytest.mark.parametrize("served", ["sqlite", "postgresql"], indirect=True)


async def carried(served: Any, pocket: Pocket, **attributes: Any) -> tuple[str, str]:
    """A member with 100 points and a pass that the wallet knows; answers both ids."""
    member = await served.rich(100, **attributes)
    made = await served.call("POST", f"/members/{member}/passes", {"connection": "pocket"})
    assert made.status == 201
    await turn(served.application)
    assert [one.serial for one in pocket.told()] == [made.body["serial"]]
    return member, made.body["serial"]


async def others_carry(served: Any, many: int) -> None:
    """So many members more have a pass each."""
    for number in range(many):
        other = await served.rich(10, f"o{number}")
        await served.call("POST", f"/members/{other}/passes", {"connection": "pocket"})


async def stored(served: Any, text: str, valid_from: timedelta | None = None, *, refreshed: bool = True) -> None:
    """Another process applies a program, for now or for later."""
    program, now = read_program(text, "test"), served.clock.now()
    begins = None if valid_from is None else now + valid_from
    await served.application.database.write(
        lambda connection: store_version(connection, "main", program, text, "test", "", now, valid_from=begins)
    )
    if refreshed:
        await served.application.refresh()


async def later(served: Any, seconds: int = 60) -> None:
    """Time passes, and what is due by then is shown."""
    served.clock.advance(timedelta(seconds=seconds))
    while await served.application.worker.work_once():
        pass
    await turn(served.application)


async def test_a_card_is_made_once_and_shown(served: Any) -> None:
    member = await served.rich(100)
    assert (await served.call("GET", f"/members/{member}/card")).status == 404
    made = await served.call("POST", f"/members/{member}/card")
    again = await served.call("POST", f"/members/{member}/card")
    shown = await served.call("GET", f"/members/{member}/card")
    assert made.body == again.body == shown.body
    assert made.body["shown"].replace(" ", "") == made.body["number"]
    assert read_code(made.body["code"]).number == made.body["number"]
    (wallet,) = made.body["wallets"]
    assert (wallet["title"], wallet["saved_at"]) == ("Pocket", None)
    assert wallet["url"] == f"{made.body['url']}/pocket"


@on_both
async def test_a_pass_shows_the_new_points_tier_and_next_reward_after_a_purchase(served: Any, pockets: Pockets) -> None:
    member, serial = await carried(served, pockets.sink, first_name="Ann", language="nl")
    first = pockets.sink.shown[serial]
    assert [(one.name, one.text, one.number) for one in first.fields] == [
        ("points", "100", "100"), ("tier", "basic", ""), ("next_reward", "A mug", ""),
    ]  # fmt: skip
    assert (first.holder, first.language, first.active, first.notify) == ("Ann", "nl", True, False)
    assert first.design.name == {"en": "Bean Card", "nl": "Bonenkaart"}
    assert first.design.labels["points"]["nl"] == "Punten"

    await served.apply(OrderSeen(reference="A", snapshot=order(1150)))
    await later(served)
    (second,) = pockets.sink.told()
    assert [one.text for one in second.fields] == ["1.250", "Gold Club", "A mug"]
    assert (second.member, second.notify) == (member, True)


async def test_what_shows_the_same_costs_no_call_and_leaves_nothing_due(served: Any, pockets: Pockets) -> None:
    member, _ = await carried(served, pockets.sink)
    for points in (5, -5):
        body = {"wallet": "points", "points": points, "reason": "a slip"}
        assert (await served.call("POST", f"/members/{member}/adjustments", body)).status == 201
    waiting = select(push).where(push.c.kind == "pass", push.c.wanted > push.c.sent)
    assert len(await served.read(waiting)) == 1
    await later(served)
    assert pockets.sink.told() == []
    assert not await served.read(waiting)


async def test_a_changed_program_is_shown_on_every_pass(served: Any, pockets: Pockets) -> None:
    _, serial = await carried(served, pockets.sink)
    await served.prepare(PROGRAM.replace("Bean Card", "Coffee Card"))
    await later(served)
    assert [one.design.name["en"] for one in pockets.sink.told()] == ["Coffee Card"]
    await served.prepare(PROGRAM.replace("Bean Card", "Coffee Card").replace("price: 10", "price: 11"))
    await later(served)
    assert pockets.sink.told() == [], "nothing of that is on the card"
    assert serial in pockets.sink.shown


async def test_a_version_that_is_planned_is_shown_from_when_it_is_valid_on(served: Any, pockets: Pockets) -> None:
    _, serial = await carried(served, pockets.sink)
    await stored(served, PROGRAM.replace("Bean Card", "Coffee Card"), valid_from=timedelta(days=1))
    await served.apply(OrderSeen(reference="A", snapshot=order(50)))
    await later(served)
    assert [one.design.name["en"] for one in pockets.sink.told()] == ["Bean Card"]
    served.clock.advance(timedelta(days=2))
    await served.application.refresh()
    await later(served)
    assert pockets.sink.shown[serial].design.name["en"] == "Coffee Card"


async def test_a_program_that_another_process_changed_is_shown_once_it_is_known_here(
    served: Any, pockets: Pockets
) -> None:
    _, serial = await carried(served, pockets.sink)
    await stored(served, PROGRAM.replace("Bean Card", "Coffee Card"), refreshed=False)
    await later(served)
    assert pockets.sink.told() == []
    await served.application.refresh()
    await later(served)
    assert pockets.sink.shown[serial].design.name["en"] == "Coffee Card"


async def test_what_changes_while_a_call_is_under_way_is_told_after_it(served: Any, pockets: Pockets) -> None:
    member, serial = await carried(served, pockets.sink)
    await served.apply(OrderSeen(reference="A", snapshot=order(50)))
    served.clock.advance(timedelta(seconds=60))
    dispatcher = served.application.dispatchers["pocket"]
    job = next(one for one in dispatcher.jobs if one.line.sink.kind == "pass")
    batch = await job.due()
    renewed = (await served.call("POST", f"/members/{member}/card/renew")).body["number"]
    await job.send(batch, dispatcher._lease.name, await dispatcher._lease.hold())
    job.release(batch)
    assert pockets.sink.shown[serial].number != renewed
    await later(served)
    assert pockets.sink.shown[serial].number == renewed


async def test_whoever_buys_does_not_wait_until_every_changed_card_is_shown(served: Any, pockets: Pockets) -> None:
    buyer, _ = await carried(served, pockets.sink)
    await others_carry(served, 12)
    await later(served)
    pockets.sink.told()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(presenting, "WAITING", 3)
        await served.prepare(PROGRAM.replace("Bean Card", "Coffee Card"))
        dispatcher = served.application.dispatchers["pocket"]
        job = next(one for one in dispatcher.jobs if one.line.sink.kind == "pass")
        first = await job.due()
        await served.apply(OrderSeen(reference="A", snapshot=order(50)))
        served.clock.advance(timedelta(seconds=60))
        second = await job.due()
        assert (len(first), buyer in {one.member for one in (*first, *second)}) == (3, True)
        for batch in (first, second):
            await job.send(batch, dispatcher._lease.name, await dispatcher._lease.hold())
            job.release(batch)
        for _ in range(6):
            await later(served)
    assert {one.design.name["en"] for one in pockets.sink.shown.values()} == {"Coffee Card"}


async def test_a_resync_delivers_everything_anew(served: Any, pockets: Pockets) -> None:
    member, serial = await carried(served, pockets.sink)
    for asked in ({}, {"member": member}):
        answer = await served.call("POST", "/resync", {"connection": "pocket", **asked})
        assert (answer.status, answer.body["count"]) == (200, 1)
        await served.application.refresh()
        await later(served)
        assert [(one.serial, one.notify) for one in pockets.sink.told()] == [(serial, False)]


async def test_whoever_buys_does_not_wait_until_a_resync_is_done(served: Any, pockets: Pockets) -> None:
    await carried(served, pockets.sink)
    await others_carry(served, 12)
    await later(served)
    pockets.sink.told()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(presenting, "WAITING", 3)
        await served.call("POST", "/resync", {"connection": "pocket"})
        await served.application.refresh()
        waiting = await served.read(select(push.c.member).where(push.c.kind == "pass", push.c.wanted > push.c.sent))
        assert waiting == []
        for _ in range(6):
            await later(served)
    assert len({one.serial for one in pockets.sink.told()}) == 13


@pytest.mark.parametrize("served", ["postgresql"], indirect=True)
@pytest.mark.parametrize("moment", [1, 2])
async def test_a_resync_that_ends_while_cards_are_looked_at_misses_none(
    served: Any, pockets: Pockets, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    await carried(served, pockets.sink)
    await others_carry(served, 9)
    for _ in range(3):
        await later(served)
    monkeypatch.setattr(presenting, "WAITING", 4)
    asked = list[Any]()

    async def resync() -> None:
        assert (await served.call("POST", "/resync", {"connection": "pocket"})).status == 200

    loop = asyncio.get_running_loop()

    def owe_next(*given: Any) -> list[str]:
        found = really_owe(*given)
        asked.append(None)
        if len(asked) == moment:
            asked.append(asyncio.run_coroutine_threadsafe(resync(), loop))
            time.sleep(0.5)  # within the transaction that goes on behind these
        return found

    monkeypatch.setattr("stampcard.outbox.presenting.owe_next", owe_next)
    pockets.sink.told()
    await served.prepare(PROGRAM.replace("Bean Card", "Coffee Card"))
    for _ in range(8):
        await served.application.refresh()
        await later(served)
    assert await served.read(select(pass_.c.serial).where(pass_.c.content == "forgotten")) == []


@pytest.mark.parametrize("change", [{"language": "nl"}, {"first_name": "Bea"}, {"last_name": "Bean"}])
async def test_whoever_is_called_otherwise_or_reads_another_language_sees_it_on_the_card(
    served: Any, pockets: Pockets, change: dict[str, str]
) -> None:
    member, _ = await carried(served, pockets.sink, first_name="Ann", language="en")
    await served.call(
        "POST", f"/members/{member}/adjustments", {"wallet": "points", "points": 2000, "reason": "a gift"}
    )
    await later(served)
    pockets.sink.told()
    await served.call("PATCH", f"/members/{member}", {"attributes": change})
    await later(served)
    (shown,) = pockets.sink.told()
    assert shown.language == change.get("language", "en")
    assert shown.holder == f"{change.get('first_name', 'Ann')} {change.get('last_name', '')}".strip()
    assert shown.fields[0].text == ("2.100" if "language" in change else "2,100")
    assert not shown.notify, "nothing of theirs changed"


async def test_what_a_shop_tells_of_a_name_is_on_the_card(served: Any, pockets: Pockets) -> None:
    await carried(served, pockets.sink, first_name="Ann")
    at = served.clock.now()
    await served.apply(CustomerSeen(occurred_at=at, reference="1", attributes={"first_name": "Bea"}))
    await later(served)
    assert [one.holder for one in pockets.sink.told()] == ["Bea"]


@on_both
async def test_a_wallet_that_was_removed_and_is_there_again_brings_all_cards_up_to_date(
    served: Any, pockets: Pockets
) -> None:
    _, serial = await carried(served, pockets.sink)
    application = served.application
    setting, now = application.setting, served.clock.now()
    await application.database.write(
        lambda c: remove_plugged(c, "main", setting.sealer, setting.numbering, "pocket", now)
    )
    pockets.sink.shown.clear()
    await application.refresh()
    await later(served)
    await later(served)
    assert set(pockets.sink.shown) == {serial}
    await served.prepare(PROGRAM.replace("Bean Card", "Coffee Card"))
    await later(served)
    assert pockets.sink.shown[serial].design.name["en"] == "Coffee Card"


async def test_what_changes_while_no_program_is_valid_is_shown_once_one_is(served: Any, pockets: Pockets) -> None:
    member, serial = await carried(served, pockets.sink)
    application = served.application
    phone = application.setting.phones["pocket"]
    elsewhere = dataclasses.replace(phone, settings=phone.settings.model_copy(update={"program": "other"}))
    application._setting = dataclasses.replace(application.setting, phones={"pocket": elsewhere})
    await served.call("POST", f"/members/{member}/adjustments", {"wallet": "points", "points": 1, "reason": "a gift"})
    await later(served)
    application._setting = dataclasses.replace(application.setting, phones={"pocket": phone})
    await later(served)
    assert pockets.sink.shown[serial].fields[0].text == "101"


async def test_a_server_that_moves_is_on_every_card(served: Any, pockets: Pockets) -> None:
    _, serial = await carried(served, pockets.sink)
    await later(served)
    application = served.application
    application._setting = dataclasses.replace(application.setting, public_url="https://new.example")
    await later(served)
    assert pockets.sink.shown[serial].page.startswith("https://new.example/")


async def test_another_first_figure_is_no_news(served: Any, pockets: Pockets) -> None:
    await carried(served, pockets.sink)
    await served.prepare(PROGRAM.replace("[points, tier, next_reward]", "[tier, points, next_reward]"))
    await later(served)
    assert [(one.fields[0].name, one.notify) for one in pockets.sink.told()] == [("tier", False)]


async def test_a_pass_that_was_refused_is_tried_again_with_another_program(served: Any, pockets: Pockets) -> None:
    member, serial = await carried(served, pockets.sink)
    pockets.sink.outcomes = [REFUSED]
    await served.call("POST", f"/members/{member}/adjustments", {"wallet": "points", "points": 1, "reason": "a gift"})
    await later(served)
    assert pockets.sink.shown[serial].fields[0].text == "100"
    await served.prepare(PROGRAM.replace("logo.png", "other.png"))
    await later(served)
    assert pockets.sink.shown[serial].fields[0].text == "101"


async def test_people_are_notified_no_more_often_than_the_vendor_lets_us(served: Any, pockets: Pockets) -> None:
    member, _ = await carried(served, pockets.sink)
    notified = []
    for amount in (1, 2, 3):
        body = {"wallet": "points", "points": amount, "reason": "a gift"}
        assert (await served.call("POST", f"/members/{member}/adjustments", body)).status == 201
        await later(served)
        notified += [one.notify for one in pockets.sink.told()]
    assert notified == [True, True, False]
    served.clock.advance(timedelta(hours=25))
    await served.call("POST", f"/members/{member}/adjustments", {"wallet": "points", "points": 4, "reason": "a gift"})
    await later(served)
    assert [one.notify for one in pockets.sink.told()] == [True]


async def test_a_vendor_in_trouble_is_told_later_and_the_newest_alone(served: Any, pockets: Pockets) -> None:
    member, serial = await carried(served, pockets.sink)
    pockets.sink.outcomes = [BUSY]
    for points in (1, 2):
        body = {"wallet": "points", "points": points, "reason": "a gift"}
        await served.call("POST", f"/members/{member}/adjustments", body)
        await later(served)
    await later(served)
    assert pockets.sink.shown[serial].fields[0].text == "103"
    assert len(pockets.sink.told()) == 2


@on_both
async def test_whoever_saves_a_card_for_the_first_time_has_earned_what_that_earns(
    served: Any, pockets: Pockets
) -> None:
    member, serial = await carried(served, pockets.sink)
    place = f"{served.address}/connections/pocket/v1/devices"

    async def phone(method: str, device: str, of: str = serial, **headers: str) -> int:
        async with served.session.request(
            method, f"{place}/{device}/passes/{of}", headers={**PHONE, **headers}
        ) as answer:
            return int(answer.status)

    assert await phone("POST", "d1", Authorization="Pocket guess") == 401
    assert await phone("POST", "d1", of="unknown") == 404
    assert await phone("POST", "d1") == 201
    assert await phone("POST", "d1") == 200
    await later(served)
    assert await served.figures(member) == (125, 0, 0)
    (wallet,) = (await served.call("GET", f"/members/{member}/card")).body["wallets"]
    assert wallet["saved_at"] is not None

    assert await phone("DELETE", "d1") == 200
    await later(served)
    pockets.sink.told()
    await served.apply(OrderSeen(reference="A", snapshot=order(10)))
    await later(served)
    assert pockets.sink.told() == [], "nobody has it in a phone"
    assert await phone("POST", "d2") == 201
    await later(served)
    assert [one.fields[0].text for one in pockets.sink.told()] == ["135"], (
        "it is brought up to date, and earns nothing more"
    )


async def test_phones_fetch_their_card_themselves(served: Any, pockets: Pockets) -> None:
    _, serial = await carried(served, pockets.sink)
    url = f"{served.address}/connections/pocket/v1/passes/{serial}"
    async with served.session.get(url, headers=PHONE) as answer:
        assert (answer.status, (await answer.json())["points"]) == (200, "100")
        assert "X-Secret" not in answer.headers
        tag = answer.headers["ETag"]
    async with served.session.get(url, headers={**PHONE, "If-None-Match": tag}) as answer:
        assert answer.status == 304
    async with served.session.put(url, headers=PHONE) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")
    async with served.session.get(f"{url}/more", headers=PHONE) as answer:
        assert answer.status == 404


async def test_what_phones_tell_of_a_pass_that_nobody_was_given_makes_no_member(served: Any, pockets: Pockets) -> None:
    from stampcard.domain.events import PassSaved

    before = (await served.call("GET", "/members")).body["items"]
    await served.apply(PassSaved(serial="made-up", occurred_at=served.clock.now()))
    assert (await served.call("GET", "/members")).body["items"] == before


async def test_the_page_of_a_card_shows_a_code_of_its_moment_and_leads_into_the_phone(
    served: Any, pockets: Pockets
) -> None:
    member = await served.rich(100, language="nl")
    card = (await served.call("POST", f"/members/{member}/card")).body
    path = card["url"].removeprefix(served.application.public_url)
    async with served.session.get(served.address + path) as answer:
        text = await answer.text()
        assert (answer.status, answer.headers["Refresh"]) == (200, "60")
        assert "script" not in answer.headers["Content-Security-Policy"]
    reader = Reader(text)
    assert reader.words["h1"] == ["Bonenkaart"]
    assert reader.words["dt"][0] == "Punten"
    assert reader.words["code"] == [card["shown"]]
    assert reader.all("div")[0]["aria-label"] == "De code van je kaart"
    assert reader.words["a"] == ["Toevoegen aan Pocket"]

    led = await served.session.get(f"{served.address}{path}/pocket", allow_redirects=False)
    (row,) = await served.read(select(pass_))
    assert (led.status, led.headers["Location"]) == (303, f"https://pocket.example/{row.serial}?new")
    await turn(served.application)
    led = await served.session.get(f"{served.address}{path}/pocket", allow_redirects=False)
    assert led.headers["Location"] == f"https://pocket.example/{row.serial}?there"
    assert len(await served.read(select(pass_))) == 1


async def test_a_link_that_opens_no_card_says_so(served: Any) -> None:
    member = await served.rich(100)
    card = (await served.call("POST", f"/members/{member}/card")).body
    path = card["url"].removeprefix(served.application.public_url)
    other = path[:-1] + ("0" if path[-1] != "0" else "1")
    for wrong in (other, "/pass/123", "/pass/x-y", "/pass/"):
        async with served.session.get(served.address + wrong) as answer:
            assert answer.status == 404
    async with served.session.get(f"{served.address}{path}/nowhere") as answer:
        assert answer.status == 503
        assert 'role="alert"' in await answer.text()


async def test_a_renewed_card_makes_the_old_one_worth_nothing(served: Any, pockets: Pockets) -> None:
    member, serial = await carried(served, pockets.sink)
    old = (await served.call("GET", f"/members/{member}/card")).body
    new = (await served.call("POST", f"/members/{member}/card/renew")).body
    assert new["number"] != old["number"]
    async with served.session.get(served.address + old["url"].removeprefix(served.application.public_url)) as answer:
        assert answer.status == 404
    await later(served)
    assert [(one.serial, one.number) for one in pockets.sink.told()] == [(serial, new["number"])]


@on_both
async def test_whoever_is_erased_has_no_card_any_more_here_or_in_a_phone(served: Any, pockets: Pockets) -> None:
    member, serial = await carried(served, pockets.sink)
    card = (await served.call("GET", f"/members/{member}/card")).body
    await served.apply(CustomerErased(reference="1", occurred_at=served.clock.now()))
    await later(served)
    assert pockets.sink.ended == [serial]
    assert not await served.read(select(pass_))
    assert (await served.read(select(outbox.c.reference).where(outbox.c.kind == "pass_end"))) != []
    async with served.session.get(served.address + card["url"].removeprefix(served.application.public_url)) as answer:
        assert answer.status == 404


async def test_rewards_that_are_held_are_on_the_card_until_they_are_used(served: Any, pockets: Pockets) -> None:
    member, _ = await carried(served, pockets.sink)
    taken = await served.call("POST", f"/members/{member}/redemptions", {"reward": "free"})
    await later(served)
    (shown,) = pockets.sink.told()
    assert [(one.id, one.title, one.code) for one in shown.offers] == [
        (taken.body["id"], "Free coffee", taken.body["code"])
    ]
    await served.call("POST", f"/redemptions/{taken.body['id']}/use", {"where": "till 1"})
    await later(served)
    assert [one.offers for one in pockets.sink.told()] == [()]


async def test_a_merged_members_cards_go_on_as_the_others(served: Any, pockets: Pockets) -> None:
    first, serial = await carried(served, pockets.sink)
    second = await served.rich(10, "2")
    assert (await served.call("POST", f"/members/{first}/merge", {"into": second})).status == 201
    await later(served)
    shown = pockets.sink.shown[serial]
    assert (shown.member, shown.fields[0].text) == (second, "110")


async def test_a_shopper_gets_their_own_card(served: Any) -> None:
    member = await served.rich(100)
    headers = {"X-Secret": "sesame", "X-Customer": "1"}
    async with served.session.post(f"{served.address}/shopper/shop/card", headers=headers, json={}) as answer:
        body = await answer.json()
        assert (answer.status, body["member"]) == (200, member)
    assert (await served.call("GET", f"/members/{member}/card")).body["number"] == body["number"]
    async with served.session.post(f"{served.address}/shopper/shop/card", json={}) as answer:
        assert answer.status == 401


async def test_what_was_shown_is_forgotten_after_a_week(served: Any) -> None:
    member = await served.rich(100)
    card = (await served.call("POST", f"/members/{member}/card")).body
    setting = served.application.setting
    code = made_code(setting.sealer, "main", card["number"], served.clock.now())
    assert (await served.call("GET", f"/cards/{code}")).status == 200
    served.clock.advance(timedelta(days=6))
    await served.application.timer.tick()
    assert len(await served.read(select(card_moment))) == 1
    served.clock.advance(timedelta(days=2))
    await served.application.timer.tick()
    assert await served.read(select(card_moment)) == []
    assert (await served.call("GET", f"/cards/{code}")).body["code"] == "stale"


async def test_a_merged_member_has_saved_a_card_before(served: Any, pockets: Pockets) -> None:
    first, serial = await carried(served, pockets.sink)
    url = f"{served.address}/connections/pocket/v1/devices/d1/passes/{serial}"
    async with served.session.post(url, headers=PHONE) as answer:
        assert answer.status == 201
    await later(served)
    assert (await served.figures(first))[0] == 125
    second = await served.rich(10, "2")
    assert (await served.call("POST", f"/members/{first}/merge", {"into": second})).status == 201
    for method, status in (("DELETE", 200), ("POST", 201)):
        served.clock.advance(timedelta(minutes=1))
        async with served.session.request(method, url, headers=PHONE) as answer:
            assert answer.status == status
        await later(served)
    assert (await served.figures(second))[0] == 135


async def test_whoever_only_one_source_knew_is_erased_with_it_though_their_card_is_in_a_phone(
    served: Any, pockets: Pockets
) -> None:
    member, serial = await carried(served, pockets.sink, first_name="Ann")
    await served.apply(SourceErased(occurred_at=served.clock.now()))
    await later(served)
    (row,) = await served.read(select(member_table).where(member_table.c.id == member))
    assert (row.erased_at is not None, row.attributes_sealed) == (True, None)
    assert pockets.sink.ended == [serial]


async def test_whoever_keeps_another_merchants_books_is_offered_none_of_our_wallets(served: Any) -> None:
    elsewhere = await served.application.setting_for("other")
    assert (elsewhere.phones, elsewhere.crms, elsewhere.ways) == ({}, {}, {})


async def test_a_page_that_says_that_there_is_trouble_does_not_repeat_it_by_itself(served: Any) -> None:
    member = await served.rich(100)
    path = (
        (await served.call("POST", f"/members/{member}/card")).body["url"].removeprefix(served.application.public_url)
    )
    async with served.session.get(f"{served.address}{path}/nowhere", allow_redirects=False) as answer:
        assert (answer.status, answer.headers.get("Refresh")) == (503, None)
