"""The counter on a phone: a device is paired, somebody comes in by PIN, and what the buttons do is done once."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from html import unescape
from typing import Any

import aiohttp
import pytest
from tests.webhooks.test_choosing import Reader
from tests.webhooks.test_counters import PROGRAM

from stampcard.engine.codes import made_code
from stampcard.engine.tokens import new_pairing
from stampcard.program.templates import LANGUAGES, ready
from stampcard.storage import staffing
from stampcard.storage.exporting import export_member

TILL = "berlin-1"


def forms_of(text: str) -> list[tuple[str, dict[str, str], str]]:
    """The forms of a page: where each goes, its hidden fields, and its button."""
    found = []
    for action, body in re.findall(r'<form method="post" action="([^"]+)">(.*?)</form>', text, re.DOTALL):
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', body))
        button = re.findall(r"<button[^>]*>(.*?)</button>", body)[-1]
        found.append((action, {name: unescape(value) for name, value in hidden.items()}, unescape(button)))
    return found


class Phone:
    """A browser at the counter, which keeps cookies and follows where it is led."""

    def __init__(self, served: Any, session: aiohttp.ClientSession) -> None:
        self.served, self.session = served, session
        self.status, self.text, self.url = 0, "", ""
        self.cookies: list[str] = []

    async def _ask(self, method: str, path: str, form: dict[str, str] | None, headers: Mapping[str, str]) -> str:
        url = path if path.startswith("http") else self.served.address + path
        async with self.session.request(
            method, url, data=form, allow_redirects=True, headers={"Accept-Language": "en", **headers}
        ) as answer:
            self.status, self.text, self.url = answer.status, await answer.text(), str(answer.url)
            self.cookies += [
                value for one in (*answer.history, answer) for value in one.headers.getall("Set-Cookie", ())
            ]
        Reader(self.text)
        return self.text

    async def get(self, path: str, **headers: str) -> str:
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, form: dict[str, str], **headers: str) -> str:
        return await self._ask("POST", path, form, headers)

    def forms(self) -> list[tuple[str, dict[str, str], str]]:
        """The forms of the page."""
        return forms_of(self.text)

    async def press(self, button: str, **typed: str) -> str:
        """Fill a form and press its button."""
        action, hidden, _ = next(one for one in self.forms() if one[2].startswith(button))
        return await self.post(action, {**hidden, **typed})


@pytest.fixture
async def phone(api: Any) -> AsyncIterator[Phone]:
    """A device that nobody has paired."""
    await api.prepare(PROGRAM)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Phone(api, session)


async def paired(phone: Phone) -> str:
    """Make the phone one of a till's, and somebody who works there; answers their PIN."""
    application, now = phone.served.application, phone.served.clock.now()
    sealer = application.setting.sealer
    till = await application.database.write(lambda c: staffing.pair_till(c, "main", TILL, "Berlin", now))
    _, pin = await application.database.write(lambda c: staffing.add_worker(c, "main", sealer, "Dora", now))
    await phone.get(f"/counter/pair/{new_pairing(sealer, 'main', till.name, till.pairing, now)}")
    await phone.press("Yes, pair it")
    return str(pin)


async def at_work(phone: Phone) -> tuple[str, dict[str, Any]]:
    """The phone with an open shift, and a member with 25 points and a card."""
    await phone.press("Begin", pin=await paired(phone))
    member = await phone.served.rich(25, first_name="Ann", phone="+4930123456")
    return member, (await phone.served.call("POST", f"/members/{member}/card")).body


async def test_nobody_works_at_a_device_that_is_not_paired_or_without_a_pin(phone: Phone) -> None:
    for path in ("/counter", "/counter/card?visit=x", "/counter/done/x"):
        await phone.get(path)
        assert phone.status == 403
        assert "stampcard till pair" in phone.text
    await phone.post("/counter/pin", {"pin": "123456"})
    assert phone.status == 403
    await phone.get("/counter/pair/made-up")
    assert phone.status == 404

    pin = await paired(phone)
    assert "Your PIN" in phone.text
    await phone.press("Begin", pin="000000" if pin != "000000" else "111111")
    assert (phone.status, "nobody's PIN" in unescape(phone.text)) == (403, True)
    await phone.press("Begin", pin=pin)
    assert (phone.status, phone.url.removeprefix(phone.served.address)) == (200, "/counter")
    assert phone.cookies
    assert all("HttpOnly" in one and "SameSite=Lax" in one for one in phone.cookies)


