"""The counter on a phone: PIN, scan or type a card, sell, hand out, undo. Plain pages; the camera opens what a card says."""

from __future__ import annotations

import re
import secrets
from decimal import Decimal
from html import escape
from urllib.parse import quote

from aiohttp import web

from stampcard.applying.passes import SCANNED
from stampcard.applying.recognising import TAKING, Shown, recognise
from stampcard.applying.requests import Answer
from stampcard.applying.selling import EXISTS
from stampcard.applying.unit import Unit
from stampcard.clock import to_micros
from stampcard.domain.tills import ACT_KINDS, Act, Booked
from stampcard.domain.value import Value
from stampcard.engine.tokens import opened, sealed
from stampcard.errors import RequestRefused
from stampcard.storage import tills
from stampcard.storage.reading import scale_of
from stampcard.storage.tills import ActKey
from stampcard_webhooks.booking import carry_out
from stampcard_webhooks.counters import MONEY, ShownView, shown_view
from stampcard_webhooks.framing import alert, paragraph
from stampcard_webhooks.pairing import PLACE, Device, add_pairing, button_form, entrance, led, paged
from stampcard_webhooks.problems import Refused

#: Acts of a shift that are listed.
_LISTED = 10
_ABOUT = b"counter visit"


class _Visit(Value, frozen=True, array_like=True):
    """A card that was shown: by what, under which name of the scanning, and until when it counts (microseconds)."""

    card: str
    scan: str
    until: int


def add_counter(server: web.Application) -> None:
    """Add the pages."""
    add_pairing(server)
    for path, handler, works in (
        (PLACE, _home, True),
        (f"{PLACE}/card", _card, True),
        (f"{PLACE}/done/{{id}}", _done, True),
        (f"{SCANNED}{{code}}", _scanned, False),
    ):
        server.router.add_route("GET", path, paged(handler, works=works))
    server.router.add_post(f"{PLACE}/card", paged(_look))
    server.router.add_post(f"{PLACE}/act", paged(_act))


async def _home(device: Device) -> web.StreamResponse:
    return device.page(await _home_body(device))


async def _home_body(device: Device, trouble: str = "") -> str:
    words, worker = device.words, device.worker
    assert worker is not None
    card = (
        f'<label dir="auto">{escape(words["card"])} <input name="card" autocomplete="off" required autofocus dir="ltr">'
        f"<small>{escape(words['card_hint'])}</small></label>"
    )
    new = "".join(
        f'<label dir="auto">{escape(words[name])} <input name="{name}" {more}></label>'
        for name, more in (("phone", 'type="tel" required dir="ltr"'), ("first_name", 'autocomplete="off"'))
    )
    enrol = f"<h2>{escape(words['enrol'])}</h2>" + button_form("act", new, words["enrol"], kind="enrol", id=_new_id())
    said = alert(trouble) if trouble else ""
    listed = await _listed(device)
    leave = button_form("leave", "", words["leave"].format(name=worker.name))
    return f"{said}{button_form('card', card, words['look'])}{enrol}{listed}{leave}"


def _new_id() -> str:
    return f"p-{secrets.token_hex(12)}"


async def _listed(device: Device) -> str:
    """What was done in this shift last, each with what takes it back."""
    assert device.till is not None
    assert device.shift is not None
    wanted = {"till": device.till.name, "shift": device.shift.name}
    found = await device.application.database.read(
        lambda connection: tills.acts_before(
            connection, device.setting.merchant, device.setting.sealer, wanted, None, _LISTED
        )
    )
    items = "".join(
        f'<li><a href="{PLACE}/done/{quote(one.act.id)}" dir="auto">{escape(_told(device, one))}</a></li>'
        for one in found
    )
    return f"<h2>{escape(device.words['last'])}</h2><ul>{items}</ul>" if items else ""


def _told(device: Device, one: Booked) -> str:
    """One act in words."""
    words, act = device.words, one.act
    what = words[f"kind_{act.kind}"]
    more = [f"{act.amount:f}"] if act.amount is not None else []
    more += [act.reward] if act.reward else []
    for name, n in one.points.items():
        more.append(f"{'+' if n > 0 else ''}{_amount(n, scale_of(device.setting.programs, name))} {name}")
    more += [words[f"status_{one.status}"]] if one.status != "done" else []
    return f"{what}: {', '.join(more)}" if more else what


async def _look(device: Device) -> web.StreamResponse:
    """Recognise what was scanned or typed."""
    return await _recognised(device, device.given("card"))


