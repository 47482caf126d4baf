"""A connection as somebody describes it: checked against its plugin, and shown without its secrets."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from stampcard.errors import Conflict, InvalidSettings, RequestRefused, told
from stampcard.host.connecting import Connection, ConnectionSpec, Resources, connect_one, disconnect_all
from stampcard.host.discovering import PluginTable
from stampcard.host.sections import HIDDEN, is_secret, plugin_for, read_settings
from stampcard.plugin.capabilities import Health
from stampcard.plugin.manifest import PluginManifest, PluginSettings

_NAME = re.compile(r"[a-z0-9]([a-z0-9_-]{0,62}[a-z0-9])?")


class Forgetful:
    """A store that a trial leaves nothing behind in."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}
        self._held: dict[str, asyncio.Lock] = {}

    async def get(self, key: str) -> bytes | None:
        """The stored value, or None."""
        return self._kept.get(key)

    async def set(self, key: str, value: bytes) -> None:
        """Store a value."""
        self._kept[key] = value

    @asynccontextmanager
    async def hold(self, key: str) -> AsyncIterator[None]:
        """Let nobody else hold the key until the block ends."""
        async with self._held.setdefault(key, asyncio.Lock()):
            yield


async def try_out(spec: ConnectionSpec, table: PluginTable, resources: Resources) -> Health | None:
    """Connect once and ask how it is; nothing of it stays."""
    connection = await connect_one(spec, table, replace(resources, open_store=lambda _: Forgetful()))
    try:
        return await health_of(connection)
    finally:
        await disconnect_all({spec.name: connection})


async def health_of(connection: Connection) -> Health | None:
    """What a connection says of itself; None where its plugin has no check."""
    if connection.capabilities is None:
        return Health(ok=False, problem=connection.problem)
    if connection.capabilities.check_health is None:
        return None
    try:
        return await connection.capabilities.check_health()
    except Exception as error:  # noqa: BLE001 - a plugin's own code
        return Health(ok=False, problem=f"its check failed: {told(error)}")


def checked(spec: ConnectionSpec, table: PluginTable) -> PluginSettings:
    """A connection's settings as its plugin reads them; raises ConfigurationError, or InvalidSettings with all problems."""
    manifest = plugin_for(spec.name, spec.plugin, table).manifest
    settings, problems = read_settings(spec.name, manifest, spec.settings)
    if settings is None:
        raise InvalidSettings(problems)
    return settings


def check_name(name: str, taken: Mapping[str, str]) -> None:
    """Raise RequestRefused for a name that a webhook's address cannot have, Conflict for one that is taken.

    `taken`: name → where it stands.
    """
    if not _NAME.fullmatch(name):
        problem = f"{name!r} is no name for a connection: lower-case letters, digits, _ and -, at most 64"
        raise RequestRefused("bad_name", problem)
    if name in taken:
        raise Conflict("connection_exists", f"there is a connection {name!r} already, in {taken[name]}")


def check_orders_of(name: str, owner: str, owners: Mapping[str, str]) -> None:
    """Raise RequestRefused where a connection cannot report the orders of that one; `owners`: connection → whose it reports."""
    if not owner or owner == name:
        return
    if owner not in owners:
        known = ", ".join(sorted(owners)) or "none"
        raise RequestRefused("unknown_connection", f"there is no connection {owner!r}; there is: {known}")
    if owners[owner] != owner:
        raise RequestRefused("orders_of", f"{owner!r} itself reports orders of {owners[owner]!r}")
    if name in owners.values():
        raise RequestRefused("orders_of", f"other connections report orders of {name!r}")


def check_secrets_anew(before: PluginSettings | None, after: PluginSettings, given: Collection[str]) -> None:
    """Raise RequestRefused where a stored secret would reach a host that it was not given for; `given`: settings told anew.

    Who may change a connection could read its secrets otherwise, by an address of their own.
    """
    known = before.outbound_hosts() if before is not None else ()
    hosts = [host for host in after.outbound_hosts() if host not in known]
    fields = type(after).model_fields
    kept = [name for name in fields if name in after.model_fields_set and is_secret(fields[name].annotation)]
    kept = [name for name in kept if name not in given and getattr(after, name)]
    if hosts and kept:
        problem = f"{hosts[0]} is another host than the stored secrets were given for: give {', '.join(kept)} anew"
        raise RequestRefused("secrets_anew", problem)


def questions(manifest: PluginManifest) -> tuple[str, ...]:
    """The settings that a person is asked for: those that the plugin names, else those that must be given."""
    fields = manifest.settings.model_fields
    return manifest.asks or tuple(name for name, field in fields.items() if field.is_required())


def is_secret_setting(manifest: PluginManifest, name: str) -> bool:
    """Whether a setting is not to be seen while it is typed."""
    field = manifest.settings.model_fields.get(name)
    return field is not None and is_secret(field.annotation)


def plain(written: str) -> Any:
    """What somebody wrote after `KEY=`: text, or a list, table, number or truth in JSON."""
    if written[:1] in {"[", "{"} or written in {"true", "false"}:
        try:
            return json.loads(written)
        except ValueError:
            return written
    return written


def without_secrets_of(settings: PluginSettings) -> dict[str, Any]:
    """Every setting as it may be shown; of a secret only that there is one."""
    return {name: _hidden(getattr(settings, name)) for name in type(settings).model_fields}


def _hidden(value: Any) -> Any:
    if isinstance(value, SecretStr | SecretBytes):
        return HIDDEN
    if isinstance(value, BaseModel):  # as it is written, so that it can be given back
        return {of.alias or name: _hidden(getattr(value, name)) for name, of in type(value).model_fields.items()}
    if isinstance(value, Mapping):
        return {key: _hidden(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(part) for part in value]
    return value


def changed(settings: Mapping[str, Any], values: Mapping[str, Any], gone: Sequence[str]) -> dict[str, Any]:
    """Settings with some values changed and others left out again; raises RequestRefused for what was not there."""
    missing = [name for name in gone if name not in settings]
    if missing:
        raise RequestRefused("not_set", f"{missing[0]!r} is not set")
    return {name: value for name, value in {**settings, **values}.items() if name not in gone}