async def test_pins_cannot_be_guessed_at_a_paired_device(phone: Phone) -> None:
    await paired(phone)
    tried = [(await phone.post("/counter/pin", {"pin": f"{n:06}"}), phone.status)[1] for n in range(8)]
    assert tried == [403] * 5 + [429] * 3


async def test_a_device_is_out_once_the_till_is_paired_anew_or_ended_and_a_shift_once_it_is_over(phone: Phone) -> None:
    await at_work(phone)
    database, now = phone.served.application.database, phone.served.clock.now()
    kept = [one for one in phone.session.cookie_jar if one.key == "stampcard_shift"]
    await phone.get("/counter")
    await phone.press("End the shift of Dora")
    phone.session.cookie_jar.update_cookies({"stampcard_shift": kept[0].value})
    await phone.get("/counter")
    assert "Your PIN" in phone.text, "a copied cookie is worth nothing"
    await phone.press("Begin", pin=(await phone.served.call("POST", "/staff/Dora/renew")).body["pin"])
    till = await database.write(lambda c: staffing.pair_till(c, "main", TILL, "", now))
    await phone.get("/counter")
    assert phone.status == 403
    sealer = phone.served.application.setting.sealer
    await phone.get(f"/counter/pair/{new_pairing(sealer, 'main', TILL, till.pairing, now)}")
    await phone.press("Yes, pair it")
    assert "Your PIN" in phone.text, "a shift ends with the pairing in which it began"


async def test_staff_who_left_are_out_at_once(phone: Phone) -> None:
    await at_work(phone)
    now = phone.served.clock.now()
    await phone.served.application.database.write(lambda c: staffing.end_worker(c, "main", "Dora", now))
    await phone.get("/counter")
    assert "Your PIN" in phone.text


async def test_a_sale_is_booked_once_undone_and_taken_back(phone: Phone) -> None:
    member, card = await at_work(phone)
    await phone.get("/counter")
    await phone.press("Go on", card=card["number"])
    assert "Ann" in phone.text
    before = phone.text
    await phone.press("Give points", amount="12,50")
    assert "Sale: 12.50, +12" in phone.text
    again = phone.url
    phone.text = before
    await phone.press("Give points", amount="12,50")
    assert (phone.url, (await phone.served.figures(member))[0]) == (again, 37), "pressed twice it is one sale"

    done = phone.text
    await phone.press("Undo")
    assert "Undone" in phone.text
    phone.text = done
    await phone.press("Undo")
    assert (await phone.served.figures(member))[0] == 25

    await phone.get("/counter")
    await phone.press("Go on", card=card["number"])
    await phone.press("Give points", amount="100")
    sale = phone.url
    phone.served.clock.advance(timedelta(minutes=3))
    await phone.get(sale)
    assert "Undo" not in phone.text
    await phone.press("Take the sale back", amount="40")
    assert "-40" in phone.text
    assert (await phone.served.figures(member))[0] == 85


async def test_a_reward_is_handed_out_from_the_code_that_the_camera_opened(phone: Phone) -> None:
    member, card = await at_work(phone)
    await phone.served.prepare(PROGRAM.replace("redeem: any", "redeem: fresh"))
    await phone.get("/counter")
    await phone.press("Go on", card=card["number"])
    assert "opened in the phone and scanned" in phone.text
    assert not [one for one in phone.forms() if one[2].startswith("Hand out")]

    setting = phone.served.application.setting
    code = made_code(setting.sealer, "main", card["number"], phone.served.clock.now())
    await phone.get(f"/k/{code}")
    assert "Ann" in phone.text
    shown = phone.url
    await phone.get(f"/k/{code}")
    assert (phone.status, "shown before" in phone.text) == (422, True)
    phone.served.clock.advance(timedelta(minutes=10))
    await phone.get(shown)
    await phone.press("Hand out: Free coffee")
    assert "Reward handed out: coffee, -10" in phone.text
    assert (await phone.served.figures(member))[0] == 15
    phone.served.clock.advance(timedelta(minutes=30))
    await phone.get(shown)
    assert (phone.status, "open for too long" in phone.text) == (422, True)


