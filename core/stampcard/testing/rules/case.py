"""What an author says of a plugin, and what the rules then do with it."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any, Literal, TypeVar, get_args

import httpx
import pytest
from hypothesis import settings as trial

from stampcard.domain.audiences import hashes_of
from stampcard.domain.commands import AUDIENCE, BALANCE, PASS, TAGS
from stampcard.domain.value import Value, replace
from stampcard.errors import CallRefused
from stampcard.host.connecting import ConnectionSpec, Resources, connect_one
from stampcard.host.discovering import PluginTable, discover
from stampcard.plugin import (
    AudiencePush,
    Balance,
    BalancePush,
    CannotVerify,
    Capabilities,
    CardDesign,
    CardField,
    CardOffer,
    Channel,
    Command,
    ContactPush,
    Contacts,
    ContactSettings,
    Delivery,
    Dial,
    Event,
    HashKind,
    InvalidSignature,
    MalformedPayload,
    Member,
    Message,
    Need,
    PassPush,
    Person,
    PluginError,
    PluginManifest,
    PluginSettings,
    Reply,
    RotatingCode,
    Route,
    Sink,
    TagPush,
    UnverifiedRequest,
    VerifiedRequest,
    WebhookSource,
)
from stampcard.testing.clock import NOON, FakeClock
from stampcard.testing.listening import Lines, recording_log

CONNECTION = "contract"
PUBLIC_URL = "https://loyalty.example"
#: Seconds after which a plugin hangs; the fake clock passes by itself, so only a deadlock takes so long.
PATIENCE = 20.0
#: Random trials are the same ones in every run, and tell one finding at a time.
TRIAL = trial(deadline=None, database=None, derandomize=True, max_examples=60, report_multiple_bugs=False)
#: What the cards of a program look like.
DESIGN = CardDesign(
    program="main",
    language="en",
    name={"en": "Foxglove Card", "nl": "Vingerhoedskaart"},
    issuer={"en": "Foxglove", "nl": "Vingerhoedskruid"},
    logo="https://shop.example/logo.png",
    banner="https://shop.example/banner.png",
    colour="#7f5539",
    page="https://shop.example/club",
    labels={"points": {"en": "Points", "nl": "Punten"}, "tier": {"en": "Tier", "nl": "Niveau"}},
)
#: How many cards there are at a connection that keeps them.
CARDS = 10

Vendor = Callable[[httpx.Request], httpx.Response]
#: How a vendor that is dialled takes messages. well: it has each; lost: it has it, and the connection ends without an answer;
#: odd: the answer is none that its protocol knows; busy: it wants it later; quoting: it refuses it for good, with a text that
#: repeats what it was sent and every secret.
Mood = Literal["well", "lost", "odd", "busy", "quoting"]
#: What a sink may be given.
Item = BalancePush | TagPush | AudiencePush | PassPush | Command
T = TypeVar("T")


class Recording(Value, frozen=True):
    """One payload as the vendor sent it; `fetched` if it is an answer to a fetch of ours."""

    name: str
    topic: str
    body: bytes
    fetched: bool = False


class MemoryStore(dict[str, bytes]):
    """A connection's store, as long as the test lasts."""

    def __init__(self) -> None:
        super().__init__()
        self.locks: dict[str, asyncio.Lock] = {}

    async def get(self, key: str) -> bytes | None:  # type: ignore[override]
        return super().get(key)

    async def set(self, key: str, value: bytes) -> None:
        self[key] = value

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        lock = self.locks.setdefault(key, asyncio.Lock())
        async with lock:
            yield


class MemoryPasses(dict[str, PassPush]):
    """A connection's cards by their serials, as long as the test lasts."""

    async def find(self, serial: str) -> PassPush | None:
        return self.get(serial)


