"""The page on which the holder of a choice picks a reward: plain HTML, no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from html import escape
from http import HTTPStatus
from typing import Any

from aiohttp import hdrs, web
from sqlalchemy import Connection

from stampcard.applying.choosing import picked as picked_of
from stampcard.applying.unit import Unit
from stampcard.domain.rewards import Redemption
from stampcard.errors import StampcardError
from stampcard.storage.keys import ApiKey
from stampcard.storage.redemptions import find_code
from stampcard_webhooks.asking import Nothing, Query
from stampcard_webhooks.choosing import offered, picked
from stampcard_webhooks.identifying import READS, STRANGERS, WRITES
from stampcard_webhooks.keys import APPLICATION, IDENTIFYING
from stampcard_webhooks.problems import Refused
from stampcard_webhooks.redemptions import view_of
from stampcard_webhooks.rewards import StandingView
from stampcard_webhooks.routing import Call

PATH = "/choose/{token}"
#: The largest form that is read, in bytes; what is asked is one name.
MOST = 4096
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;margin:0;padding:1.5rem;color:#222;background:#fff}"
    "main{max-width:34rem;margin:auto}"
    "button{display:block;width:100%;margin:.75rem 0;padding:1rem;font:inherit;text-align:left;"
    "border:1px solid #767676;border-radius:.5rem;background:#fafafa;color:inherit}"
    "button:disabled{color:#595959}small{display:block}"
    "code{font-size:1.4rem;user-select:all}"
)


def add_pages(server: web.Application) -> None:
    """Add the page under /choose."""
    server.router.add_get(PATH, _paged(_show))
    server.router.add_post(PATH, _paged(_pick))


def _paged(handler: Any) -> Any:
    """The handler, its refusals told as pages too."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            answer: web.StreamResponse = await handler(request)
        except Refused as refused:
            answer = _page("Not now", f"<p>{escape(refused.detail)}</p>", refused.status)
            answer.headers.update(refused.headers or {})
        return answer

    return handle


async def _show(request: web.Request) -> web.Response:
    call, one = await _found(request, writes=False)
    return await _told(call, one)


async def _pick(request: web.Request) -> web.Response:
    call, one = await _found(request, writes=True)
    if (request.content_length or 0) > MOST:
        raise Refused(413, "that is no choice that this page offers")
    try:
        wanted = str((await request.post()).get("reward", ""))
    except ValueError:
        wanted = ""
    try:
        await picked(call, one.id, wanted)
    except StampcardError as error:
        return await _told(call, one, str(error))
    return web.Response(status=HTTPStatus.SEE_OTHER, headers={hdrs.LOCATION: request.rel_url.raw_path})


async def _found(request: web.Request, *, writes: bool) -> tuple[Call[Query, Nothing], Redemption]:
    """The choice whose code the link holds; raises Refused: 404 for a stranger, 429 for haste."""
    application, identifying = request.app[APPLICATION], request.app[IDENTIFYING]
    merchant, now = application.setting.merchant, application.clock.now()
    setting, code = await application.setting_for(merchant), request.match_info["token"]
    one = await application.database.read(lambda connection: find_code(connection, merchant, setting.sealer, code))
    if one is None or one.kind != "choice":
        identifying.pace("stranger", request.remote or "", STRANGERS)
        raise Refused(404, "This link leads nowhere: look whether all of it was copied.")
    identifying.pace("reads", one.member, READS)
    if writes:
        identifying.pace("writes", one.member, WRITES)
    call: Call[Query, Nothing] = Call(
        application=application,
        server=request.app,
        key=ApiKey(merchant=merchant, id="shopper", name="shopper", scopes=(), created_at=now),
        setting=setting,
        now=now,
        path=request.match_info,
        query=Query(),
        body=Nothing(),
        once=None,
    )
    return call, one


async def _told(call: Call[Query, Nothing], one: Redemption, problem: str = "") -> web.Response:
    """The page as things stand now: what was picked, else what can be."""

    def look(connection: Connection) -> Redemption | None:
        return picked_of(Unit(connection, call.setting, call.now), one)

    chosen = await call.read(look)
    if chosen is not None:
        return _chosen(call, chosen)
    title = one.voucher.title if one.voucher is not None else one.reward
    said = f'<p role="alert">{escape(problem)}</p>' if problem else ""
    try:
        rewards = await offered(call, one)
    except StampcardError as error:
        return _page(title, said or f"<p>{escape(str(error))}</p>", HTTPStatus.CONFLICT)
    buttons = "".join(_buttons(rewards)) or "<p>None of it can be had any more.</p>"
    form = f'{said}<p>Pick one. It cannot be exchanged later.</p><form method="post">{buttons}</form>'
    return _page(title, form, HTTPStatus.CONFLICT if problem else HTTPStatus.OK)


def _buttons(rewards: list[StandingView]) -> Iterator[str]:
    for one in rewards:
        off = "" if one.usable else " disabled"
        why = "" if one.usable else "; ".join(refusal.detail for refusal in one.refusals)
        more = "".join(f"<small>{escape(text)}</small>" for text in (one.description, why) if text)
        yield f'<button name="reward" value="{escape(one.reward)}"{off}>{escape(one.name)}{more}</button>'


def _chosen(call: Call[Query, Nothing], one: Redemption) -> web.Response:
    view = view_of(call, one)
    body = f"<p>You picked {escape(view.title)}: {escape(view.gives)}.</p>"
    if view.code and view.status == "issued":
        body += f"<p>Your code: <code>{escape(view.code)}</code></p>"
        body += f"<p>Valid until {view.valid_until:%Y-%m-%d %H:%M} UTC.</p>" if view.valid_until else ""
    elif view.status == "held":
        body += "<p>It is being prepared.</p>"
    elif view.status != "issued":
        body += f"<p>It is {escape(view.status)}.</p>"
    wait = view.status == "held" and view.by != "manual"
    return _page(view.title, body, HTTPStatus.OK, refresh=wait)


def _page(title: str, body: str, status: int, *, refresh: bool = False) -> web.Response:
    again = '<meta http-equiv="refresh" content="3">' if refresh else ""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width">{again}<title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
    headers = {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_style_hash()}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex",
    }
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)


@cache
def _style_hash() -> str:
    return base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
