"""The key file as text: what a rotation makes of it, and writing it so that no moment has half of it."""

from __future__ import annotations

import os
from base64 import b64decode
from collections.abc import Collection
from pathlib import Path

from stampcard.errors import ConfigurationError
from stampcard.sealing import NEXT, SEAL, key_id, new_key, read_keys

_AGAIN = "Look whether another rotation runs; if none does, delete that file"


def prepared(text: str) -> str:
    """The text with a key that opens and does not seal yet; the same if it has one."""
    lines = text.splitlines()
    if _first(lines, NEXT) is None:
        lines.append(f"{NEXT} {new_key()}")
    return _joined(lines)


def rotated(text: str) -> str:
    """The text with a new key that seals, the prepared one if there is one; the former ones stay and open."""
    lines = text.splitlines()
    at = _first(lines, NEXT)
    key = new_key() if at is None else lines.pop(at).split()[1]
    first = _first(lines, SEAL)
    lines.insert(len(lines) if first is None else first, f"{SEAL} {key}")
    return _joined(lines)


def without(text: str, keys: Collection[bytes]) -> str:
    """The text without the keys of these ids; the one that seals stays in any case."""
    lines, seen = [], False
    for line in text.splitlines():
        is_seal = line.split()[:1] == [SEAL]
        if is_seal and seen and key_id(b64decode(line.split()[1])) in keys:
            continue
        seen = seen or is_seal
        lines.append(line)
    return _joined(lines)


def read(path: Path) -> str:
    """The text of a key file that is right; raises ConfigurationError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text in UTF-8"
        raise ConfigurationError("key_file", f"{path} cannot be read ({reason})") from None
    read_keys(text)
    return text


def replace(path: Path, text: str, before: str) -> None:
    """Put another text in the place of `before`, for its owner's eyes only, and on the disk when this returns.

    Raises ConfigurationError where it cannot be written, or has changed since it was read: nothing is changed then.
    """
    read_keys(text)
    real = path.resolve()
    fresh = real.with_name(f"{real.name}.new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError("key_file", f"{fresh} is there already", _AGAIN) from None
    except OSError as error:
        raise _unwritable(fresh, error) from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        _like(fresh, real)
        if read(real) != before:
            raise ConfigurationError("key_file", f"{real} was changed meanwhile", "Say it once more")
        fresh.replace(real)
        _flush(real.parent)
    except OSError as error:
        raise _unwritable(real, error) from None
    finally:
        fresh.unlink(missing_ok=True)


def _like(fresh: Path, real: Path) -> None:
    """Give the new file the owner of the former: an administrator may turn the key of a service's user."""
    owner = real.stat()
    if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
        os.chown(fresh, owner.st_uid, owner.st_gid)


def _flush(folder: Path) -> None:
    """See to it that the new name outlives a power cut: what is sealed from now on needs the key."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError("key_file", f"{path} cannot be written ({error.strerror})", "Say it where the file is")


def _first(lines: list[str], word: str) -> int | None:
    return next((at for at, line in enumerate(lines) if line.split()[:1] == [word]), None)


def _joined(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