async def test_a_code_that_is_opened_elsewhere_does_nothing(phone: Phone) -> None:
    member = await phone.served.rich(25)
    card = (await phone.served.call("POST", f"/members/{member}/card")).body
    await phone.get(card["code"].replace("S", "/k/S", 1))
    assert (phone.status, "at the counter" in phone.text) == (200, True)
    assert member not in phone.text


async def test_a_walk_in_is_enrolled_and_goes_on_with_their_number(phone: Phone) -> None:
    await at_work(phone)
    await phone.get("/counter")
    await phone.press("New member", phone="0171 2345678")
    assert "no phone number" in phone.text
    await phone.get("/counter")
    await phone.press("New member", phone="+49 171 2345678", first_name="Cleo")
    await phone.press("Go on with this member")
    assert "Cleo" in phone.text
    await phone.press("Give points", amount="8")
    assert "+8" in phone.text


@pytest.mark.parametrize(
    ("typed", "said"), [("hello", "no card's code"), ("1234 5678 9012", "mistyped"), ("+4930000000", "Nobody has")]
)
async def test_what_is_no_card_says_so_in_the_pages_words(phone: Phone, typed: str, said: str) -> None:
    await at_work(phone)
    await phone.get("/counter")
    await phone.press("Go on", card=typed)
    assert (phone.status, said in unescape(phone.text)) == (422, True)


async def test_wrong_amounts_and_forms_of_other_sites_do_nothing(phone: Phone) -> None:
    member, card = await at_work(phone)
    await phone.get("/counter")
    await phone.press("Go on", card=card["number"])
    before = phone.text
    for amount in ("x", "-5", "1e400", "NaN", "1.234", "99999999999"):
        phone.text = before
        await phone.press("Give points", amount=amount)
        assert (phone.status, "such as 12.50" in phone.text) == (422, True), amount
    action, hidden, _ = next((a, h, b) for a, h, b in [*forms_of(before)] if b == "Give points")
    await phone.post(action, {**hidden, "amount": "5"}, Origin="https://evil.example")
    assert phone.status == 403
    await phone.post(action, {**hidden, "amount": "5", "visit": "made-up"})
    assert phone.status == 422
    assert (await phone.served.figures(member))[0] == 25


async def test_a_shift_lists_what_was_done_last(phone: Phone) -> None:
    _, card = await at_work(phone)
    for amount in ("5", "6"):
        await phone.get("/counter")
        await phone.press("Go on", card=card["number"])
        await phone.press("Give points", amount=amount)
        phone.served.clock.advance(timedelta(seconds=1))
    await phone.get("/counter")
    assert re.findall(r"Sale: (\d+)", phone.text) == ["6", "5"]
    listed = await phone.served.call("GET", "/counter/acts?status=done")
    assert {one["till"] for one in listed.body["items"]} == {TILL}
    assert len({one["staff"] for one in listed.body["items"]}) == 1


@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_page_is_whole_in_every_language(phone: Phone, language: str) -> None:
    words, speaks = ready(language)["counter"], {"Accept-Language": f"{language}-XX,en;q=0.5"}

    def whole(*said: str) -> None:
        assert f'lang="{language}"' in phone.text
        assert f'dir="{"rtl" if language == "ar" else "ltr"}"' in phone.text
        for one in said:
            assert words[one].partition("{")[0] in unescape(phone.text), one
        assert re.findall(r"\{\w+\}|\w+_\w+</", phone.text) == [], "a word that was not filled in, or has no text"

    async def press(button: str, **typed: str) -> None:
        action, hidden, _ = next(one for one in phone.forms() if one[2].startswith(words[button].partition("{")[0]))
        await phone.post(action, {**hidden, **typed}, **speaks)

    await phone.get("/counter", **speaks)
    whole("not_paired", "how_to_pair")
    pin = await paired(phone)
    await phone.get("/counter", **speaks)
    whole("pin", "begin")
    await press("begin", pin="0" if pin != "0" else "1")
    whole("wrong_pin")
    await press("begin", pin=pin)
    whole("card", "card_hint", "look", "enrol", "phone", "first_name", "leave")
    await press("enrol", phone="+49 171 2345678", first_name="Bo")
    whole("done", "kind_enrol", "go_on", "next")
    member = await phone.served.rich(25, first_name="Ann")
    card = (await phone.served.call("POST", f"/members/{member}/card")).body
    await phone.get("/counter", **speaks)
    await press("look", card=card["number"])
    whole("amount", "earn", "rewards", "missing")
    assert card["number"] not in phone.text
    await press("earn", amount="a lot")
    whole("why_no_amount")
    await press("earn", amount="12")
    whole("done", "kind_earn", "undo", "undo_for")
    sold = phone.url
    await phone.get("/counter", **speaks)
    whole("last", "kind_earn")
    phone.served.clock.advance(timedelta(minutes=3))
    await phone.get(sold, **speaks)
    whole("amount_back", "return")


