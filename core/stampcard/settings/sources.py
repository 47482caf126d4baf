"""The places that settings come from, each read into one layer that knows where every value stood."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from stampcard.domain.value import Value
from stampcard.errors import ConfigurationError
from stampcard.settings.model import PREFIX, Settings

CONFIG = f"{PREFIX}CONFIG"
SECRETS_DIR = f"{PREFIX}SECRETS_DIR"
LARGEST_SECRET = 64 * 1024

_OWN = frozenset({CONFIG, SECRETS_DIR})
# Kubernetes tells every pod about a service called "stampcard" by these.
_OF_A_SERVICE = re.compile(rf"{PREFIX}(SERVICE_(HOST|PORT)(_.*)?|PORT_\d+_(TCP|UDP|SCTP).*)")
_OF_A_LINK = re.compile(r"(tcp|udp|sctp)://.*")


class Layer(Value, frozen=True):
    """What one place says; `origins` names for each setting (``http.port``) where exactly it stands."""

    data: Mapping[str, Any] = {}
    origins: Mapping[str, str] = {}
    problems: tuple[ConfigurationError, ...] = ()

    def origin(self, setting: str) -> str | None:
        """Where a setting stands; for a part of something written as one, where that stands."""
        parts = setting.split(".")
        names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
        return next((self.origins[name] for name in names if name in self.origins), None)


class _Variables(EnvSettingsSource):
    """Variables from wherever."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(Settings)
        self.env_vars = {name.lower(): value for name, value in variables.items() if value}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:  # noqa: ARG002 - theirs
        return _read(value)


def of_environment(environ: Mapping[str, str], names: Iterable[str]) -> Layer:
    """The variables that begin with STAMPCARD_; `names` are the connections of stampcard.toml."""
    ours = {name.upper(): value for name, value in environ.items() if name.upper().startswith(PREFIX)}
    return _of_variables(ours, {name: name for name in ours}, names)


def of_secret_files(environ: Mapping[str, str], names: Iterable[str]) -> Layer:
    """The files in the folder that STAMPCARD_SECRETS_DIR names, called like the variables."""
    folder = environ.get(SECRETS_DIR)
    if not folder:
        return Layer()
    files = {path.name.upper(): path for path in _files(Path(folder))}
    texts = {name: _secret(path) for name, path in files.items()}
    return _of_variables(texts, {name: str(path) for name, path in files.items()}, names)


def of_toml(path: Path) -> Layer:
    """What a stampcard.toml says; raises ConfigurationError naming file, line and column."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(str(path), f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigurationError(str(path), "is not text in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        problem, _, place = str(error).rstrip(")").rpartition(" (at ")
        raise ConfigurationError(f"{path}, {place}", problem[:1].lower() + problem[1:]) from None
    return Layer(data=data, origins=dict.fromkeys(_written(data), str(path)))


def suggestion(word: str, known: Iterable[str]) -> str:
    """``Did you mean …?``, or nothing when nothing is near."""
    close = get_close_matches(word, list(known), n=1)
    return f"Did you mean {close[0]!r}?" if close else ""


def fields_at(place: tuple[int | str, ...]) -> tuple[str, ...]:
    """The settings that the table at this place knows."""
    model: Any = Settings
    for part in place:
        field = model.model_fields.get(str(part)) if isinstance(model, type) and issubclass(model, BaseModel) else None
        model = field.annotation if field else None
    return tuple(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else ()


def _of_variables(variables: Mapping[str, str], origins: Mapping[str, str], names: Iterable[str]) -> Layer:
    data = _Variables(variables)()
    # A variable's name has neither dashes nor cases, a connection's may.
    renamed = {_plain(name): name for name in names}
    if isinstance(data.get("connections"), dict):
        data["connections"] = {renamed.get(_plain(key), key): _read(part) for key, part in data["connections"].items()}
    return Layer(
        data=data,
        origins={_setting(name, renamed): origin for name, origin in origins.items()},
        problems=tuple(_unknown(name, origins[name]) for name, value in variables.items() if _is_unknown(name, value)),
    )


def _read(value: Any) -> Any:
    """A value with JSON read only where it looks like a list or an object: a token of digits must stay text."""
    if isinstance(value, dict):
        return {key: _read(part) for key, part in value.items()}
    try:
        return json.loads(value) if isinstance(value, str) and value.lstrip()[:1] in {"[", "{"} else value
    except ValueError:
        return value


def _plain(connection: str) -> str:
    return connection.lower().replace("-", "_")


def _setting(variable: str, renamed: Mapping[str, str]) -> str:
    parts = variable.removeprefix(PREFIX).lower().split("__")
    if parts[0] == "connections" and len(parts) > 1:
        parts[1] = renamed.get(parts[1], parts[1])
    return ".".join(parts)


def _is_unknown(variable: str, value: str) -> bool:
    if variable in _OWN or _OF_A_SERVICE.fullmatch(variable):
        return False
    if variable == f"{PREFIX}PORT" and _OF_A_LINK.fullmatch(value):
        return False
    return variable.removeprefix(PREFIX).lower().split("__")[0] not in Settings.model_fields


def _unknown(variable: str, origin: str) -> ConfigurationError:
    known = [*_OWN, *(PREFIX + "__".join(path).upper() for path in _paths())]
    return ConfigurationError(origin, "there is no such setting", suggestion(variable, sorted(known)))


def _paths() -> Iterator[tuple[str, ...]]:
    for name in Settings.model_fields:
        yield (name,)
        yield from ((name, inner) for inner in fields_at((name,)))


def _written(data: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in data.items():
        if isinstance(value, Mapping):
            yield from _written(value, f"{above}{key}.")
        else:
            yield f"{above}{key}"


def _files(folder: Path) -> list[Path]:
    try:
        return [path for path in sorted(folder.iterdir()) if path.name.upper().startswith(PREFIX) and path.is_file()]
    except OSError as error:
        raise ConfigurationError(SECRETS_DIR, f"{folder} cannot be read ({error.strerror})") from None


def _secret(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_SECRET:
            raise ConfigurationError(str(path), f"is larger than {LARGEST_SECRET // 1024} KB, so it is no secret")
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as error:
        raise ConfigurationError(str(path), f"cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ConfigurationError(str(path), "is not text in UTF-8") from None
