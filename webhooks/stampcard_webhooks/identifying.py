"""Which member asks: vouched for by their shop, or by a link that we handed out."""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

import structlog
from aiohttp import hdrs, web

from stampcard.app import Application
from stampcard.calling.limiting import TokenBucket, full, take
from stampcard.domain.commands import OWN
from stampcard.domain.value import Value
from stampcard.engine.tokens import LINK_PREFIX, opened_link
from stampcard.errors import InvalidSignature, place_of
from stampcard.plugin.capabilities import ShopperSource
from stampcard.plugin.rates import Rate
from stampcard.plugin.requests import UnverifiedRequest
from stampcard.storage import loading
from stampcard_webhooks.problems import Refused

log = structlog.get_logger()

#: Requests that one shopper may send, and redemptions; and requests that nobody vouches for, from one address.
READS, WRITES, STRANGERS = Rate(per_second=5, burst=30), Rate(per_second=0.2, burst=5), Rate(per_second=0.5, burst=20)
#: Some proxies tell the port of a visitor, too, which is another for each connection.
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]+|\[([^\[\]]+)\](?::[0-9]+)?")
#: Letters that are remembered of a visitor whom a proxy calls by something else than an address.
_LONGEST = 64
#: Callers whose pace is remembered.
REMEMBERED = 10_000


class Shopper(Value, frozen=True):
    """A member who asks for their own things, through a connection."""

    connection: str
    merchant: str
    member: str


def visitor(told: str, remote: str, proxies: int) -> str:
    """The address of whoever asks, of which only as much is believed as our own `proxies` say (X-Forwarded-For)."""
    names = [name for one in told.split(",") if (name := one.strip())]
    return _network(names[-proxies] if 0 < proxies <= len(names) else remote)


def _network(told: str) -> str:
    """An address without its port; of IPv6 the network of 64 bits, all of whose addresses one visitor has."""
    text = next(filter(None, found.groups())) if (found := _WITH_PORT.fullmatch(told)) else told
    try:
        address = ip_address(text)
    except ValueError:
        return text[:_LONGEST]
    if address.version == 4:  # noqa: PLR2004 - of the protocol
        return str(address)
    return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64))


class Identifying:
    """Finds out who asks, and how often they may."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._buckets: OrderedDict[tuple[str, str], TokenBucket] = OrderedDict()

    def source(self, name: str) -> ShopperSource | None:
        """What vouches for the shoppers of a connection."""
        connection = self._application.connections.get(name)
        capabilities = connection.capabilities if connection is not None else None
        return capabilities.shopper if capabilities is not None else None

    async def identify(self, request: web.Request, *, writes: bool) -> Shopper:
        """The member who asks; raises Refused: 401 for a stranger, 404 for somebody who is no member, 429 for haste."""
        try:
            return await self._identified(request, writes=writes)
        except InvalidSignature as error:
            log.info("shopper_refused", connection=request.match_info["connection"], reason=str(error))
            self.pace_visitor("stranger", request, STRANGERS)
            raise Refused(401, "nobody vouches for this request", code="not_recognised") from None

    def _pace_shopper(self, who: str, *, writes: bool) -> None:
        """Whether the shopper is a member is not asked before."""
        self.pace("reads", who, READS)
        if writes:
            self.pace("writes", who, WRITES)

    async def _identified(self, request: web.Request, *, writes: bool) -> Shopper:
        name, application = request.match_info["connection"], self._application
        token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")[2].strip()
        if token.startswith(LINK_PREFIX):
            link = opened_link(application.setting.sealer, token, application.clock.now())
            if link is None or name != OWN:
                raise InvalidSignature("the link is not ours, or its time is over")
            self._pace_shopper(link.member, writes=writes)
            return Shopper(connection=OWN, merchant=link.merchant, member=await self.living(link.merchant, link.member))
        reference = self._vouched(request, name)
        if reference is None:
            raise Refused(401, "the shopper is not logged in", code="not_logged_in")
        self._pace_shopper(f"{name}:{reference}", writes=writes)
        merchant = application.setting.merchant
        key = (application.sources.get(name, name), reference)
        known = await application.database.read(lambda connection: loading.load_identities(connection, merchant, [key]))
        if key not in known or not known[key].member:
            raise Refused(404, "this shopper is no member yet", code="not_a_member")
        return Shopper(connection=name, merchant=merchant, member=await self.living(merchant, known[key].member))

    async def living(self, merchant: str, member: str) -> str:
        """Who a member is by now, whom they may have been merged into; raises Refused for one who is not there."""
        setting = self._application.setting
        found = await self._application.database.read(
            lambda connection: loading.load_members(
                connection, merchant, [member], setting.sealer, attributes=False, lock=False
            )
        )
        known = found.get(member)
        if known is not None and known.merged_into is not None:
            return await self.living(merchant, known.merged_into)
        if known is None or known.erased_at is not None:
            raise Refused(404, "this shopper is no member yet", code="not_a_member")
        return member

    def _vouched(self, request: web.Request, name: str) -> str | None:
        """The reference that the shop vouches for; whatever a plugin raises beyond its contract vouches for nobody."""
        source = self.source(name)
        if source is None:
            raise InvalidSignature(f"the connection {name!r} vouches for no shopper")
        unverified = UnverifiedRequest(
            url=self._application.public_url + request.raw_path,
            headers={header.lower(): value for header, value in request.headers.items()},
            body=b"",
            received_at=self._application.clock.now(),
        )
        try:
            return source.identify(unverified)
        except InvalidSignature:
            raise
        except Exception as error:
            log.error("identify_failed", connection=name, error=place_of(error))
            raise InvalidSignature(f"the plugin of {name!r} failed") from error

    def pace_visitor(self, what: str, request: web.Request, rate: Rate) -> None:
        """Count a request of somebody who is known by their address alone."""
        self.pace(what, self.address_of(request), rate)

    def address_of(self, request: web.Request) -> str:
        """The address of whoever asks, as far as our own proxies tell it."""
        told = ",".join(request.headers.getall("X-Forwarded-For", ()))
        return visitor(told, request.remote or "", self._application.settings.http.proxies)

    def pace(self, what: str, who: str, rate: Rate) -> None:
        """Count a request; raises Refused with 429 when it comes too soon."""
        now, key = time.monotonic(), (what, who)
        known = self._buckets.pop(key) if key in self._buckets else full(rate, now)
        bucket, wait = take(known, now, rate)
        self._buckets[key] = bucket
        while len(self._buckets) > REMEMBERED:
            self._buckets.popitem(last=False)
        if wait > 0:
            headers = {"Retry-After": str(max(1, round(wait)))}
            raise Refused(429, "too many requests: come again a little later", code="too_many", headers=headers)