async def test_ending_a_shift_and_beginning_another_gives_no_second_measure(phone: Phone) -> None:
    pin = await paired(phone)
    member = await phone.served.rich(25, first_name="Ann")
    card = (await phone.served.call("POST", f"/members/{member}/card")).body
    await phone.served.prepare(PROGRAM + "counter: {points: 50}\n")
    for said in ("Done.", "more than one shift"):
        await phone.get("/counter")
        await phone.press("Begin", pin=pin)
        await phone.press("Go on", card=card["number"])
        await phone.press("Give points", amount="50")
        assert said in unescape(phone.text)
        await phone.get("/counter")
        await phone.press("End the shift")
    assert (await phone.served.figures(member))[0] == 75


async def test_a_new_pin_ends_what_was_begun_by_the_old_one(phone: Phone) -> None:
    await at_work(phone)
    await phone.served.call("POST", "/staff/Dora/renew")
    await phone.get("/counter")
    assert "Your PIN" in phone.text


async def test_a_page_of_before_that_is_filled_in_anew_says_that_it_was_done(phone: Phone) -> None:
    member, card = await at_work(phone)
    await phone.get("/counter")
    await phone.press("Go on", card=card["number"])
    before = phone.text
    await phone.press("Give points", amount="12")
    phone.served.clock.advance(timedelta(seconds=2))
    phone.text = before
    await phone.press("Give points", amount="12")
    assert (phone.status, "Done." in phone.text) == (200, True), "pressed twice it is one"
    phone.text = before
    await phone.press("Give points", amount="99")
    assert (phone.status, "done from this page already" in phone.text) == (409, True)
    assert (await phone.served.figures(member))[0] == 37


async def test_points_are_shown_with_their_wallets_decimals(phone: Phone) -> None:
    _, card = await at_work(phone)
    await phone.served.prepare(
        PROGRAM.replace("{refunds: {policy: unlimited}}}", "{refunds: {policy: unlimited}}, cash: {scale: 2}}")
        .replace("1 per 1 EUR}", "1 per 1 EUR, wallet: cash}")
        .replace("price", "wallet: points, price")
    )
    await phone.get("/counter")
    await phone.press("Go on", card=card["number"])
    await phone.press("Give points", amount="12,50")
    assert "+12.50 cash" in phone.text


async def test_a_mistyped_amount_keeps_whoever_stands_there(phone: Phone) -> None:
    member, card = await at_work(phone)
    await phone.get("/counter")
    await phone.press("Go on", card=card["number"])
    await phone.press("Give points", amount="12x")
    assert (phone.status, "Ann" in phone.text) == (422, True)
    await phone.press("Give points", amount="12")
    assert (await phone.served.figures(member))[0] == 37


async def test_addresses_and_forms_of_odd_letters_are_told_so(phone: Phone) -> None:
    await at_work(phone)
    await phone.get("/counter/done/%00")
    assert phone.status == 404
    for body, kind in (
        ("card=%ED%A0%80", "utf-8"),
        ("card=x", "utf-7"),
        ("card=\\ud800", "unicode_escape"),
        ("x", "no"),
    ):
        url = phone.served.address + "/counter/card"
        headers = {"Content-Type": f"application/x-www-form-urlencoded; charset={kind}"}
        async with phone.session.post(url, data=body.encode(), headers=headers) as answer:
            assert answer.status < 500, kind


