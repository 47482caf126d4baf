"""Puts the layers together: the environment wins over secret files, these over stampcard.toml, this over defaults."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stampcard.errors import ConfigurationError, InvalidSettings
from stampcard.settings.model import Settings
from stampcard.settings.sources import (
    CONFIG,
    Layer,
    fields_at,
    of_environment,
    of_secret_files,
    of_toml,
    suggestion,
)

FILE = "stampcard.toml"
DEFAULT = "default"

#: What is said for pydantic's own error types.
_SAID = {
    "missing": "is missing",
    "model_type": "is a table: write its settings below […]",
    "model_attributes_type": "is a table: write its settings below […]",
    "dict_type": "is a table: write its settings below […]",
    "string_type": "write text here, in quotes",
    "tuple_type": 'write a list here, such as ["one", "two"]',
    "path_type": "write a path here, in quotes",
    "string_pattern_mismatch": "write lower-case letters, digits, _ and - here",
}
#: Settings whose value must not be shown.
_HIDDEN = frozenset({"database", "connections"})


def load_settings(
    path: Path | None = None, *, environ: Mapping[str, str] = os.environ, require_file: bool = False
) -> Settings:
    """The settings of this installation; `path`, or STAMPCARD_CONFIG, or ./stampcard.toml if it is there.

    Raises ConfigurationError, or InvalidSettings with all problems.
    """
    return load_with_origins(path, environ=environ, require_file=require_file)[0]


def load_with_origins(
    path: Path | None = None, *, environ: Mapping[str, str] = os.environ, require_file: bool = False
) -> tuple[Settings, Callable[[str], str]]:
    """The settings, and a function that tells where one of them (``http.port``) was set."""
    file = _file(path, environ, require_file)
    toml = of_toml(file) if file else Layer()
    connections = toml.data.get("connections")
    names = tuple(connections) if isinstance(connections, Mapping) else ()
    layers = (of_environment(environ, names), of_secret_files(environ, names), toml)

    def origin(setting: str) -> str:
        return next((found for layer in layers if (found := layer.origin(setting))), DEFAULT)

    data: dict[str, Any] = {}
    for layer in reversed(layers):
        data = _over(data, layer.data)
    problems = [problem for layer in layers for problem in layer.problems]
    settings, wrong = _validated(data, origin)
    problems += wrong
    if len(problems) == 1:
        raise problems[0]
    if settings is None or problems:
        raise InvalidSettings(problems)
    return settings.below((file.parent if file else Path()).absolute()), origin


def _file(path: Path | None, environ: Mapping[str, str], required: bool) -> Path | None:
    named = path or (Path(environ[CONFIG]) if environ.get(CONFIG) else None)
    file = (named or Path(FILE)).expanduser().absolute()
    if file.is_file():
        return file
    if named or required:
        raise ConfigurationError(str(file), "there is no such file", "Make one by: stampcard init")
    return None


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _over(under, value) if isinstance(value, Mapping) and isinstance(under, Mapping) else value
    return merged


def _validated(
    data: Mapping[str, Any], origin: Callable[[str], str]
) -> tuple[Settings | None, list[ConfigurationError]]:
    try:
        return Settings(**data), []
    except ValidationError as error:
        return None, [problem for details in error.errors(include_url=False) for problem in _problems(details, origin)]


def _problems(details: ErrorDetails, origin: Callable[[str], str]) -> list[ConfigurationError]:
    setting = ".".join(map(str, details["loc"]))
    if setting == "connections" and details["type"] == "value_error":
        return [ConfigurationError(*line.split(": ", 1)) for line in str(details["ctx"]["error"]).splitlines()]
    problem, remedy = _message(details, setting)
    found = origin(setting)
    return [ConfigurationError(setting, problem + (f" ({found})" if found != DEFAULT else ""), remedy)]


def _message(details: ErrorDetails, setting: str) -> tuple[str, str]:
    place, kind = details["loc"], details["type"]
    if kind == "extra_forbidden":
        known = fields_at(place[:-1])
        return "there is no such setting", suggestion(str(place[-1]), known) or f"Known: {', '.join(known)}"
    if kind == "value_error":
        return str(details["ctx"]["error"]), ""
    said = _SAID.get(kind, details["msg"]).replace("[…]", f"[{setting}]")
    shown = isinstance(details["input"], str | int | float) and place[0] not in _HIDDEN
    return said[:1].lower() + said[1:] + (f", not {details['input']!r}" if shown else ""), ""
