"""Checks a connection's section against its plugin's settings model, and says what to change without showing a secret."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import SecretBytes, SecretStr, ValidationError

from stampcard.errors import ConfigurationError
from stampcard.host.discovering import LoadedPlugin, PluginTable
from stampcard.plugin.manifest import PluginManifest, PluginSettings

HIDDEN = "…"

# A default that is made of other settings cannot be made while one of those is wrong: that one is told already.
_CONSEQUENCES = frozenset({"default_factory_not_called"})


def plugin_for(connection: str, plugin: str, table: PluginTable) -> LoadedPlugin:
    """The plugin that a connection names; raises ConfigurationError if it is not installed or has failed."""
    setting = f"connections.{connection}.plugin"
    if plugin in table.ready:
        return table.ready[plugin]
    for failed in table.failed:
        if failed.name == plugin:
            raise ConfigurationError(setting, f"the plugin {plugin!r} cannot be used: {failed.reason}")
    known = ", ".join(table.ready) or "none"
    remedy = _suggestion(plugin, table.ready) or f"Installed: {known}"
    raise ConfigurationError(setting, f"there is no plugin {plugin!r}", remedy)


def read_settings(
    connection: str, manifest: PluginManifest, section: Mapping[str, Any]
) -> tuple[PluginSettings | None, tuple[ConfigurationError, ...]]:
    """A plugin's settings from a connection's section, or everything that is wrong with the section."""
    try:
        return manifest.settings.model_validate(dict(section)), ()
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
    except Exception as error:  # noqa: BLE001 - a plugin's own validators run in here
        problem = without_secrets(f"{type(error).__name__}: {error}", manifest, section)
        return None, (ConfigurationError(f"connections.{connection}", f"the plugin could not read it: {problem}"),)
    return None, tuple(
        _problem(connection, manifest, section, detail["type"], detail["loc"], detail["msg"])
        for detail in details
        if detail["type"] not in _CONSEQUENCES
    )


def without_secrets(text: str, manifest: PluginManifest, section: Mapping[str, Any]) -> str:
    """The text with every secret of a section taken out."""
    for secret in sorted(set(_secrets(manifest, section)), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def revealed(value: Any) -> Any:
    """A plugin's settings as plain values, secrets in clear text: only for who signs in their name."""
    if isinstance(value, PluginSettings):
        return {name: revealed(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, SecretStr | SecretBytes):
        return value.get_secret_value()
    if isinstance(value, Mapping):
        return {key: revealed(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [revealed(part) for part in value]
    return value


def _problem(
    connection: str,
    manifest: PluginManifest,
    section: Mapping[str, Any],
    kind: str,
    place: tuple[int | str, ...],
    message: str,
) -> ConfigurationError:
    setting = ".".join(map(str, ("connections", connection, *place)))
    key = str(place[0]) if place else ""
    if kind == "missing":
        variable = "__".join(map(str, ("STAMPCARD_CONNECTIONS", connection, *place))).upper()
        return ConfigurationError(setting, "is missing", f"Set it in stampcard.toml or as {variable}")
    is_inside = any(isinstance(part, str) for part in place[1:])
    if kind == "extra_forbidden" and is_inside:
        return ConfigurationError(setting, "there is no such setting")
    if kind == "extra_forbidden":
        known = ", ".join(sorted(manifest.settings.model_fields)) or "none"
        remedy = _suggestion(key, manifest.settings.model_fields)
        return ConfigurationError(setting, "there is no such setting", remedy or f"Known: {known}")
    if kind == "string_pattern_mismatch" and not is_inside:
        field = manifest.settings.model_fields.get(key)
        said = field.description if field is not None else None
        return ConfigurationError(setting, "is not written as it has to be", f"It is {said}" if said else message)
    problem = message.removeprefix("Value error, ")
    return ConfigurationError(setting, without_secrets(problem, manifest, section))


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"Did you mean {close[0]!r}?" if close else ""


def _secrets(manifest: PluginManifest, section: Mapping[str, Any]) -> Iterator[str]:
    fields = manifest.settings.model_fields
    for key, value in section.items():
        # An unknown key may be a misspelt secret.
        if key not in fields or is_secret(fields[key].annotation):
            yield from _texts(value)


def is_secret(annotation: Any) -> bool:
    """Whether a setting of this type is a secret, or holds some."""
    if isinstance(annotation, type) and issubclass(annotation, SecretStr | SecretBytes):
        return True
    return any(is_secret(part) for part in get_args(annotation))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, str) and value:
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