async def test_what_a_paired_device_keeps_pairs_no_other(phone: Phone) -> None:
    await paired(phone)
    (kept,) = [one.value for one in phone.session.cookie_jar if one.key == "stampcard_till"]
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        other = Phone(phone.served, session)
        await other.get(f"/counter/pair/{kept}")
        assert other.status == 404


@pytest.mark.parametrize(
    ("typed", "amount"),
    [("12", "12"), ("12,50", "12.50"), (" 12.5 ", "12.5"), ("1,000", ""), ("1.000", ""), ("1.000,00", ""), ("1_0", ""),
     ("1e3", ""), ("-1", ""), ("٣", "")],
)  # fmt: skip
async def test_an_amount_that_could_be_two_is_asked_for_again(phone: Phone, typed: str, amount: str) -> None:
    _, card = await at_work(phone)
    await phone.press("Go on", card=card["number"])
    await phone.press("Give points", amount=typed)
    assert phone.status == (200 if amount else 422)
    assert (f"Sale: {amount}," in unescape(phone.text)) == bool(amount)


async def test_the_next_shift_presses_a_button_that_the_last_one_pressed(phone: Phone) -> None:
    _, card = await at_work(phone)
    await phone.press("Go on", card=card["number"])
    await phone.press("Give points", amount="12")
    sold = phone.text
    await phone.press("Undo")
    assert "Done" in phone.text
    await phone.get("/counter")
    await phone.press("End the shift of Dora")
    now, sealer = phone.served.clock.now(), phone.served.application.setting.sealer
    _, pin = await phone.served.application.database.write(lambda c: staffing.add_worker(c, "main", sealer, "Sam", now))
    await phone.press("Begin", pin=pin)
    phone.text = sold
    await phone.press("Undo")
    assert (phone.status, "Done" in phone.text, "points -12" in unescape(phone.text).replace("-12 points", "points -12")) == (
        200, True, True,
    )  # fmt: skip


async def test_a_day_of_shifts_is_a_day_where_the_shop_is(phone: Phone) -> None:
    pin, member = await paired(phone), await phone.served.rich(25, first_name="Ann")
    card = (await phone.served.call("POST", f"/members/{member}/card")).body
    text = PROGRAM.replace("Europe/Berlin", "America/Los_Angeles") + "counter: {points: 50}\n"
    await phone.served.prepare(text)
    now = phone.served.clock.now()
    # Five before midnight by UTC is the afternoon there: the same day, after ten minutes as well; nine hours later it is not.
    phone.served.clock.advance(now.replace(hour=23, minute=55) - now)
    for wait, given in ((timedelta(minutes=10), True), (timedelta(hours=9), False), (timedelta(minutes=10), True)):
        await phone.get("/counter")
        await phone.press("Begin", pin=pin)
        await phone.press("Go on", card=card["number"])
        await phone.press("Give points", amount="50")
        assert ("Done" in phone.text) == given
        await phone.get("/counter")
        await phone.press("End the shift of Dora")
        phone.served.clock.advance(wait)


@pytest.mark.parametrize("for_shopper", [False, True])
async def test_what_is_exported_of_a_member_opens_no_shift(phone: Phone, for_shopper: bool) -> None:
    member, card = await at_work(phone)
    await phone.press("Go on", card=card["number"])
    await phone.press("Give points", amount="12")
    (shift,) = [one.value for one in phone.session.cookie_jar if one.key == "stampcard_shift"]
    sealer = phone.served.application.setting.sealer
    told = await phone.served.application.database.read(
        lambda c: export_member(c, "main", sealer, member, for_shopper=for_shopper)
    )
    (act,) = told["act"]
    assert shift not in repr(told)
    assert act["body"]["act"]["amount"] == "12"
    assert (
        act["shift"]
        == act["body"]["act"]["shift"]
        == staffing.shown_shift(shift, act["body"]["act"].get("staff", "w_0123456789ab"))
    )
    assert "body_hash" not in act
    assert [name in act["body"]["act"] for name in ("staff", "scan")] == [not for_shopper] * 2
