"""Encryption at rest: AES-GCM under named keys, compressed by zstd before.

A sealed value is ``key id (4) + nonce (12) + ciphertext``. What it belongs to is bound in as associated data, so that
a value cannot be moved to another row. The first key seals, all keys open: rotation adds a new first key, and whoever
meets a value of a key that it does not know reads the keys anew.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stampcard.errors import ConfigurationError

KEY_BYTES = 32
MAX_OPENED = 64 * 1024 * 1024
ID_BYTES = 4
_NONCE = 12
#: The words that a line of a key file begins with; a `next` key opens, and is the first that a rotation takes.
SEAL, NEXT, TOMBSTONE = "seal", "next", "tombstone"


class _Codecs(threading.local):
    """One compressor and one decompressor per thread: neither may be shared, and making one costs more than using it."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=1).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_codecs = _Codecs()


@dataclass(frozen=True, slots=True)
class Keys:
    """Ciphers by the id of their key, in the order of the key file; `newest` is the id of the one that seals."""

    ciphers: dict[bytes, AESGCM]
    newest: bytes
    pepper: bytes


class Sealer:
    """Seals and opens bytes; safe to use from several threads, each with its own compressor."""

    def __init__(self, keys: Sequence[bytes], pepper: bytes) -> None:
        """`keys`: 32 bytes each, the newest first. `pepper`: the key of tombstones, which rotation keeps."""
        if not keys or any(len(key) != KEY_BYTES for key in (*keys, pepper)):
            raise ConfigurationError(
                "key_file", f"every key must have {KEY_BYTES} bytes", "Make one by: stampcard init"
            )
        ciphers = {key_id(key): AESGCM(key) for key in keys}
        self._keys = Keys(ciphers=ciphers, newest=key_id(keys[0]), pepper=pepper)
        self._again: Callable[[], Sealer] | None = None

    @property
    def newest(self) -> bytes:
        """The id of the key that seals: what a value that it sealed begins with."""
        return self._keys.newest

    @property
    def known(self) -> tuple[bytes, ...]:
        """The ids of all keys, in the order of the key file."""
        return tuple(self._keys.ciphers)

    def kept(self, again: Callable[[], Sealer]) -> Sealer:
        """The same, with a way to read the keys anew where they are kept."""
        self._again = again
        return self

    def renew(self) -> None:
        """Go on with the keys as they are kept now; raises ConfigurationError where they are wrong, which changes nothing."""
        if self._again is None:
            return
        found = self._again()._keys  # noqa: SLF001 - another of this class
        if found.pepper != self._keys.pepper:
            raise ConfigurationError("key_file", "the tombstone key is another than before", "Put the former one back")
        self._keys = found

    def seal(self, plain: bytes, about: bytes) -> bytes:
        """Compress and encrypt `plain`, bound to `about`."""
        return self._encrypted(_codecs.compress(plain), about)

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """The plain bytes; raises ConfigurationError if no key here fits or the row was tampered with."""
        return _codecs.decompress(self._decrypted(sealed, about), max_output_size=MAX_OPENED)

    def reseal(self, sealed: bytes, about: bytes) -> bytes:
        """The same value under the newest key; raises as `open` does."""
        return self._encrypted(self._decrypted(sealed, about), about)

    def fingerprint(self, value: str) -> str:
        """The tombstone of an identifier: tells equality, nothing else."""
        return hmac.new(self._keys.pepper, value.encode(), hashlib.sha256).hexdigest()

    def same(self, told: str, ours: str) -> bool:
        """Whether two texts are equal, in the same time whatever they are."""
        return hmac.compare_digest(told.encode(errors="replace"), ours.encode())

    def answer(self, challenge: str) -> str:
        """What only who has these keys can answer; rotation does not change it, and it says nothing of any fingerprint."""
        secret = hmac.new(self._keys.pepper, b"\0installation", hashlib.sha256).digest()
        return hmac.new(secret, challenge.encode(), hashlib.sha256).hexdigest()

    def _encrypted(self, packed: bytes, about: bytes) -> bytes:
        keys, nonce = self._keys, os.urandom(_NONCE)
        return keys.newest + nonce + keys.ciphers[keys.newest].encrypt(nonce, packed, about)

    def _decrypted(self, sealed: bytes, about: bytes) -> bytes:
        id_ = sealed[:ID_BYTES]
        if id_ not in self._keys.ciphers:
            self.renew()
        cipher = self._keys.ciphers.get(id_)
        if cipher is None:
            raise ConfigurationError("key_file", "a stored value was sealed with a key that is not in the key file")
        begin = ID_BYTES + _NONCE
        try:
            return cipher.decrypt(sealed[ID_BYTES:begin], sealed[begin:], about)
        except InvalidTag:
            raise ConfigurationError("key_file", "a stored value does not open: it was altered or moved") from None


def key_id(key: bytes) -> bytes:
    """What the values that a key sealed begin with."""
    return hashlib.sha256(key).digest()[:ID_BYTES]


def new_key() -> str:
    """A key as a key file has it."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def new_key_text() -> str:
    """Text of a new key file: the tombstone key and one sealing key."""
    lines = [
        "# Keys of this Stampcard installation. Without this file the personal data in the database is lost.",
        "# Keep a copy in a safe place. The first 'seal' line seals; older ones only open.",
        f"{TOMBSTONE} {new_key()}",
        f"{SEAL} {new_key()}",
    ]
    return "\n".join(lines) + "\n"


def read_keys(text: str, setting: str = "key_file") -> Sealer:
    """A Sealer from the text of a key file; names the line that is wrong, never its content."""
    found: dict[str, list[bytes]] = {SEAL: [], NEXT: [], TOMBSTONE: []}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            purpose, key = words[0], base64.b64decode(words[1], validate=True)
        except (IndexError, ValueError):
            raise ConfigurationError(setting, f"line {number} is not 'seal KEY' or 'tombstone KEY'") from None
        if purpose not in found:
            raise ConfigurationError(setting, f"line {number} starts with {purpose!r}, not 'seal' or 'tombstone'")
        found[purpose].append(key)
    if not found[SEAL]:
        raise ConfigurationError(setting, "has no line 'seal KEY'", "Make one by: stampcard init")
    return Sealer([*found[SEAL], *found[NEXT]], found[TOMBSTONE][-1] if found[TOMBSTONE] else b"")
