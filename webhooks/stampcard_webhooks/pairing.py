"""Devices at the counter: paired with a till by a link, and worked on by whoever has a PIN, shift by shift."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from html import escape
from http import HTTPStatus

from aiohttp import hdrs, web
from sqlalchemy import Connection

from stampcard.app import Application
from stampcard.applying.setting import Setting
from stampcard.engine.tokens import DEVICES, Pairing, new_pairing, opened_pairing
from stampcard.plugin.rates import Rate
from stampcard.program.templates import LANGUAGES, ready
from stampcard.program.texts import direction_of
from stampcard.storage import staffing
from stampcard.storage.staffing import Shift, Till, Worker
from stampcard_webhooks.asking import Nothing, Query
from stampcard_webhooks.framing import alert, form_of, is_foreign, page, paragraph
from stampcard_webhooks.identifying import STRANGERS
from stampcard_webhooks.keys import APPLICATION, IDENTIFYING
from stampcard_webhooks.mine import asked_of
from stampcard_webhooks.problems import Refused, told
from stampcard_webhooks.routing import Call, call_of

PLACE = "/counter"
#: What devices keep: of which till they are, and which shift is open on them.
DEVICE, OPEN = "stampcard_till", "stampcard_shift"
#: PINs that may be tried at one till.
PINS = Rate(per_second=1 / 30, burst=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device that asks: which till it is of, and who works there now, if anybody does."""

    request: web.Request
    application: Application
    setting: Setting
    now: datetime
    language: str
    till: Till | None = None
    shift: Shift | None = None
    worker: Worker | None = None
    form: Mapping[str, list[str]] = field(default_factory=dict)

    @property
    def words(self) -> Mapping[str, str]:
        """All words of the page."""
        return ready(self.language)["counter"]

    def given(self, name: str) -> str:
        """What was typed or chosen."""
        return next(iter(self.form.get(name, ())), "").strip()

    def page(self, body: str, status: int = HTTPStatus.OK) -> web.Response:
        """The page under the till's name."""
        heading = self.till.name if self.till is not None else self.words["title"]
        return page(heading, body, status, self.language, direction_of(self.language))

    @property
    def call(self) -> Call[Query, Nothing]:
        """A call in the name of whoever works here."""
        who = self.worker.name if self.worker is not None else "counter"
        return call_of(self.request, self.setting, who, self.now, scopes=("counter",))


Handler = Callable[[Device], Awaitable[web.StreamResponse]]


def add_pairing(server: web.Application) -> None:
    """Add the pages by which a device comes to a till, and people to their shift."""
    server.router.add_route("GET", f"{PLACE}/pair/{{token}}", paged(_ask_to_pair, works=False))
    server.router.add_post(f"{PLACE}/pair/{{token}}", paged(_pair, works=False))
    server.router.add_post(f"{PLACE}/pin", paged(_enter, works=False))
    server.router.add_post(f"{PLACE}/leave", paged(_leave))


def paged(handler: Handler, *, works: bool = True) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler with the device that asks; `works`: somebody must be at work there."""

    async def answer(request: web.Request) -> web.StreamResponse:
        device = await _device(request)
        try:
            _check_path(request)
            if request.method == "POST":
                device = replace(device, form=await _sent(request))
            if works and device.worker is None:
                return entrance(device)
            return await handler(device)
        except Refused as refused:
            response = device.page(alert(device.words["haste" if refused.status == 429 else "wrong"]), refused.status)  # noqa: PLR2004 - HTTP's own
            response.headers.update(refused.headers or {})
            return response

    return told(answer)


def _check_path(request: web.Request) -> None:
    if any("\x00" in part for part in request.match_info.values()):
        raise Refused(404, "there is nothing of this name")


async def _sent(request: web.Request) -> dict[str, list[str]]:
    if is_foreign(request):
        raise Refused(403, "the form of another site")
    return await form_of(request)


async def _device(request: web.Request) -> Device:
    application = request.app[APPLICATION]
    setting, now = application.setting, application.clock.now()
    pairing = opened_pairing(setting.sealer, request.cookies.get(DEVICE, ""), now, DEVICES)
    name = request.cookies.get(OPEN, "")

    def work(connection: Connection) -> tuple[Till | None, Shift | None, Worker | None]:
        if pairing is None or pairing.merchant != setting.merchant:
            return None, None, None
        till = staffing.find_till(connection, setting.merchant, pairing.till)
        if till is None or till.ended_at is not None or till.pairing != pairing.number:
            return None, None, None
        found = staffing.find_shift(connection, setting.merchant, till.name, name) if name else None
        return (till, *found) if found is not None else (till, None, None)

    till, shift, worker = await application.database.read(work) if pairing is not None else (None, None, None)
    return Device(
        request=request, application=application, setting=setting, now=now, language=_language(request),
        till=till, shift=shift, worker=worker,
    )  # fmt: skip


def _language(request: web.Request) -> str:
    """The first language that the browser asks for and the pages have."""
    return next((one for one in asked_of(request) if one in LANGUAGES), "en")


def entrance(device: Device) -> web.Response:
    """Where people come in: by their PIN, at a device that is one of a till's."""
    words = device.words
    if device.till is None:
        return device.page(paragraph(words["not_paired"]) + paragraph(words["how_to_pair"]), HTTPStatus.FORBIDDEN)
    return device.page(_pin_form(device))


