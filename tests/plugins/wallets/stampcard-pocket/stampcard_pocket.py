"""A phone's wallet as Apple's is: phones register here for their passes, are told that one is new, and fetch it.

What a phone fetches is the `pass.json` alone; a wallet that is real has it in a signed archive.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import msgspec
from pydantic import SecretStr

from stampcard import plugin

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
#: So many digits no moment has.
_TAG = 20


class PocketSettings(plugin.PassSettings):
    pass_type: str = "pass.example.card"
    pass_key: SecretStr
    push_token: SecretStr
    api_url: str = "https://api.push.pocket.example"


class Told(msgspec.Struct, frozen=True):
    """What a phone did with a pass."""

    what: Literal["saved", "removed"]
    serial: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{24}$")]
    at: Moment


class Phone(msgspec.Struct, frozen=True):
    """Where a phone is told, and since when it has the pass."""

    token: str
    since: Moment


class Kept(msgspec.Struct, frozen=True):
    """The phones that have a pass, when they were last told of it, and whether that was to be heard."""

    phones: dict[str, Phone] = {}
    told: Moment | None = None
    rings: bool = False
    over: bool = False


class Registered(msgspec.Struct, frozen=True, rename="camel"):
    push_token: Text


class Phones:
    """Who has which pass in a phone; all processes know the same."""

    def __init__(self, store: plugin.Store, clock: plugin.Clock) -> None:
        self._store, self._clock = store, clock

    async def of(self, serial: str) -> Kept:
        kept = await self._store.get(f"pass:{serial}")
        return Kept() if kept is None else msgspec.json.decode(kept, type=Kept)

    async def tell(self, serial: str, *, rings: bool = False, over: bool = False) -> Kept:
        """Note that a pass is another one now; whatever is over stays over."""
        async with self._store.hold("passes"):
            kept = await self.of(serial)
            kept = msgspec.structs.replace(kept, told=self._clock.now(), rings=rings, over=over or kept.over)
            await self._keep(serial, kept)
        return kept

    async def add(self, serial: str, device: str, token: str) -> tuple[Phone, bool]:
        """The phone as it is registered, and whether it was not yet."""
        async with self._store.hold("passes"):
            kept = await self.of(serial)
            known = kept.phones.get(device)
            phone = Phone(token=token, since=known.since if known else self._clock.now())
            await self._keep(serial, msgspec.structs.replace(kept, phones={**kept.phones, device: phone}))
            await self._carry(device, {*await self.passes_on(device), serial})
        return phone, known is None

    async def drop(self, serial: str, device: str) -> bool:
        """Forget a phone; answers whether it was the last one that had the pass."""
        async with self._store.hold("passes"):
            kept = await self.of(serial)
            left = {name: phone for name, phone in kept.phones.items() if name != device}
            await self._keep(serial, msgspec.structs.replace(kept, phones=left))
            await self._carry(device, {*await self.passes_on(device)} - {serial})
        return bool(kept.phones) and not left

    async def passes_on(self, device: str) -> list[str]:
        carried = await self._store.get(self._place(device))
        return [] if carried is None else msgspec.json.decode(carried, type=list[str])

    async def _keep(self, serial: str, kept: Kept) -> None:
        await self._store.set(f"pass:{serial}", msgspec.json.encode(kept))

    async def _carry(self, device: str, serials: set[str]) -> None:
        await self._store.set(self._place(device), msgspec.json.encode(sorted(serials)))

    def _place(self, device: str) -> str:
        return f"phone:{hashlib.sha256(device.encode(errors='replace')).hexdigest()}"


class PhoneEvents(plugin.WebhookSource):
    """What phones told to the routes; nobody sends webhooks."""

    def verify(self, request: plugin.UnverifiedRequest) -> plugin.VerifiedRequest:  # noqa: ARG002 - whatever it is
        raise plugin.InvalidSignature("this wallet sends no webhooks")

    def delivery_key(self, request: plugin.VerifiedRequest) -> str:
        return hashlib.sha256(request.body).hexdigest()

    def events(self, delivery: plugin.Delivery) -> Sequence[plugin.Event]:
        if delivery.topic != "phone":
            return ()
        try:
            told = msgspec.json.decode(delivery.body, type=Told)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise plugin.MalformedPayload(f"not what a phone tells: {error}") from None
        kind = plugin.PassSaved if told.what == "saved" else plugin.PassRemoved
        return (kind(serial=told.serial, occurred_at=told.at),)


class Pocket(plugin.PassSink):
    """Tells phones that their pass is another one now."""

    title, batch_size, notices = "Pocket", 10, 3

    def __init__(self, context: plugin.ConnectionContext[PocketSettings], phones: Phones, desk: "Desk") -> None:
        settings = context.settings
        self._http, self._phones, self._desk = context.http, phones, desk
        self._url = f"{settings.api_url}/3/device"
        self._headers = {
            "authorization": f"Bearer {settings.push_token.get_secret_value()}",
            "apns-topic": settings.pass_type,
        }

    async def deliver(self, items: Sequence[plugin.PassPush]) -> Sequence[plugin.Outcome]:
        return [await self._push(item.serial, rings=item.notify) for item in items]

    async def link(self, item: plugin.PassPush, *, is_there: bool) -> str:  # noqa: ARG002 - we have it all the same
        return self._desk.address(item.serial)

    async def end(self, serials: Sequence[str]) -> Sequence[plugin.Outcome]:
        return [await self._push(serial, over=True) for serial in serials]

    async def _push(self, serial: str, *, rings: bool = False, over: bool = False) -> plugin.Outcome:
        kept = await self._phones.tell(serial, rings=rings, over=over)
        outcomes = [await self._ring(serial, device, phone) for device, phone in kept.phones.items()]
        return next((one for one in outcomes if not isinstance(one, plugin.Delivered)), plugin.Delivered())

    async def _ring(self, serial: str, device: str, phone: Phone) -> plugin.Outcome:
        # An empty object: whatever else stood in it would be shown, or refused.
        url = f"{self._url}/{quote(phone.token, safe='')}"
        try:
            answer = await self._http.post(url, json={}, headers=self._headers)
        except httpx.HTTPError as error:
            return plugin.RetryLater(reason=f"no answer: {type(error).__name__}")
        if answer.status_code == httpx.codes.GONE:
            await self._phones.drop(serial, device)
        if answer.status_code in {httpx.codes.OK, httpx.codes.GONE}:
            return plugin.Delivered()
        reason = f"the push service answered {answer.status_code}"
        if answer.status_code in {400, 404, 413, 422}:
            return plugin.Rejected(reason=reason)
        seconds = answer.headers.get("retry-after", "")[:6]
        known = seconds.isascii() and seconds.isdecimal()
        return plugin.RetryLater(reason=reason, after=int(seconds) if known else None)


class Desk:
    """Where phones come to: they register, ask what is new, fetch passes, and say that they have them no more."""

    def __init__(self, context: plugin.ConnectionContext[PocketSettings], phones: Phones) -> None:
        self._passes, self._phones, self._type = context.passes, phones, context.settings.pass_type
        self._key = context.settings.pass_key.get_secret_value().encode()
        self._url = f"{context.public_url}/connections/{context.name}"

    def routes(self) -> tuple[plugin.Route, ...]:
        registered = "v1/devices/{device}/registrations/{type}"
        return (
            plugin.Route(method="POST", path=f"{registered}/{{serial}}", handler=self.register),
            plugin.Route(method="DELETE", path=f"{registered}/{{serial}}", handler=self.forget),
            plugin.Route(method="GET", path=registered, handler=self.list_new),
            plugin.Route(method="GET", path="v1/passes/{type}/{serial}", handler=self.fetch),
            plugin.Route(method="GET", path="cards/{serial}/{proof}", handler=self.add),
            plugin.Route(method="POST", path="v1/log", handler=self.hear),
        )

    def address(self, serial: str) -> str:
        """Where a browser gets a pass; raises PluginError where no browser would take it."""
        if not self._url.startswith("https://"):
            raise plugin.PluginError("pocket", "phones take passes from https alone: set public_url to such an address")
        return f"{self._url}/cards/{serial}/{self._proof(serial)}"

    async def register(self, request: plugin.UnverifiedRequest) -> plugin.Reply:
        serial, device = self._checked(request), request.path["device"]
        try:
            token = msgspec.json.decode(request.body, type=Registered).push_token
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise plugin.MalformedPayload("a phone registers with its pushToken") from None
        if await self._passes.find(serial) is None:
            return plugin.Reply(status=404)
        phone, new = await self._phones.add(serial, device, token)
        # Told again where it was there already: the first time, the answer may have been lost before anything was stored.
        told = _told(Told(what="saved", serial=serial, at=phone.since))
        return plugin.Reply(status=201 if new else 200, stores=told)

    async def forget(self, request: plugin.UnverifiedRequest) -> plugin.Reply:
        serial = self._checked(request)
        last = await self._phones.drop(serial, request.path["device"])
        removed = Told(what="removed", serial=serial, at=request.received_at)
        return plugin.Reply(stores=_told(removed) if last else None)

    async def list_new(self, request: plugin.UnverifiedRequest) -> plugin.Reply:
        """The passes that are new since a phone last asked; it proves nothing here, and learns nothing but their serials."""
        asked = parse_qs(urlsplit(request.url).query).get("passesUpdatedSince", [""])[0]
        since = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < _TAG else 0
        told: dict[str, int] = {}
        for serial in await self._phones.passes_on(request.path["device"]):
            at = (await self._phones.of(serial)).told
            if at is not None and round(at.timestamp() * 1_000_000) > since:
                told[serial] = round(at.timestamp() * 1_000_000)
        if not told:
            return plugin.Reply(status=204)
        return _json({"serialNumbers": sorted(told), "lastUpdated": str(max(told.values()))})

    async def fetch(self, request: plugin.UnverifiedRequest) -> plugin.Reply:
        serial = self._checked(request)
        shown = await self._shown(serial)
        if shown is None:
            return plugin.Reply(status=404)
        reply = _json(shown)
        tag = f'"{hashlib.sha256(reply.body).hexdigest()}"'
        if request.header("if-none-match") == tag:
            return plugin.Reply(status=304, headers={"ETag": tag})
        return plugin.Reply(body=reply.body, content_type=reply.content_type, headers={"ETag": tag})

    async def add(self, request: plugin.UnverifiedRequest) -> plugin.Reply:
        """What the link of a card leads to."""
        serial = request.path["serial"]
        self._check(serial, request.path["proof"])
        shown = await self._shown(serial)
        return plugin.Reply(status=404) if shown is None else _json(shown)

    async def hear(self, _: plugin.UnverifiedRequest) -> plugin.Reply:
        """Whatever phones complain of may name their holder, and anybody may say it: it is kept nowhere."""
        return plugin.Reply()

    def _checked(self, request: plugin.UnverifiedRequest) -> str:
        """The serial of a request that proves to be of a phone that has the pass."""
        serial, (scheme, _, proof) = request.path["serial"], request.header("authorization").partition(" ")
        if scheme != "ApplePass" or request.path["type"] != self._type:
            raise plugin.InvalidSignature("this is no phone that has one of our passes")
        self._check(serial, proof)
        return serial

    def _check(self, serial: str, proof: str) -> None:
        if not hmac.compare_digest(self._proof(serial).encode(), proof.encode(errors="replace")):
            raise plugin.InvalidSignature("this is no phone that has that pass")

    def _proof(self, serial: str) -> str:
        return hmac.digest(self._key, serial.encode(errors="replace"), "sha256").hex()

    async def _shown(self, serial: str) -> Mapping[str, Any] | None:
        kept = await self._phones.of(serial)
        bare = {
            "formatVersion": 1,
            "passTypeIdentifier": self._type,
            "serialNumber": serial,
            "webServiceURL": self._url,
            "authenticationToken": self._proof(serial),
        }
        if kept.over:
            return {**bare, "description": "over", "organizationName": "-", "voided": True, "storeCard": {}}
        card = await self._passes.find(serial)
        return None if card is None else {**bare, **_drawn(card, rings=kept.rings)}


def _drawn(card: plugin.PassPush, *, rings: bool) -> Mapping[str, Any]:
    """A card as a phone draws it."""
    design = card.design

    def text(texts: Mapping[str, str]) -> str:
        return texts.get(card.language) or texts.get(card.language.partition("-")[0]) or texts[design.language]

    figures = [
        {
            "key": one.name,
            "label": text(design.labels[one.name]) if one.name in design.labels else "",
            "value": one.text,
        }
        for one in card.fields
    ]
    if rings and figures:
        figures[0]["changeMessage"] = "%@"
    back = [{"key": one.id, "label": one.title, "value": one.code} for one in card.offers]
    return {
        "description": text(design.name),
        "organizationName": text(design.issuer),
        "voided": not card.active,
        "barcodes": [
            {
                "format": f"PKBarcodeFormat{design.barcode.replace('_', '').upper()}",
                "message": card.code,
                "messageEncoding": "iso-8859-1",
                "altText": card.number,
            }
        ],
        "storeCard": {
            "primaryFields": figures[:1],
            "secondaryFields": figures[1:],
            "auxiliaryFields": [{"key": "holder", "label": "", "value": card.holder}] if card.holder else [],
            "backFields": [*back, {"key": "page", "label": "", "value": card.page}],
        },
    }


def _told(told: Told) -> plugin.VerifiedRequest:
    return plugin.VerifiedRequest(topic="phone", body=msgspec.json.encode(told))


def _json(content: Mapping[str, Any]) -> plugin.Reply:
    return plugin.Reply(body=msgspec.json.encode(content), content_type="application/json")


@plugin.hookimpl
def plugin_manifest() -> plugin.PluginManifest:
    return plugin.PluginManifest(name="pocket", summary="Members' cards in their phones", settings=PocketSettings)


@plugin.hookimpl
async def connect(context: plugin.ConnectionContext[PocketSettings]) -> plugin.Capabilities:
    phones = Phones(context.store, context.clock)
    desk = Desk(context, phones)
    return plugin.Capabilities(webhook=PhoneEvents(), sinks=(Pocket(context, phones, desk),), routes=desk.routes())