async def _scanned(device: Device) -> web.StreamResponse:
    """A camera opened what a card says: at a till it is recognised, anywhere else nothing happens."""
    if device.worker is None:
        if device.till is not None:
            return entrance(device)
        return device.page(paragraph(device.words["show_it"]))
    return await _recognised(device, device.request.match_info["code"])


async def _recognised(device: Device, card: str) -> web.StreamResponse:
    scan = secrets.token_hex(16)

    def work(unit: Unit) -> Answer:
        recognise(unit.connection, unit.setting, card, scan, device.now, unit.now)
        return Answer(status=200, body={})

    try:
        await device.call.write(work)
    except RequestRefused as refused:
        return device.page(await _home_body(device, _reason(device, refused.code, str(refused))), 422)
    return led(f"{PLACE}/card?visit={_written(device, card, scan)}")


def _reason(device: Device, code: str, detail: str) -> str:
    """Why something was not done, in the page's language where it has words for it."""
    return device.words.get(f"why_{code}", detail)


def _written(device: Device, card: str, scan: str) -> str:
    visit = _Visit(card=card, scan=scan, until=to_micros(device.now + TAKING))
    return sealed(device.setting.sealer, visit, _ABOUT)


def _visit(device: Device, text: str) -> _Visit | None:
    return opened(device.setting.sealer, text, _ABOUT, _Visit, device.now)


async def _card(device: Device) -> web.StreamResponse:
    """Whoever stands there, and what can be done for them."""
    written = device.request.query.get("visit", "")
    visit = _visit(device, written)
    if visit is None:
        return device.page(await _home_body(device, device.words["over"]), 422)
    try:
        shown = await _shown(device, visit)
    except RequestRefused as refused:
        return device.page(await _home_body(device, _reason(device, refused.code, str(refused))), 422)
    return device.page(_member(device, shown, written))


async def _asked_again(device: Device, trouble: str) -> web.StreamResponse:
    """The page on which something was mistyped, with what is wrong: whoever stands there need not be scanned anew."""
    written = device.given("visit")
    visit = _visit(device, written)
    try:
        body = _member(device, await _shown(device, visit), written) if visit is not None else await _home_body(device)
    except RequestRefused:
        body = await _home_body(device)
    return device.page(alert(trouble) + body, 422)


async def _shown(device: Device, visit: _Visit) -> ShownView:
    call, found = device.call, list[Shown]()

    def work(unit: Unit) -> Answer:
        found.append(recognise(unit.connection, unit.setting, visit.card, visit.scan, device.now, unit.now))
        return Answer(status=200, body={})

    await call.write(work)
    return await shown_view(call, found[-1])


def _member(device: Device, shown: ShownView, visit: str) -> str:
    words = device.words
    name = shown.first_name or words["member"]
    points = " · ".join(f"{_amount(one.active, one.scale)} {wallet}" for wallet, one in shown.balances.items())
    tier = " · ".join(shown.tiers.values())
    lines = "".join(f'<p dir="auto">{escape(one)}</p>' for one in (name, points, tier) if one)
    if shown.held:
        return lines + alert(words["on_hold"]) + _back(device)
    sale = (
        f'<label dir="auto">{escape(words["amount"])} <input name="amount" inputmode="decimal" required autofocus '
        f'autocomplete="off" dir="ltr"></label>'
    )
    earn = button_form("act", sale, words["earn"], kind="earn", id=_new_id(), visit=visit)
    return lines + earn + _rewards(device, shown, visit) + _back(device)


def _rewards(device: Device, shown: ShownView, visit: str) -> str:
    """What the member holds and can have, each as a button; what is lacking is said."""
    words = device.words
    if not shown.may_redeem:
        return paragraph(words["scan_for_rewards"])
    held = "".join(
        button_form("act", "", f"{words['use']}: {one.title}", kind="use", id=_new_id(), redemption=one.id, visit=visit)
        for one in shown.holds
        if one.kind != "choice"  # that is picked on its own page
    )
    usable = "".join(
        button_form("act", "", f"{words['redeem']}: {one.name} ({_amount(one.price or 0, one.scale)})", kind="redeem",
              id=_new_id(), reward=one.reward, program=one.program, visit=visit)
        for one in shown.rewards if one.usable and one.kind != "choice"
    )  # fmt: skip
    lacking = "".join(
        f'<li dir="auto">{escape(one.name)}: {escape(words["missing"].format(points=_amount(one.missing, one.scale)))}</li>'
        for one in shown.rewards
        if one.missing and not one.usable
    )
    return f"<h2>{escape(words['rewards'])}</h2>{held}{usable}" + (f"<ul>{lacking}</ul>" if lacking else "")


def _amount(points: int, scale: int) -> str:
    return f"{Decimal(points).scaleb(-scale):f}" if scale else str(points)