@dataclass(slots=True)
class Visit:
    """A connection that stands, and what was seen of it."""

    capabilities: Capabilities
    clock: FakeClock
    lines: Lines
    settings: PluginSettings | None = None
    requests: list[httpx.Request] = field(default_factory=list)
    dialled: list[tuple[str, int]] = field(default_factory=list)
    passes: MemoryPasses = field(default_factory=MemoryPasses)
    asked: list[tuple[Route, UnverifiedRequest]] = field(default_factory=list)
    stored: list[VerifiedRequest] = field(default_factory=list)

    async def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Reply:
        """What the connection's route for a path answers, as the host would ask it; what that stores is among `stored`."""
        found = [(route, _parts(route, path.partition("?")[0])) for route in self.capabilities.routes]
        fitting = [(route, parts) for route, parts in found if route.method == method and parts is not None]
        assert fitting, f"the connection has no route {method} {path}"
        route, parts = min(fitting, key=lambda one: len(one[1]))
        request = UnverifiedRequest(
            url=f"{PUBLIC_URL}/connections/{CONNECTION}/{path}",
            headers={name.lower(): value for name, value in (headers or {}).items()},
            body=body,
            received_at=self.clock.now(),
            path=parts,
        )
        self.asked.append((route, request))
        return await self.answer(route, request)

    async def answer(self, route: Route, request: UnverifiedRequest) -> Reply:
        """What a route answers; as at the host, whatever it may raise is an answer that anybody may read."""
        try:
            reply = await route.handler(request)
        except InvalidSignature as error:
            return Reply(status=401, body=str(error).encode())
        except MalformedPayload as error:
            return Reply(status=400, body=str(error).encode())
        except (PluginError, CannotVerify) as error:
            return Reply(status=503, body=str(error).encode())
        except Exception as error:  # noqa: BLE001 - that is the finding
            pytest.fail(f"the route {route.method} {route.path} raised {type(error).__name__}: {error}")
        self.stored += filter(None, [reply.stores])
        return reply

    def sink(self, kind: str) -> Sink[Any]:
        return next(sink for sink in self.capabilities.sinks if sink.kind == kind)

    def channel(self, name: str) -> Channel:
        return next(channel for channel in self.capabilities.channels if channel.name == name)


