import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import httpx
import pytest
import structlog
from pydantic import Field, SecretStr, field_validator

from stampcard.clock import SystemClock
from stampcard.host.connecting import Connection, ConnectionSpec, Resources, connect_all, disconnect_all
from stampcard.host.discovering import PluginTable, discover
from stampcard.plugin import (
    BalancePush,
    Capabilities,
    ConnectionContext,
    Delivered,
    Outcome,
    PluginManifest,
    PluginSettings,
    Rate,
    Reply,
    RetryPolicy,
    Route,
    Sink,
    UnverifiedRequest,
    hookimpl,
)
from stampcard.plugin.connections import NoPasses, closed_dial

SECRET = "hush-hush-hush"
GOOD = {"api_url": "https://api.example.com/v2", "webhook_secret": SECRET}


class ShopSettings(PluginSettings):
    webhook_secret: SecretStr
    old_secrets: tuple[SecretStr, ...] = ()
    api_url: str = "https://api.example.com"
    batch: int = 1
    label: str = Field(default_factory=lambda data: f"{data['batch']} at once")

    @field_validator("webhook_secret")
    @classmethod
    def long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < 4:
            message = f"{value.get_secret_value()!r} is too short"
            raise ValueError(message)
        return value

    @field_validator("old_secrets")
    @classmethod
    def older(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if len(value) > 1:
            raise LookupError(value[0].get_secret_value())
        return value


class BalanceSink(Sink[BalancePush]):
    def __init__(self, **declared: Any) -> None:
        self.kind = "balance"
        vars(self).update(declared)

    async def deliver(self, items: Sequence[BalancePush]) -> Sequence[Outcome]:
        return [Delivered() for _ in items]


class Memory:
    def __init__(self, connection: str) -> None:
        self.connection = connection
        self.kept: dict[str, bytes] = {}

    async def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    async def set(self, key: str, value: bytes) -> None:
        self.kept[key] = value

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:  # noqa: ARG002 - nobody else is there
        yield


class Opened:
    """The clients that connections were given, and the hosts they named."""

    def __init__(self) -> None:
        self.hosts: list[tuple[str, ...]] = []
        self.clients: list[httpx.AsyncClient] = []

    def open(self, hosts: Sequence[str]) -> httpx.AsyncClient:
        self.hosts.append(tuple(hosts))
        self.clients.append(httpx.AsyncClient(trust_env=False))
        return self.clients[-1]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    opened = Opened()
    yield opened
    for client in opened.clients:
        await client.aclose()


def table_of(connect: Callable[..., Any] | None) -> PluginTable:
    module = ModuleType("shop")

    def plugin_manifest() -> PluginManifest:
        return PluginManifest(name="shop", summary="a shop", settings=ShopSettings)

    module.plugin_manifest = hookimpl(plugin_manifest)  # type: ignore[attr-defined]
    if connect is not None:
        module.connect = hookimpl(connect)  # type: ignore[attr-defined]
    table = discover({"shop": module}, entries=())
    assert not table.failed
    return table


def giving(answer: Any) -> Callable[..., Any]:
    async def connect(context: ConnectionContext[ShopSettings]) -> Any:
        return answer

    return connect


def resources_of(opened: Opened) -> Resources:
    return Resources(
        clock=SystemClock(),
        log=structlog.get_logger(),
        public_url="https://points.example.com",
        open_store=Memory,
        open_http=opened.open,
        open_dial=lambda _: closed_dial,
        open_passes=lambda _: NoPasses(),
    )


def route(path: str) -> Route:
    async def handler(_: UnverifiedRequest) -> Reply:
        return Reply()

    return Route(method="GET", path=path, handler=handler)


async def connected(
    opened: Opened,
    connect: Callable[..., Any] | None = None,
    settings: Mapping[str, Any] = GOOD,
    plugin: str = "shop",
    within: float = 5.0,
) -> Connection:
    spec = ConnectionSpec(name="east", plugin=plugin, settings=settings)
    connections = await connect_all(
        [spec], table_of(connect or giving(Capabilities())), resources_of(opened), within=within
    )
    return connections["east"]


async def test_a_sound_connection_stands_and_its_plugin_got_checked_settings(opened: Opened) -> None:
    seen: list[ConnectionContext[ShopSettings]] = []

    async def connect(context: ConnectionContext[ShopSettings]) -> Capabilities:
        seen.append(context)
        return Capabilities(sinks=(BalanceSink(),))

    connection = await connected(opened, connect)
    assert connection.problem == ""
    assert connection.capabilities is not None
    assert seen[0].settings.webhook_secret.get_secret_value() == SECRET
    assert seen[0].http is connection.http
    assert seen[0].public_url == "https://points.example.com"
    await disconnect_all({"east": connection})
    assert opened.clients[0].is_closed


async def test_the_host_of_the_api_url_is_the_one_the_connection_may_call(opened: Opened) -> None:
    await connected(opened, settings={**GOOD, "api_url": "https://user:pass@crm.example.org:8443/x"})
    assert opened.hosts == [("crm.example.org:8443",)]


async def test_a_missing_secret_is_named_with_the_variable_that_would_set_it(opened: Opened) -> None:
    connection = await connected(opened, settings={})
    assert connection.capabilities is None
    assert connection.problem.startswith("connections.east.webhook_secret: is missing")
    assert "STAMPCARD_CONNECTIONS__EAST__WEBHOOK_SECRET" in connection.problem


async def test_an_unknown_key_is_answered_with_a_suggestion(opened: Opened) -> None:
    connection = await connected(opened, settings={**GOOD, "webhok_secret": SECRET})
    assert connection.problem == (
        "connections.east.webhok_secret: there is no such setting. Did you mean 'webhook_secret'?"
    )


async def test_every_problem_of_a_section_is_told_at_once_and_no_secret(opened: Opened) -> None:
    connection = await connected(opened, settings={"webhook_secret": "abc", "batch": "many", "colour": "red"})
    assert "connections.east.batch: " in connection.problem
    assert "connections.east.colour: there is no such setting. Known: api_url, batch" in connection.problem
    assert "connections.east.webhook_secret: '…' is too short" in connection.problem
    assert "abc" not in connection.problem
    assert "connections.east.label" not in connection.problem


async def test_a_model_that_breaks_down_fails_its_connection_only_and_shows_no_secret(opened: Opened) -> None:
    connection = await connected(opened, settings={**GOOD, "old_secrets": [SECRET, "another"]})
    assert connection.problem == "connections.east: the plugin could not read it: LookupError: …"


async def test_a_secret_of_the_wrong_type_is_not_shown(opened: Opened) -> None:
    connection = await connected(opened, settings={"webhook_secret": {"value": SECRET}, "old_secrets": SECRET})
    assert "connections.east.webhook_secret" in connection.problem
    assert SECRET not in connection.problem


async def test_a_plugin_that_is_not_installed_is_answered_with_a_suggestion(opened: Opened) -> None:
    connection = await connected(opened, plugin="shp")
    assert connection.problem == "connections.east.plugin: there is no plugin 'shp'. Did you mean 'shop'?"


async def test_a_plugin_that_failed_is_told_with_its_reason(opened: Opened) -> None:
    table = discover({"shop": ModuleType("empty")}, entries=())
    connections = await connect_all([ConnectionSpec(name="east", plugin="shop")], table, resources_of(opened))
    assert "cannot be used: has no hook plugin_manifest" in connections["east"].problem


async def test_a_connect_that_takes_too_long_is_given_up_with_a_text(opened: Opened) -> None:
    async def connect(context: Any) -> Capabilities:
        await asyncio.Event().wait()
        return Capabilities()

    connection = await connected(opened, connect, within=0.01)
    assert connection.problem == "plugin 'shop': connect did not end within 0.01 seconds"
    assert opened.clients[0].is_closed


async def test_a_time_out_of_the_plugins_own_is_not_blamed_on_the_limit(opened: Opened) -> None:
    async def connect(context: Any) -> Capabilities:
        raise TimeoutError

    assert "a time-out of its own" in (await connected(opened, connect)).problem


async def test_a_connect_that_fails_is_told_without_its_secret(opened: Opened) -> None:
    async def connect(context: ConnectionContext[ShopSettings]) -> Capabilities:
        message = f"401 for token {context.settings.webhook_secret.get_secret_value()}"
        raise ConnectionError(message)

    connection = await connected(opened, connect)
    assert connection.problem == "plugin 'shop': connect failed: ConnectionError: 401 for token …"


async def test_one_connection_that_fails_leaves_the_others_standing(opened: Opened) -> None:
    async def connect(context: ConnectionContext[ShopSettings]) -> Capabilities:
        if context.name == "west":
            raise LookupError
        return Capabilities()

    specs = [ConnectionSpec(name=name, plugin="shop", settings=GOOD) for name in ("east", "west")]
    connections = await connect_all(specs, table_of(connect), resources_of(opened))
    assert connections["east"].problem == ""
    assert connections["west"].problem


async def test_a_plugin_without_connect_cannot_have_connections(opened: Opened) -> None:
    specs = [ConnectionSpec(name="east", plugin="shop", settings=GOOD)]
    connections = await connect_all(specs, table_of(None), resources_of(opened))
    assert "has no hook connect" in connections["east"].problem


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (None, "gave a NoneType, not Capabilities"),
        (Capabilities(webhook="x"), "not a WebhookSource"),  # type: ignore[arg-type]
        (Capabilities(sinks=(BalanceSink(), BalanceSink())), "two sinks of kind 'balance'"),
        (Capabilities(sinks=(BalanceSink(batch_size=0),)), "batch_size of 0"),
        (Capabilities(sinks=(BalanceSink(rate=Rate(per_second=0, burst=1)),)), "never lets a call through"),
        (Capabilities(sinks=(BalanceSink(retry=RetryPolicy(waits=(5, 0))),)), "not above 0"),
        (Capabilities(sinks=("x",)), "not a Sink with a kind"),  # type: ignore[arg-type]
        (Capabilities(routes=(route("install"), route("install"))), "two routes GET install"),
        (Capabilities(routes=(route("../up"),)), "its route '../up'"),
        (Capabilities(clean="x"), "not a Cleaner"),  # type: ignore[arg-type]
    ],
)
async def test_capabilities_that_break_the_contract_are_refused(answer: Any, problem: str, opened: Opened) -> None:
    connection = await connected(opened, giving(answer))
    assert connection.capabilities is None
    assert problem in connection.problem
