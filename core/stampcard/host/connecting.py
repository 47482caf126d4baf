"""Turns the configured connections into what they can do; one that fails keeps its reason, the others work."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import httpx

from stampcard.clock import Clock
from stampcard.domain.audiences import HashKind
from stampcard.domain.commands import AUDIENCE, PASS
from stampcard.domain.messages import Form, Need
from stampcard.domain.rewards import ACTIONS, ISSUE
from stampcard.domain.value import Value, replace
from stampcard.errors import ConfigurationError, PluginError
from stampcard.host.channels import ChannelSink
from stampcard.host.contacts import Crm, sinks_of
from stampcard.host.discovering import LoadedPlugin, PluginTable
from stampcard.host.fulfilling import FulfilmentSink
from stampcard.host.passes import PassEnding, PhoneWallet, wallet_of
from stampcard.host.sections import plugin_for, read_settings, without_secrets
from stampcard.plugin.audiences import AudienceSettings, AudienceSink
from stampcard.plugin.capabilities import (
    Capabilities,
    Cleaner,
    FactSource,
    Fulfilment,
    ShopperSource,
    Sink,
    Storefront,
    WebhookSource,
)
from stampcard.plugin.channels import Channel
from stampcard.plugin.connections import ConnectionContext, Dial, Store
from stampcard.plugin.contacts import Contacts, ContactSettings
from stampcard.plugin.manifest import PluginSettings
from stampcard.plugin.orders import OrderHistory, OrderList
from stampcard.plugin.passes import Passes, PassSettings, PassSink
from stampcard.plugin.requests import METHODS, Route
from stampcard.plugin.subscriptions import Subscriptions

#: Seconds that a plugin's `connect` may take.
CONNECTING = 10.0
_FACT = re.compile(r"[a-z][a-z0-9_]{0,39}")


class ConnectionSpec(Value, frozen=True):
    """A connection as configured; `settings` are the plugin's own, without the key `plugin`."""

    name: str
    plugin: str
    settings: Mapping[str, Any] = {}