def _back(device: Device) -> str:
    return f'<p><a class="button" href="{PLACE}" dir="auto">{escape(device.words["next"])}</a></p>'


async def _act(device: Device) -> web.StreamResponse:
    """Do it, once, however often the button is pressed."""
    try:
        act = _act_of(device)
    except RequestRefused as refused:
        return await _asked_again(device, _reason(device, refused.code, str(refused)))
    booked = await carry_out(device.call, act)
    if booked.code == EXISTS and act.kind != "undo":  # a page of before that was filled in anew
        return device.page(await _home_body(device, _reason(device, booked.code, booked.detail)), 409)
    return led(f"{PLACE}/done/{quote(act.id)}")


def _act_of(device: Device) -> Act:
    """The act that a form asks for; raises RequestRefused for what is no such form."""
    assert device.till is not None
    assert device.shift is not None
    assert device.worker is not None
    kind, id_, of = device.given("kind"), device.given("id"), device.given("of")
    known = next((one for one in ACT_KINDS if one == kind), None)
    visit = _visit(device, device.given("visit")) if known in {"earn", "redeem", "use"} else None
    if known is None or (known in {"earn", "redeem", "use"} and visit is None):
        raise RequestRefused("over", device.words["over"])
    # What takes back has its name from what it takes back: pressed twice it is one.
    name = id_ if not of else f"{known}-{of}" if known == "undo" else id_
    if not name or len(name) > 100:  # noqa: PLR2004 - as the API has it
        raise RequestRefused("over", device.words["over"])
    return Act(
        till=device.till.name,
        id=name,
        kind=known,
        at=device.now,
        timed=False,
        shift=device.shift.name,
        staff=device.worker.id,
        card=visit.card if visit is not None else "",
        scan=visit.scan if visit is not None else "",
        amount=_money(device),
        of=of,
        language=device.language if known == "enrol" else "",
        reward=device.given("reward"),
        program=device.given("program"),
        redemption=device.given("redemption"),
        phone=device.given("phone"),
        first_name=device.given("first_name")[:100],
    )


def _money(device: Device) -> Decimal | None:
    """What was typed, with a comma or a point before the cents; raises RequestRefused for what is no amount."""
    text = device.given("amount").strip().replace(",", ".")
    if not text:
        return None
    if re.fullmatch(MONEY, text) is None:
        raise RequestRefused("no_amount", device.words["why_no_amount"])
    return Decimal(text)


async def _done(device: Device) -> web.StreamResponse:
    """What became of an act, and what takes it back."""
    assert device.till is not None
    key = ActKey(device.till.name, device.request.match_info["id"])
    booked = await device.application.database.read(
        lambda connection: tills.find_act(connection, device.setting.merchant, device.setting.sealer, key)
    )
    if booked is None:
        raise Refused(404, "there is no such act")
    words = device.words
    if booked.status != "done":
        why = _reason(device, booked.code, booked.detail) if booked.code else ""
        said = alert(f"{words[f'status_{booked.status}']} {why}".strip())
        return device.page(f"{paragraph(words[f'kind_{booked.act.kind}'])}{said}{_back(device)}")
    said = f'<p role="status" dir="auto">{escape(words["done"])} {escape(_told(device, booked))}</p>'
    return device.page(said + _taking_back(device, booked) + await _welcome(device, booked) + _back(device))


async def _welcome(device: Device, booked: Booked) -> str:
    """The way on to somebody who has just become a member."""
    if booked.act.kind != "enrol":
        return ""
    card = f'<input type="hidden" name="card" value="{escape(booked.act.phone)}">' if booked.act.phone else ""
    return button_form("card", card, device.words["go_on"]) if card else ""


def _taking_back(device: Device, booked: Booked) -> str:
    """Buttons for what was a mistake, as long as that can be undone, and for a sale that comes back."""
    words, act = device.words, booked.act
    if act.kind not in {"earn", "redeem", "use"}:
        return ""
    live = next(iter(device.setting.programs.current(device.now)), None)
    undo = live.program.counter.undo if live is not None else None
    if undo is not None and device.now - act.at <= undo:
        until = act.at + undo
        left = max(0, int((until - device.now).total_seconds()))
        return button_form(
            "act", paragraph(words["undo_for"].format(seconds=left)), words["undo"], kind="undo", of=act.id
        )
    if act.kind != "earn":
        return ""
    amount = (
        f'<label dir="auto">{escape(words["amount_back"])} <input name="amount" inputmode="decimal" '
        f'autocomplete="off" dir="ltr"></label>'
    )
    return button_form("act", amount, words["return"], kind="return", of=act.id, id=_new_id())