def _pin_form(device: Device, trouble: str = "") -> str:
    words, told_ = device.words, ' aria-describedby="trouble"' if trouble else ""
    said = f'<div id="trouble">{alert(trouble)}</div>' if trouble else ""
    field_ = (
        f'<label dir="auto">{escape(words["pin"])} <input name="pin" type="password" inputmode="numeric" '
        f'autocomplete="off" required autofocus{told_}></label>'
    )
    return button_form("pin", said + field_, words["begin"])


def button_form(where: str, body: str, button: str, **hidden: str) -> str:
    """A form of the counter with one button."""
    fields = "".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in hidden.items())
    return f'<form method="post" action="{PLACE}/{where}">{fields}{body}<button dir="auto">{escape(button)}</button></form>'


async def _ask_to_pair(device: Device) -> web.StreamResponse:
    pairing = await _pairing(device)
    words, path = device.words, device.request.path
    asked = paragraph(words["pair_asks"].format(till=pairing.till))
    return device.page(
        f'{asked}<form method="post" action="{escape(path)}"><button dir="auto">{escape(words["pair_does"])}</button></form>'
    )


async def _pairing(device: Device) -> Pairing:
    """What the link says; raises Refused for one that counts no more."""
    found = opened_pairing(device.setting.sealer, device.request.match_info["token"], device.now)
    till = (
        await device.application.database.read(
            lambda connection: staffing.find_till(connection, device.setting.merchant, found.till)
        )
        if found is not None and found.merchant == device.setting.merchant
        else None
    )
    if found is None or till is None or till.ended_at is not None or till.pairing != found.number:
        device.request.app[IDENTIFYING].pace_visitor("stranger", device.request, STRANGERS)
        raise Refused(404, "the link pairs nothing")
    return found


async def _pair(device: Device) -> web.StreamResponse:
    found = await _pairing(device)
    token = new_pairing(device.setting.sealer, found.merchant, found.till, found.number, device.now, DEVICES)
    answer = led(PLACE)
    _keep(device, answer, DEVICE, token, DEVICES.lives)
    return answer


def _keep(device: Device, answer: web.Response, name: str, value: str, lives: timedelta | None) -> None:
    """Let the device keep something that no script and no other site gets to see."""
    answer.set_cookie(
        name, value, max_age=int(lives.total_seconds()) if lives is not None else None, httponly=True,
        # Lax, not Strict: a camera that opens the link of a card comes from another place.
        secure=device.application.public_url.startswith("https:"), samesite="Lax", path="/",
    )  # fmt: skip


def led(where: str) -> web.Response:
    """The way on after a form."""
    return web.Response(status=303, headers={hdrs.LOCATION: where, "Referrer-Policy": "no-referrer"})


async def _enter(device: Device) -> web.StreamResponse:
    """Begin a shift."""
    if device.till is None:
        return entrance(device)
    name, merchant = device.till.name, device.setting.merchant
    device.request.app[IDENTIFYING].pace("pins", f"{merchant}:{name}", PINS)
    pin = device.given("pin")

    known = device.till

    def work(connection: Connection) -> str | None:
        if staffing.find_till(connection, merchant, name, lock=True) != known:
            return None  # it was paired anew, or ended, meanwhile
        worker = staffing.worker_of(connection, merchant, device.setting.sealer, pin, lock=True)
        return None if worker is None else staffing.open_shift(connection, merchant, name, worker, device.now)

    shift = await device.application.database.write(work)
    if shift is None:
        return device.page(_pin_form(device, device.words["wrong_pin"]), HTTPStatus.FORBIDDEN)
    answer = led(PLACE)
    _keep(device, answer, OPEN, shift, None)
    return answer


async def _leave(device: Device) -> web.StreamResponse:
    assert device.till is not None
    assert device.shift is not None
    till, name = device.till.name, device.shift.name
    await device.application.database.write(
        lambda connection: staffing.close_shift(connection, device.setting.merchant, till, name, device.now)
    )
    answer = led(PLACE)
    answer.del_cookie(OPEN, path="/")
    return answer