class Case:
    """Fill in what the plugin has; what a plugin does not have is left as it is."""

    #: The module behind the entry point.
    plugin: ModuleType
    #: A connection's section that is valid, without the key `plugin`.
    settings: Mapping[str, Any]
    #: Every webhook secret in `settings`: each must be good.
    secrets: Sequence[str] = ()
    #: Every other secret in `settings`: tokens, passwords, keys.
    credentials: Sequence[str] = ()
    #: The folder of recorded payloads, `<topic>__<variant>.json`; in names, what is no letter or digit is `_`.
    fixtures: Path
    #: All topics that the plugin decodes.
    topics: Collection[str] = ()
    #: Those of the topics that only come because the plugin fetched them.
    fetched: Collection[str] = ()
    #: Fixture name → the kinds of events (or `Refetch`) that it decodes to, in order.
    expected: Mapping[str, Sequence[type]] = MappingProxyType({})
    #: A topic that the plugin does not decode.
    unknown_topic: str = "weather_changed"
    #: The header, in lower case, that carries the signature.
    signature_header: str = ""
    #: False where the vendor sends a shared token instead of a signature over the body.
    signs_body: bool = True
    #: The kinds of the plugin's sinks.
    sinks: Collection[str] = ()
    #: The names of the plugin's fact sources.
    facts: Collection[str] = ()
    #: The names of the plugin's channels.
    channels: Collection[str] = ()
    #: What the plugin verifies, each with evidence that it approves.
    proofs: Mapping[str, Mapping[str, str]] = MappingProxyType({})
    #: A customer's reference that the vendor refuses; empty if it cannot.
    unfit_reference: str = ""
    #: An address of which the vendor says that it is no good; empty if it never does when it is asked to send.
    unfit_address: str = ""
    #: The id of an audience that the vendor does not have; empty if it says nothing of that.
    unfit_audience: str = ""
    #: The serial of a pass that the vendor refuses; empty if it refuses none.
    unfit_serial: str = ""
    #: The reference of a contact that is gone already; empty if the vendor plays none.
    gone_reference: str = ""
    #: Members who have a contact that the vendor finds by their addresses.
    people: Sequence[Person] = ()
    #: Whether `vendor` begins without the fields that are made for us, and shows each once it is made.
    remembers: bool = False
    #: Answers that blame the item, so that sending it again is of no use.
    refusals: Collection[int] = (400, 404, 422)
    #: False where the vendor's status alone says that it took the item.
    success_is_in_the_body: bool = True
    #: False where nobody is called by HTTP: the vendor is dialled, or there is none.
    calls_by_http: bool = True
    #: False where nobody sends webhooks: what the plugin decodes is told to its own routes.
    sends_webhooks: bool = True

    def sign(self, topic: str, body: bytes, secret: str, /) -> Mapping[str, str]:
        """The headers with which the vendor sends this body."""
        raise NotImplementedError(f"say how the vendor signs: {type(self).__name__}.sign")

    def vendor(self, request: httpx.Request) -> httpx.Response:
        """The vendor's API when all is well."""
        raise NotImplementedError(f"play the vendor: {type(self).__name__}.vendor")

    @asynccontextmanager
    async def open_dial(self, mood: Mood, /) -> AsyncIterator[Dial]:  # noqa: ARG002 - others need it
        """The vendor of a plugin that dials, in this mood, while the block lasts."""
        yield _nobody

    async def before(self, visit: Visit, /) -> None:
        """What happened at a connection before a rule looks at it: phones that registered by its routes for `visit.passes`, say."""

    async def fetch_pass(self, visit: Visit, serial: str, headers: Mapping[str, str], /) -> Reply:
        """What a phone gets that asks us for its card (`visit.ask`), with these headers and those that prove whose it is."""
        raise NotImplementedError(f"say how a phone asks for a pass: {type(self).__name__}.fetch_pass")

    @property
    def phones_fetch(self) -> bool:
        """Whether phones ask us for their cards; the vendor is told then that there is something new, and not what."""
        return type(self).fetch_pass is not Case.fetch_pass

    @property
    def dials(self) -> bool:
        """Whether the author plays a vendor that is dialled."""
        return type(self).open_dial is not Case.open_dial

    @property
    def audiences(self) -> tuple[str, ...]:
        """The ids of the vendor's audiences, as the settings name them."""
        return tuple(self.settings.get("audiences", {}).values())

    def audience_push(
        self, kinds: Sequence[HashKind], number: int, joins: Sequence[str] = (), leaves: Sequence[str] = ()
    ) -> AudiencePush:
        """One of many different members who join audiences or leave them."""
        hashes = hashes_of(self.address("email", number), self.address("phone", number), kinds)
        return AudiencePush(member=f"m{number}", version=3, hashes=hashes, joins=tuple(joins), leaves=tuple(leaves))

    def pass_push(self, number: int, **fields: Any) -> PassPush:
        """One of many different cards, whose code does not rotate; `fields` are what a rule wants otherwise."""
        card = f"4120{number:08}"
        push = PassPush(
            member=f"m{number}",
            version=3,
            serial=f"{0xCA2D << 80 | number:024x}",
            language="nl" if number % 2 else "en",
            design=DESIGN,
            holder=f"Columbine Archer-{number:04}",
            number=card,
            code=f"{PUBLIC_URL}/k/S{card}HAWTHORN01",
            page=f"{PUBLIC_URL}/pass/larkspur{number:04}",
            fields=(
                CardField(name="points", text=str(100 + number), number=str(100 + number)),
                CardField(name="tier", text="Gold"),
            ),
            offers=(
                CardOffer(
                    id=f"r{number}",
                    title="A free coffee",
                    code=f"HELLEBORE{number:04}",
                    ends_at=NOON + timedelta(days=30),
                ),
            ),
        )
        return replace(push, **fields)

    def rotating(self, number: int) -> RotatingCode:
        """What a card's code is made of where it rotates."""
        key, pattern = f"{0xB0DE << 144 | number:040x}", f"{PUBLIC_URL}/k/R4120{number:08}.{{timestamp}}.{{password}}"
        return RotatingCode(pattern=pattern, key=key, period=30, digits=8)

    def item(self, kind: str, number: int) -> Item:
        """One of many different items for a sink of that kind."""
        if kind == PASS:
            return self.pass_push(number)
        if kind == AUDIENCE:
            return self.audience_push(get_args(HashKind), number, self.audiences[:1], self.audiences[1:])
        if kind == TAGS:
            return TagPush(
                member=f"m{number}", reference=str(7001 + number), version=3, tags=("vip",), stale=("guest",)
            )
        if kind != BALANCE:
            raise NotImplementedError(f"make a command of kind {kind!r}: {type(self).__name__}.item")
        balances = {"points": Balance(active=100 + number, lifetime=100 + number)}
        return BalancePush(member=f"m{number}", reference=str(7001 + number), version=3, balances=balances)

    def contact(self, number: int, known: bool = True) -> ContactPush:
        """One of many different members to be shown at a CRM; a `known` one has a contact there already."""
        values = {"member_id": f"m{number}", "email": f"m{number}@shop.example", "points": str(100 + number)}
        contacts, settings = self.crm()
        fields = {pair.theirs: values[pair.ours] for pair in settings.pairs(contacts.defaults) if pair.ours in values}
        reference = str(7001 + number) if known else ""
        return ContactPush(member=f"m{number}", reference=reference, version=3, fields=fields)

    def address(self, needs: Need, number: int) -> str:
        """One of many different addresses that the vendor takes messages for."""
        addresses: Mapping[Need, str] = {
            "email": f"member{number:04}@mail.example",
            "phone": f"+1415555{number:04}",
            "reference": f"70010{number:04}",
        }
        return addresses.get(needs, "")

    def message(self, channel: Channel, number: int, **fields: Any) -> Message:
        """One of many different messages, as that channel takes them; `fields` are what a rule wants otherwise."""
        text = f"Amaryllis-{number:04}: you have {100 + number} points."
        message = Message(
            id=f"contract{number:04}",
            name="welcome",
            member=f"m{number}",
            to=self.address(channel.needs, number),
            to_name="Columbine Archer" if channel.form == "mail" else "",
            purpose="marketing",
            language="en",
            direction="ltr",
            subject="" if channel.form == "text" else f"Bellflower-{number:04}",
            text=text,
            html=f"<p>{text}</p>" if channel.form == "mail" else "",
            link=f"{PUBLIC_URL}/daffodil/{number}" if channel.form == "note" else "",
            unsubscribe=f"{PUBLIC_URL}/daffodil/{number}",
            reports=f"{PUBLIC_URL}/webhooks/{CONNECTION}",
        )
        return replace(message, **fields)

    def occasion(self) -> tuple[Event, Member]:
        """An event and a member for whom the plugin knows facts."""
        raise NotImplementedError(f"say of whom facts are known: {type(self).__name__}.occasion")

    def manifest(self) -> PluginManifest:
        manifest = self.plugin.plugin_manifest()
        assert isinstance(manifest, PluginManifest), "plugin_manifest gives a PluginManifest"
        return manifest

    def table(self) -> PluginTable:
        return discover({self.manifest().name: self.plugin}, entries=())

    def recordings(self) -> list[Recording]:
        """All recorded payloads; fails if there are none, or if one is of no topic."""
        names = {re.sub(r"[^A-Za-z0-9]+", "_", topic).strip("_"): topic for topic in self.topics}
        found = []
        for path in sorted(self.fixtures.glob("*__*.*")):
            stem = path.stem.partition("__")[0]
            assert stem in names, f"{path.name} is of no topic; there are {sorted(names)}"
            topic = names[stem]
            found.append(Recording(name=path.stem, topic=topic, body=path.read_bytes(), fetched=topic in self.fetched))
        assert found, f"{self.fixtures} holds no payload: record some as <topic>__<variant>.json"
        return found

    def request(self, topic: str, body: bytes, secret: str = "") -> UnverifiedRequest:
        """A webhook as the vendor sends it, signed with the first secret unless another is given."""
        assert self.secrets or not self.sends_webhooks, "say which secrets the vendor signs with: secrets"
        headers = self.sign(topic, body, secret or self.secrets[0]) if self.sends_webhooks else {}
        url = f"{PUBLIC_URL}/webhooks/{CONNECTION}"
        lower = {name.lower(): value for name, value in headers.items()}
        return UnverifiedRequest(url=url, headers=lower, body=body, received_at=NOON)

    def delivery(self, recording: Recording, body: bytes | None = None) -> Delivery:
        return Delivery(
            connection=CONNECTION,
            key="k1",
            topic=recording.topic,
            body=recording.body if body is None else body,
            received_at=NOON,
            read_at=1_773_144_000_000_000 if recording.fetched else 0,
        )

    def source(self) -> WebhookSource:
        """The plugin's webhook source; skips the rule if it has none and no topics either."""

        async def get() -> WebhookSource | None:
            async with self.visiting() as visit:
                return visit.capabilities.webhook

        source = self.run(get())
        if source is None and not self.topics:
            pytest.skip("has no webhooks")
        assert source is not None, "topics are declared, but connect gives no webhook"
        return source

    def crm(self) -> tuple[Contacts, ContactSettings]:
        """The plugin's contacts, for what they say of themselves, and the settings; skips the rule if it has none."""

        async def get() -> tuple[Contacts | None, PluginSettings | None]:
            async with self.visiting() as visit:
                return visit.capabilities.contacts, visit.settings

        contacts, settings = self.run(get())
        if contacts is None:
            pytest.skip("has no contacts")
        assert isinstance(settings, ContactSettings), "the settings of a plugin with contacts are ContactSettings"
        return contacts, settings

    def vouched(self, source: WebhookSource, request: UnverifiedRequest) -> VerifiedRequest:
        """What the source makes of a genuine request; skips the rule where nobody sends any."""
        if not self.sends_webhooks:
            pytest.skip("nobody sends webhooks")
        try:
            verified = source.verify(request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the rule is broken
            pytest.fail(f"verify refused a genuine webhook: {type(error).__name__}: {error}")
        assert not isinstance(verified, Reply), "verify answered a recorded payload as if it were a challenge"
        return verified

    @asynccontextmanager
    async def visiting(
        self, vendor: Vendor | None = None, *, dial: Mood | Dial = "well", **changes: Any
    ) -> AsyncIterator[Visit]:
        """Connect as the host does; the vendor, the only thing in the network, is well until the connection stands.

        Then it answers HTTP as `vendor` does, and whoever dials as `dial` says. `changes` are of the settings.
        """
        answers: list[Vendor] = [self.vendor]
        cards = [self.pass_push(number) for number in range(CARDS)] if PASS in self.sinks else []
        cards += [replace(one, serial=self.unfit_serial) for one in cards[:1] if self.unfit_serial]
        visit = Visit(capabilities=Capabilities(), clock=FakeClock(hurried=True), lines=Lines())
        visit.passes.update((card.serial, card) for card in cards)

        def handle(request: httpx.Request) -> httpx.Response:
            visit.requests.append(request)
            return answers[-1](request)

        async def open_socket(host: str, port: int) -> socket.socket:
            visit.dialled.append((host, port))
            return await dials[-1](host, port)

        resources = Resources(
            clock=visit.clock,
            log=recording_log(visit.lines),
            public_url=PUBLIC_URL,
            open_store=lambda _: MemoryStore(),
            open_http=lambda _: httpx.AsyncClient(transport=httpx.MockTransport(handle), trust_env=False),
            open_passes=lambda _: visit.passes,
            open_dial=lambda _: open_socket,
        )
        spec = ConnectionSpec(name=CONNECTION, plugin=self.manifest().name, settings={**self.settings, **changes})
        async with AsyncExitStack() as stack:
            dials: list[Dial] = [await stack.enter_async_context(self.open_dial("well"))]
            connection = await connect_one(spec, self.table(), resources)
            assert connection.capabilities is not None, connection.problem
            assert connection.http is not None
            stack.push_async_callback(connection.http.aclose)
            visit.capabilities, visit.settings = connection.capabilities, connection.settings
            await self.before(visit)
            answers.append(vendor or self.vendor)
            if not isinstance(dial, str):
                dials.append(dial)
            elif dial != "well":
                dials.append(await stack.enter_async_context(self.open_dial(dial)))
            yield visit

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a rule's asynchronous part to its end."""

        async def within() -> T:
            async with asyncio.timeout(PATIENCE):
                return await work

        try:
            return asyncio.run(within())
        except TimeoutError:
            pytest.fail(f"hangs: nothing came of it within {PATIENCE:g} seconds")


def _parts(route: Route, path: str) -> dict[str, str] | None:
    """What stands in the open parts of a route's path; None for another path."""
    wanted, given = route.path.split("/"), path.split("/")
    if len(wanted) != len(given) or not all(given):
        return None
    pairs = list(zip(wanted, given, strict=True))
    fits = all(name.startswith("{") or name == text for name, text in pairs)
    return {name[1:-1]: text for name, text in pairs if name.startswith("{")} if fits else None


async def _nobody(host: str, port: int) -> socket.socket:
    raise CallRefused(f"{host}:{port}", "the author plays nobody who is dialled: open_dial")
