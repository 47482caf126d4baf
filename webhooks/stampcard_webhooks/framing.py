"""The frame of pages for shoppers: plain HTML, no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from http import HTTPStatus
from typing import Literal
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from stampcard_webhooks.keys import APPLICATION
from stampcard_webhooks.problems import Refused

#: The largest form that is read, in bytes.
MOST = 16 * 1024
_FORM = "application/x-www-form-urlencoded"
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;margin:0;padding:1.5rem;color:#222;background:#fff}"
    "main{max-width:34rem;margin:auto}h1{font-size:1.1rem;font-weight:normal}"
    "button{display:block;width:100%;margin:.75rem 0;padding:1rem;font:inherit;text-align:start;"
    "border:1px solid #767676;border-radius:.5rem;background:#fafafa;color:inherit}"
    "button:disabled{color:#595959}small{display:block}"
    "code{font-size:1.4rem;user-select:all}"
    "label{display:block;padding:.5rem 0}fieldset{border:1px solid #767676;border-radius:.5rem;margin:.75rem 0}"
    "input,select,textarea{font:inherit}textarea,select{display:block;width:100%;box-sizing:border-box}"
    ".scores label{display:inline-block;padding:.5rem}"
)


def page(
    heading: str,
    body: str,
    status: int = HTTPStatus.OK,
    language: str = "en",
    direction: Literal["ltr", "rtl"] = "ltr",
) -> web.Response:
    """A page in these words."""
    text = (
        f'<!doctype html><html lang="{language}" dir="{direction}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(heading)}</title>'
        f'<style>{_STYLE}</style></head><body><main><h1 dir="auto">{escape(heading)}</h1>{body}</main></body></html>'
    )
    headers = {
        "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_style_hash()}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "X-Robots-Tag": "noindex",
    }
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)


def paragraph(text: str) -> str:
    """A text as a paragraph."""
    return f'<p dir="auto">{escape(text)}</p>'


def is_foreign(request: web.Request) -> bool:
    """Whether a browser says that another site sends this.

    It names no origin ("null") for our own page either, because that page tells nobody its address.
    """
    origin, public = request.headers.get(hdrs.ORIGIN, "null"), request.app[APPLICATION].public_url
    if origin != "null" and origin.partition("://")[2] not in {request.host, urlsplit(public).netloc}:
        return True
    return request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}


async def form_of(request: web.Request, most: int = MOST) -> dict[str, list[str]]:
    """The fields of a form; raises Refused for what is no form of ours."""
    if (request.content_length or 0) > most or request.content_type != _FORM:
        raise Refused(415, "not a form of this page")
    try:
        fields = await request.post()
    except ValueError:
        return {}
    return {name: [str(value) for value in fields.getall(name)] for name in fields}


@cache
def _style_hash() -> str:
    return base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
