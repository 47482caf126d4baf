"""The frame of pages for shoppers: plain HTML, no script, nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Iterable
from email.parser import BytesParser
from functools import cache
from html import escape
from http import HTTPStatus
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

import segno
from aiohttp import hdrs, web

from stampcard_webhooks.keys import APPLICATION
from stampcard_webhooks.problems import Refused

#: The largest form that is read, in bytes.
MOST = 16 * 1024
#: How a form is written: as pages send it, and as mail programs mostly do (RFC 8058).
FORM, PARTS = "application/x-www-form-urlencoded", "multipart/form-data"
_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;margin:0;padding:1.5rem;color:#222;background:#fff}"
    "main{max-width:34rem;margin:auto}h1{font-size:1.1rem;font-weight:normal}"
    "button{display:block;width:100%;margin:.75rem 0;padding:1rem;font:inherit;text-align:start;"
    "border:1px solid #767676;border-radius:.5rem;background:#fafafa;color:inherit}"
    "button:disabled{color:#595959}small{display:block}"
    "code{font-size:1.4rem;user-select:all}"
    "label{display:block;padding:.5rem 0}fieldset{border:1px solid #767676;border-radius:.5rem;margin:.75rem 0}"
    "input,select,textarea{font:inherit}textarea,select,.wide{display:block;width:100%;box-sizing:border-box}"
    ".wide{padding:.5rem;border:1px solid #767676;border-radius:.25rem}"
    ".scores label{display:inline-block;padding:.5rem}"
    "legend h2{margin:0;font-size:1.1rem}"
    ".code{max-width:18rem;margin:1rem auto}dt{color:#595959}dd{margin:0 0 .5rem;font-size:1.4rem}"
    ".button{display:block;padding:1rem;border:1px solid #767676;border-radius:.5rem;color:inherit;text-decoration:none}"
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


def alert(text: str) -> str:
    """A paragraph that says what went wrong, and is read out at once."""
    return f'<p role="alert" dir="auto">{escape(text)}</p>'


def drawing(code: str, label: str) -> str:
    """A code as a picture that a scanner reads from a screen; `label` is read out for it."""
    svg = segno.make(code, error="m", micro=False).svg_inline(scale=6, border=4, omitsize=True, light="#fff")
    return f'<div class="code" role="img" aria-label="{escape(label)}">{svg}</div>'


def is_foreign(request: web.Request) -> bool:
    """Whether a browser says that another site sends this.

    It names no origin ("null") for our own page either, because that page tells nobody its address.
    """
    origin, public = request.headers.get(hdrs.ORIGIN, "null"), request.app[APPLICATION].public_url
    if origin != "null" and origin.partition("://")[2] not in {request.host, urlsplit(public).netloc}:
        return True
    return request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}


async def form_of(
    request: web.Request,
    most: int = MOST,
    kinds: Collection[str] = (FORM,),
    too_large: int = HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
) -> dict[str, list[str]]:
    """The texts of a form, to be read once; raises Refused with 415 for what is no form of ours, `too_large` for one that is."""
    if request.content_type not in kinds:
        raise Refused(415, "not a form of this page")
    raw = await _read(request, most, too_large)
    try:
        charset = request.charset or "utf-8"
        pairs = list(_parts(request, raw) if request.content_type == PARTS else _pairs(raw.decode(charset), charset))
    except (LookupError, ValueError):
        raise Refused(415, "not a form of this page") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        # A charset may yield what is no text of ours: half of a pair.
        found.setdefault(name, []).append(value.encode(errors="replace").decode().replace("\x00", ""))
    return found


async def _read(request: web.Request, most: int, too_large: int) -> bytes:
    """The body, however its length was told."""
    refused = Refused(too_large, "the form is too large", headers={"Connection": "close"})
    if (request.content_length or 0) > most:
        raise refused
    raw = bytearray()
    async for chunk in request.content.iter_chunked(most):
        raw += chunk
        if len(raw) > most:
            raise refused
    return bytes(raw)


def _pairs(text: str, charset: str) -> Iterable[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True, encoding=charset)


def _parts(request: web.Request, raw: bytes) -> Iterable[tuple[str, str]]:
    """The texts of a form in parts; files are left out."""
    kind = request.headers[hdrs.CONTENT_TYPE].encode("utf-8", "surrogateescape")
    for part in BytesParser().parsebytes(b"Content-Type: " + kind + b"\r\n\r\n" + raw).walk():
        name, value = part.get_param("name", header="content-disposition"), part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(value, bytes) and part.get_filename() is None:
            yield name, value.decode(part.get_content_charset("utf-8"))


@cache
def _style_hash() -> str:
    return base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
