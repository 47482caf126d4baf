"""Links that lead people on and tell us of it: a friend to the shop, a member to a social network."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from datetime import datetime, timedelta
from typing import Literal
from urllib.parse import urlsplit

import msgspec
import structlog
from aiohttp import hdrs, web
from pydantic import BaseModel, Field, field_validator

from stampcard.app import Application
from stampcard.applying.requests import Answer, record_of
from stampcard.applying.unit import Sourced, Unit
from stampcard.clock import from_micros, to_micros
from stampcard.domain.commands import OWN
from stampcard.domain.events import CustomEvent
from stampcard.domain.value import Value
from stampcard.errors import ConfigurationError, RequestRefused
from stampcard.plugin.capabilities import Storefront
from stampcard.sealing import Sealer
from stampcard_webhooks.asking import Asked, Query
from stampcard_webhooks.identifying import STRANGERS
from stampcard_webhooks.keys import APPLICATION, IDENTIFYING
from stampcard_webhooks.problems import Refused, told
from stampcard_webhooks.routing import Call, Route, call_of, given
from stampcard_webhooks.showing import check_member

log = structlog.get_logger()

FRIENDS, SOCIAL = "/r/{code}", "/go/{token}"
#: What a code of a friend may look like.
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_ABOUT = b"social link"
SocialEvent = Literal["social_follow", "social_share"]


class _Link(Value, frozen=True, array_like=True):
    """What a social link says; `until` in microseconds."""

    merchant: str
    member: str
    event: SocialEvent
    network: str
    url: str
    until: int


class NewSocialLink(Asked):
    """What a member is to do, and where."""

    event: SocialEvent
    network: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$", description="As rules call it: `instagram`.")
    url: str = Field(max_length=1000, description="Where the link leads; by https.")
    days: int = Field(default=30, ge=1, le=365, description="How long the link counts.")

    @field_validator("url")
    @classmethod
    def _sound(cls, url: str) -> str:
        parts = urlsplit(url)
        odd = any(letter.isspace() or letter == "\\" or not letter.isprintable() for letter in url)
        if parts.scheme != "https" or not parts.hostname or parts.username is not None or odd:
            raise ValueError("is no address such as https://example.com/us")
        return url


class SocialLinkView(BaseModel):
    """A link for one member: whoever opens it has done it, for the member."""

    url: str
    expires_at: datetime


async def make_social_link(call: Call[Query, NewSocialLink]) -> Answer:
    """A link that records one follow or share of a member, once, and leads on; nothing of it is stored."""
    id_, asked = call.path["id"], call.body
    await call.read(lambda connection: check_member(connection, call.setting, id_))
    until = call.now + timedelta(days=asked.days)
    link = _Link(call.merchant, id_, asked.event, asked.network, asked.url, to_micros(until))
    url = f"{call.application.public_url}/go/{_written(call.setting.sealer, link)}"
    return given(SocialLinkView(url=url, expires_at=until), id_, 201)


def _written(sealer: Sealer, link: _Link) -> str:
    return base64.urlsafe_b64encode(sealer.seal(msgspec.json.encode(link), _ABOUT)).rstrip(b"=").decode()


def _read(sealer: Sealer, token: str, now: datetime) -> _Link:
    try:
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), b"-_", validate=True)
        link = msgspec.json.decode(sealer.open(sealed, _ABOUT), type=_Link)
    except (ConfigurationError, ValueError, binascii.Error, msgspec.MsgspecError):
        raise Refused(404, "the link is not whole, or not ours", code="not_found") from None
    if from_micros(link.until) <= now:
        raise Refused(404, "the link's time is over", code="not_found")
    return link


async def follow(request: web.Request) -> web.StreamResponse:
    """Record what the link says, and lead on."""
    application = request.app[APPLICATION]
    request.app[IDENTIFYING].pace_visitor("link", request, STRANGERS)
    now = application.clock.now()
    link = _read(application.setting.sealer, request.match_info["token"], now)
    try:
        await _record(request, application, link, now)
    except RequestRefused as error:
        # Whoever follows a link is led on, whatever it is worth.
        log.info("social_link_unpaid", reason=str(error))
    return _lead(link.url)


async def _record(request: web.Request, application: Application, link: _Link, now: datetime) -> None:
    shared = {"link": link.url} if link.event == "social_share" else {}
    place = hashlib.sha256(link.url.encode()).hexdigest()[:32] if shared else ""
    event = CustomEvent(
        name=link.event,
        customer=link.member,
        key=f"{link.member}:{link.network}:{place}",
        occurred_at=now,
        data={"network": link.network, **shared},
    )
    member = await request.app[IDENTIFYING].living(link.merchant, link.member)
    setting = await application.setting_for(link.merchant)
    sourced = Sourced(event=event, connection=OWN, source=OWN, received_at=now)
    (facts,) = await application.gatherer.facts_of(setting, [sourced])

    def work(unit: Unit) -> Answer:
        record_of(unit, member, event, facts)
        return Answer(status=200, body={})

    await call_of(request, setting, "link", now).write(work)


async def send_friend(request: web.Request) -> web.StreamResponse:
    """Send a friend to the shop, with the code of whoever sent them."""
    application, code = request.app[APPLICATION], request.match_info["code"]
    request.app[IDENTIFYING].pace_visitor("link", request, STRANGERS)
    if not _CODE.fullmatch(code):
        raise Refused(404, "this is no code", code="not_found")
    shops = _shops(application)
    wanted = request.query.get("at")
    if wanted is not None and wanted not in shops:
        raise Refused(404, f"there is no shop {wanted!r} to go to", code="not_found")
    if not shops:
        raise Refused(404, "there is no shop to go to", code="not_found")
    return _lead(shops[wanted or min(shops)].landing(code))


def _shops(application: Application) -> dict[str, Storefront]:
    able = ((name, one.capabilities) for name, one in application.connections.items() if one.capabilities is not None)
    return {name: of.storefront for name, of in able if of.storefront is not None}


def _lead(url: str) -> web.Response:
    headers = {hdrs.LOCATION: url, "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
    return web.Response(status=302, headers=headers)


def add_links(server: web.Application) -> None:
    """The links, for GET alone: whoever only asks whether there is something has done nothing."""
    server.router.add_route("GET", FRIENDS, told(send_friend))
    server.router.add_route("GET", SOCIAL, told(follow))


ROUTES = (
    Route(
        method="POST",
        path="/members/{id}/social-links",
        scope="members:write",
        summary="Make a link that records one follow or share of a member",
        handler=make_social_link,
        takes=NewSocialLink,
        gives=SocialLinkView,
        status=201,
    ),
)
