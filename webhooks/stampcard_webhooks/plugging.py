"""Connections that are added, changed and removed over HTTP; their secrets go in and never come out."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import structlog
from pydantic import BaseModel, Field
from sqlalchemy import Connection as DatabaseConnection

from stampcard.app import Application
from stampcard.applying.requests import Answer
from stampcard.applying.unit import Unit
from stampcard.domain.value import replace
from stampcard.errors import ConfigurationError, NotFound, PluginError, RequestRefused
from stampcard.host.connecting import ConnectionSpec
from stampcard.host.plugging import (
    changed,
    check_name,
    check_orders_of,
    check_secrets_anew,
    checked,
    try_out,
    without_secrets_of,
)
from stampcard.plugin.manifest import PluginSettings
from stampcard.plugin.subscriptions import Subscribed
from stampcard.storage.listing import count_references, latest_topics
from stampcard.storage.plugging import Plugged, load_plugged, remove_plugged, save_plugged
from stampcard.storage.redemptions import count_open_by
from stampcard_webhooks.asking import Asked, Name, Nothing, Query
from stampcard_webhooks.keys import WELLBEING
from stampcard_webhooks.routing import Call, Route, given

log = structlog.get_logger()

_FILE = "the settings file or the environment"


class Adding(Asked):
    """A connection to be added."""

    name: Name = Field(description="What it is called, also in its webhook's address.")
    plugin: Name
    settings: dict[str, Any] = Field(default={}, description="The plugin's own, as stampcard.toml would have them.")
    orders_of: str = Field(
        default="", max_length=64, description="The connection whose orders it reports, if not its own."
    )
    test: bool = Field(default=True, description="false: do not ask the vendor whether all is well.")


class Changing(Asked):
    """What to change of a connection; the rest stays."""

    settings: dict[str, Any] = Field(default={})
    unset: list[Name] = Field(default=[], max_length=100, description="Settings that go back to their default.")
    test: bool = Field(default=True, description="false: do not ask the vendor whether all is well.")


class PluggedView(BaseModel):
    """A connection that was added, with its settings; of a secret only that there is one."""

    name: str
    plugin: str
    settings: dict[str, Any]
    orders_of: str | None
    webhook: str = Field(description="Where the vendor sends to.")
    added_at: datetime
    changed_at: datetime
    author: str


class SubscribedView(BaseModel):
    """One thing that the vendor sends."""

    topic: str
    address: str
    problem: str


class AuditView(BaseModel):
    """What the vendor sends here, of that which the connection needs."""

    address: str
    good: list[str] = Field(description="Topics that come as they should.")
    missing: list[str] = Field(description="Topics that do not come.")
    heard: list[str] = Field(description="Topics that came lately, though the vendor does not list them.")
    wrong: list[SubscribedView] = Field(description="What comes otherwise than it should.")
    foreign: list[SubscribedView] = Field(description="What goes elsewhere, too.")
    by_hand: list[str] = Field(description="What people alone can set at the vendor.")


class RemovedView(BaseModel):
    """A connection that is gone, and how much was still to be sent there."""

    name: str
    unsent: int
    ended: int | None = Field(
        description="Webhook subscriptions that ended at the vendor; null where it cannot be asked."
    )
    stays: list[str] = Field(description="What stays at the vendor; `stampcard connection remove` takes it away first.")


async def add_connection(call: Call[Query, Adding]) -> Answer:
    """Add one; every process plugs it in within a second."""
    body, application = call.body, call.application
    known = await _known(call)
    taken = {
        **dict.fromkeys(known, "the database"),
        **dict.fromkeys(filter(application.stands_in_file, application.sources), _FILE),
    }
    check_name(body.name, taken)
    check_orders_of(body.name, body.orders_of, application.sources)
    one = Plugged(
        name=body.name, plugin=body.plugin, settings=body.settings, added_at=call.now, changed_at=call.now,
        orders_of=body.orders_of, author=call.key.name,
    )  # fmt: skip
    return await _save(call, one, status=201, test=body.test)


async def change_connection(call: Call[Query, Changing]) -> Answer:
    """Change settings of one: a new secret, say."""
    one = await _stored(call)
    if not call.body.settings and not call.body.unset:
        raise RequestRefused("nothing_to_change", "say what to change: settings, or names to unset")
    settings = changed(one.settings, call.body.settings, call.body.unset)
    after = replace(one, settings=settings, changed_at=call.now, author=call.key.name)
    with suppress(ConfigurationError):  # settings that are wrong are told of when they are saved
        read = _read(call.application, after)
        check_secrets_anew(_standing(call.application, one), read, call.body.settings)
    return await _save(call, after, status=200, test=call.body.test)


async def remove_connection(call: Call[Query, Nothing]) -> Answer:
    """Unplug one and forget its secrets; what it brought stays, here and at the vendor."""
    one = await _stored(call)
    ended = await _unsubscribed(call, one.name)
    standing = call.application.connections.get(one.name)
    cleaner = standing.capabilities.clean if standing is not None and standing.capabilities is not None else None

    def work(unit: Unit) -> Answer:
        setting, stays = unit.setting, list[str]()
        codes = count_open_by(unit.connection, call.merchant, one.name)
        if codes:
            stays.append(f"{codes} codes that nobody used yet")
        if cleaner is not None and count_references(unit.connection, call.merchant, one.name, None):
            stays.append(cleaner.what)
        unsent = remove_plugged(unit.connection, call.merchant, setting.sealer, setting.numbering, one.name, unit.now)
        return given(RemovedView(name=one.name, unsent=unsent, ended=ended, stays=stays))

    return await _done(call, one.name, await call.write(work))


async def _unsubscribed(call: Call[Any, Any], name: str) -> int | None:
    """Let the vendor send nothing more, as far as it lets us."""
    application = call.application
    one = application.connections.get(name)
    subscriptions = one.capabilities.subscriptions if one is not None and one.capabilities is not None else None
    if subscriptions is None:
        return None
    try:
        return await subscriptions.end(f"{application.public_url}/webhooks/{name}")
    except PluginError as error:
        log.warning("subscriptions_stay", connection=name, reason=str(error))
        return None


async def show_settings(call: Call[Query, Nothing]) -> PluggedView:
    """What one was told, without its secrets."""
    one = await _stored(call)
    try:
        return _view(call.application, one)
    except ConfigurationError as error:
        raise RequestRefused("settings", str(error)) from None


async def show_webhooks(call: Call[Query, Nothing]) -> AuditView:
    """Ask the vendor what it sends here."""
    return await _audit(call, mend=False)


async def mend_webhooks(call: Call[Query, Nothing]) -> Answer:
    """Let the vendor send what is missing, and set right what is wrong; done twice it changes nothing."""
    return given(await _audit(call, mend=True))


async def _audit(call: Call[Any, Any], *, mend: bool) -> AuditView:
    name, application = call.path["name"], call.application
    one = application.connections.get(name) if call.is_at_home else None
    if one is None:
        raise NotFound("connection", name)
    subscriptions = one.capabilities.subscriptions if one.capabilities is not None else None
    if subscriptions is None:
        raise RequestRefused("no_subscriptions", one.problem or f"nothing can be asked of the plugin {one.plugin!r}")
    address = f"{application.public_url}/webhooks/{name}"
    if not address.startswith("https://"):
        raise RequestRefused("no_public_url", "http.public_url must be the https address that the outside reaches")
    heard = await call.read(lambda connection: latest_topics(connection, call.merchant, name))
    try:
        audit = await (subscriptions.mend(address, heard) if mend else subscriptions.look(address))
    except PluginError as error:
        raise RequestRefused("unreachable", str(error)) from None
    return AuditView(
        address=address,
        good=[subscribed.topic for subscribed in audit.good],
        missing=[topic for topic in audit.missing if topic not in heard],
        heard=[topic for topic in audit.missing if topic in heard],
        wrong=list(map(_subscribed, audit.wrong)),
        foreign=list(map(_subscribed, audit.foreign)),
        by_hand=list(audit.by_hand),
    )


def _subscribed(one: Subscribed) -> SubscribedView:
    return SubscribedView(topic=one.topic, address=one.address, problem=one.problem)


async def _save(call: Call[Any, Any], one: Plugged, *, status: int, test: bool) -> Answer:
    application, sealer = call.application, call.setting.sealer
    spec = ConnectionSpec(name=one.name, plugin=one.plugin, settings=one.settings)
    try:
        view = _view(application, one)
    except ConfigurationError as error:
        raise RequestRefused("settings", str(error)) from None
    if test:
        health = await try_out(spec, application.table, application.resources)
        if health is not None and not health.ok and not health.open:
            raise RequestRefused("unreachable", f"{health.problem}; or leave the test out")

    def work(unit: Unit) -> Answer:
        save_plugged(unit.connection, call.merchant, sealer, one)
        return given(view, status=status)

    return await _done(call, one.name, await call.write(work))


def _read(application: Application, one: Plugged) -> PluginSettings:
    return checked(ConnectionSpec(name=one.name, plugin=one.plugin, settings=one.settings), application.table)


def _standing(application: Application, one: Plugged) -> PluginSettings | None:
    """What is stored, as its plugin reads it; None where another version of it reads it no more."""
    try:
        return _read(application, one)
    except ConfigurationError:
        return None


async def _done(call: Call[Any, Any], name: str, answer: Answer) -> Answer:
    call.server[WELLBEING].forget(name)
    await call.application.refresh()
    return answer


async def _known(call: Call[Any, Any]) -> Mapping[str, Plugged]:
    if not call.is_at_home:
        raise RequestRefused("elsewhere", "the connections of this merchant are configured elsewhere")
    sealer = call.setting.sealer

    def read(connection: DatabaseConnection) -> list[Plugged]:
        return load_plugged(connection, call.merchant, sealer)

    return {one.name: one for one in await call.read(read)}


async def _stored(call: Call[Any, Any]) -> Plugged:
    """The named connection; raises NotFound, RequestRefused for one of the settings file."""
    name, known = call.path["name"], await _known(call)
    if call.application.stands_in_file(name):
        raise RequestRefused("of_the_file", f"{name!r} stands in {_FILE}: change it there, and restart")
    if name not in known:
        raise NotFound("connection", name)
    return known[name]


def _view(application: Application, one: Plugged) -> PluggedView:
    return PluggedView(
        name=one.name,
        plugin=one.plugin,
        settings=without_secrets_of(_read(application, one)),
        orders_of=one.orders_of or None,
        webhook=f"{application.public_url}/webhooks/{one.name}",
        added_at=one.added_at,
        changed_at=one.changed_at,
        author=one.author,
    )


ROUTES = (
    Route(
        method="POST",
        path="/connections",
        scope="connections:plug",
        summary="Add a connection",
        handler=add_connection,
        takes=Adding,
        gives=PluggedView,
        status=201,
    ),
    Route(
        method="GET",
        path="/connections/{name}/settings",
        scope="connections:read",
        summary="Show what a connection was told, without secrets",
        handler=show_settings,
        gives=PluggedView,
    ),
    Route(
        method="PATCH",
        path="/connections/{name}",
        scope="connections:plug",
        summary="Change settings of a connection",
        handler=change_connection,
        takes=Changing,
        gives=PluggedView,
    ),
    Route(
        method="GET",
        path="/connections/{name}/webhooks",
        scope="connections:read",
        summary="Ask the vendor which webhooks it sends here",
        handler=show_webhooks,
        gives=AuditView,
    ),
    Route(
        method="POST",
        path="/connections/{name}/webhooks",
        scope="connections:plug",
        summary="Let the vendor send the webhooks that are missing",
        handler=mend_webhooks,
        gives=AuditView,
    ),
    Route(
        method="DELETE",
        path="/connections/{name}",
        scope="connections:plug",
        summary="Remove a connection",
        handler=remove_connection,
        gives=RemovedView,
    ),
)