class Connection(Value, frozen=True):
    """A connection that stands (`capabilities`), or why it does not (`problem`)."""

    name: str
    plugin: str
    settings: PluginSettings | None = None
    capabilities: Capabilities | None = None
    http: httpx.AsyncClient | None = None
    problem: str = ""

    @property
    def sinks(self) -> tuple[Sink[Any], ...]:
        """All that can be sent to it: its sinks, the actions of its fulfilment, and contacts."""
        if self.capabilities is None:
            return ()
        fulfil = self.capabilities.fulfil
        actions = () if fulfil is None else tuple(FulfilmentSink(fulfil, kind) for kind in ACTIONS)
        contacts = self.capabilities.contacts
        channels = tuple(ChannelSink(channel) for channel in self.capabilities.channels)
        ending = tuple(PassEnding(sink) for sink in self.capabilities.sinks if isinstance(sink, PassSink))
        told = () if contacts is None else sinks_of(contacts)
        return (*self.capabilities.sinks, *actions, *channels, *ending, *told)

    @property
    def crm(self) -> Crm | None:
        """What it is as a CRM, if it is one."""
        contacts = self.capabilities.contacts if self.capabilities is not None else None
        if contacts is None or not isinstance(self.settings, ContactSettings):
            return None
        return Crm(name=self.name, settings=self.settings, pairs=self.settings.pairs(contacts.defaults))

    @property
    def phone(self) -> PhoneWallet | None:
        """What it is as a phone's wallet, if it is one."""
        return None if self.capabilities is None else wallet_of(self.name, self.settings, self.capabilities.sinks)

    @property
    def pass_sink(self) -> PassSink | None:
        """What keeps members' cards, if anything does."""
        sinks = self.capabilities.sinks if self.capabilities is not None else ()
        return next((sink for sink in sinks if isinstance(sink, PassSink)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the host gives to every connection; `open_http` and `open_dial` get the hosts that the connection's settings name."""

    clock: Clock
    log: Any
    public_url: str
    open_store: Callable[[str], Store]
    open_http: Callable[[Sequence[str]], httpx.AsyncClient]
    open_dial: Callable[[Sequence[str]], Dial]
    open_passes: Callable[[str], Passes]


async def connect_all(
    specs: Sequence[ConnectionSpec], table: PluginTable, resources: Resources, *, within: float = CONNECTING
) -> Mapping[str, Connection]:
    """Connect all at once, each within so many seconds; never raises for what one connection does."""
    connections = await asyncio.gather(*(connect_one(spec, table, resources, within=within) for spec in specs))
    return {connection.name: connection for connection in connections}


async def disconnect_all(connections: Mapping[str, Connection]) -> None:
    """Close the pools of all connections."""
    for connection in connections.values():
        if connection.http is not None:
            await connection.http.aclose()


async def connect_one(
    spec: ConnectionSpec, table: PluginTable, resources: Resources, *, within: float = CONNECTING
) -> Connection:
    """Check a connection's settings and ask its plugin to connect."""
    try:
        plugin = plugin_for(spec.name, spec.plugin, table)
    except ConfigurationError as error:
        return Connection(name=spec.name, plugin=spec.plugin, problem=str(error))
    settings, problems = read_settings(spec.name, plugin.manifest, spec.settings)
    if settings is None:
        return Connection(name=spec.name, plugin=spec.plugin, problem="; ".join(map(str, problems)))
    standing = Connection(name=spec.name, plugin=spec.plugin, settings=settings)
    try:
        hosts = _hosts(plugin.manifest.name, settings)
        http = resources.open_http(hosts)
    except (ConfigurationError, PluginError) as error:
        return replace(standing, problem=without_secrets(str(error), plugin.manifest, spec.settings))
    context = _context(spec, settings, http, resources.open_dial(hosts), resources)
    try:
        return replace(standing, capabilities=await _capabilities(plugin, context, within), http=http)
    except PluginError as error:
        await http.aclose()
        return replace(standing, problem=without_secrets(str(error), plugin.manifest, spec.settings))


def _hosts(plugin: str, settings: PluginSettings) -> tuple[str, ...]:
    try:
        return tuple(settings.outbound_hosts())
    except Exception as error:
        raise PluginError(plugin, f"outbound_hosts failed: {type(error).__name__}: {error}") from error


def _context(
    spec: ConnectionSpec, settings: PluginSettings, http: httpx.AsyncClient, dial: Dial, resources: Resources
) -> ConnectionContext[Any]:
    return ConnectionContext(
        name=spec.name,
        settings=settings,
        http=http,
        dial=dial,
        clock=resources.clock,
        log=resources.log.bind(connection=spec.name, plugin=spec.plugin),
        store=resources.open_store(spec.name),
        public_url=resources.public_url,
        passes=resources.open_passes(spec.name),
    )


async def _capabilities(plugin: LoadedPlugin, context: ConnectionContext[Any], within: float) -> Capabilities:
    name = plugin.manifest.name
    connect = plugin.hooks.get("connect")
    if connect is None:
        raise PluginError(name, "has no hook connect, so no connection can use it")
    try:
        async with asyncio.timeout(within) as limit:
            capabilities = await connect(context=context)
    except TimeoutError as error:
        slow = f"connect did not end within {within:g} seconds"
        raise PluginError(name, slow if limit.expired() else "connect failed: a time-out of its own") from error
    except Exception as error:
        raise PluginError(name, f"connect failed: {type(error).__name__}: {error}") from error
    problem = (
        _broken(capabilities)
        or _broken_contacts(capabilities, context.settings)
        or _broken_audience(capabilities, context.settings)
        or _broken_passes(capabilities, context.settings)
    )
    if problem:
        raise PluginError(name, problem)
    return capabilities  # type: ignore[no-any-return]


#: Parts of what a connection can do, and what each has to be.
_PARTS: Mapping[str, type] = {
    "webhook": WebhookSource,
    "subscriptions": Subscriptions,
    "orders": OrderList,
    "history": OrderHistory,
    "storefront": Storefront,
    "clean": Cleaner,
    "contacts": Contacts,
}
_PART = r"(?:[a-z0-9]+(?:-[a-z0-9]+)*|\{[a-z][a-z0-9_]*\})"
_PATH = re.compile(rf"{_PART}(?:/{_PART})*")


def _broken(capabilities: object) -> str:
    if not isinstance(capabilities, Capabilities):
        return f"connect gave a {type(capabilities).__name__}, not Capabilities"
    for name, kind in _PARTS.items():
        part = getattr(capabilities, name)
        if not isinstance(part, kind | None):
            return f"its {name} is a {type(part).__name__}, not a {kind.__name__}"
    if capabilities.orders is not None and capabilities.fetch is None:
        return "it lists orders, and has no way to fetch one"
    kinds: set[str] = set()
    for sink in capabilities.sinks:
        problem = _broken_sink(sink)
        if problem:
            return problem
        if sink.kind in kinds:
            return f"it has two sinks of kind {sink.kind!r}"
        kinds.add(sink.kind)
    problems = (
        _broken_facts(capabilities.facts),
        _broken_rewards(capabilities),
        _broken_routes(capabilities.routes),
        _broken_channels(capabilities.channels),
    )
    return next(filter(None, problems), "")


def _broken_channels(channels: Sequence[object]) -> str:
    names: set[str] = set()
    for channel in channels:
        name = getattr(channel, "name", "")
        if not isinstance(channel, Channel) or not (isinstance(name, str) and _FACT.fullmatch(name)):
            return f"its channel {type(channel).__name__} is not a Channel with a name of a–z, 0–9 and _"
        if name in names:
            return f"it has two channels called {name!r}"
        if channel.form not in get_args(Form) or channel.needs not in get_args(Need):
            return f"its channel {name!r} has no form and need that there is: {channel.form!r}, {channel.needs!r}"
        if problem := _broken_sink(ChannelSink(channel)):
            return problem
        names.add(name)
    return ""


def _broken_contacts(capabilities: Capabilities, settings: object) -> str:
    if capabilities.contacts is None:
        return ""
    if capabilities.fetch is None or capabilities.webhook is None:
        return "it has contacts, and no way to fetch one or to read what it fetched"
    if not isinstance(settings, ContactSettings):
        return "it has contacts, and its settings are no ContactSettings"
    known: dict[str, str] = {}
    for pair in settings.pairs(capabilities.contacts.defaults):
        if pair.theirs in known:
            return f"fields: {pair.theirs} cannot show both {known[pair.theirs]} and {pair.ours}"
        known[pair.theirs] = pair.ours
    return ""


def _broken_audience(capabilities: Capabilities, settings: object) -> str:
    sink = next((sink for sink in capabilities.sinks if sink.kind == AUDIENCE), None)
    if sink is None:
        return ""
    if not isinstance(sink, AudienceSink):
        return f"its sink {type(sink).__name__} is of kind {AUDIENCE!r}, and no AudienceSink"
    if not isinstance(settings, AudienceSettings):
        return "it has audiences, and its settings are no AudienceSettings"
    if not sink.hashes or not {*sink.hashes} <= {*get_args(HashKind)}:
        return f"its audiences want no hashes that there are: {sink.hashes!r}"
    return ""


def _broken_passes(capabilities: Capabilities, settings: object) -> str:
    sink = next((sink for sink in capabilities.sinks if sink.kind == PASS), None)
    if sink is None:
        return ""
    if not isinstance(sink, PassSink):
        return f"its sink {type(sink).__name__} is of kind {PASS!r}, and no PassSink"
    if not isinstance(settings, PassSettings):
        return "it keeps passes, and its settings are no PassSettings"
    if not isinstance(getattr(sink, "title", None), str) or not sink.title.strip():
        return "its passes have no title: say what people call that wallet"
    return ""


def _broken_routes(routes: Sequence[object]) -> str:
    taken: set[tuple[str, str]] = set()
    for route in routes:
        if not isinstance(route, Route) or route.method not in METHODS or not _PATH.fullmatch(route.path):
            known = ", ".join(METHODS)
            return (
                f"its route {getattr(route, 'path', route)!r} is not {known} of a path of words, dashes and {{parts}}"
            )
        if (route.method, route.path) in taken:
            return f"it has two routes {route.method} {route.path}"
        taken.add((route.method, route.path))
    return ""


def _broken_rewards(capabilities: Capabilities) -> str:
    fulfil, shopper = capabilities.fulfil, capabilities.shopper
    if not isinstance(fulfil, Fulfilment | None):
        return f"its fulfil is a {type(fulfil).__name__}, not a Fulfilment"
    if not isinstance(shopper, ShopperSource | None):
        return f"its shopper is a {type(shopper).__name__}, not a ShopperSource"
    if fulfil is None:
        return ""
    if not fulfil.kinds or any(support.level == "no" for support in fulfil.kinds.values()):
        return "its fulfilment names the kinds of reward that it makes real, and no other"
    return _broken_sink(FulfilmentSink(fulfil, ISSUE))


def _broken_facts(sources: Sequence[object]) -> str:
    names: set[str] = set()
    for source in sources:
        name = getattr(source, "name", "")
        if not isinstance(source, FactSource) or not (isinstance(name, str) and _FACT.fullmatch(name)):
            return f"its fact source {type(source).__name__} is not a FactSource with a name of a–z, 0–9 and _"
        if name in names:
            return f"it has two fact sources called {name!r}"
        names.add(name)
    return ""


def _broken_sink(sink: object) -> str:
    if not isinstance(sink, Sink) or not getattr(sink, "kind", ""):
        return f"its sink {type(sink).__name__} is not a Sink with a kind"
    if sink.batch_size < 1:
        return f"its sink {sink.kind!r} has a batch_size of {sink.batch_size}, not at least 1"
    if sink.rate is not None and (sink.rate.per_second <= 0 or sink.rate.burst < 1):
        return f"its sink {sink.kind!r} has a rate that never lets a call through"
    if any(wait <= 0 for wait in sink.retry.waits):
        return f"its sink {sink.kind!r} has a wait between tries that is not above 0"
    return ""
