"""Encryption at rest: AES-GCM under named keys, compressed by zstd before.

A sealed value is ``key id (4) + nonce (12) + ciphertext``. What it belongs to is bound in as associated data, so that
a value cannot be moved to another row. The first key seals, all keys open: rotation adds a new first key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import threading
from collections.abc import Sequence

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stampcard.errors import ConfigurationError

KEY_BYTES = 32
MAX_OPENED = 64 * 1024 * 1024
_ID, _NONCE = 4, 12


class _Codecs(threading.local):
    """One compressor and one decompressor per thread: neither may be shared, and making one costs more than using it."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=1).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_codecs = _Codecs()


class Sealer:
    """Seals and opens bytes; safe to use from several threads, each with its own compressor."""

    def __init__(self, keys: Sequence[bytes], pepper: bytes) -> None:
        """`keys`: 32 bytes each, the newest first. `pepper`: the key of tombstones, which rotation keeps."""
        if not keys or any(len(key) != KEY_BYTES for key in (*keys, pepper)):
            raise ConfigurationError(
                "key_file", f"every key must have {KEY_BYTES} bytes", "Make one by: stampcard init"
            )
        self._ciphers = {hashlib.sha256(key).digest()[:_ID]: AESGCM(key) for key in keys}
        self._newest = hashlib.sha256(keys[0]).digest()[:_ID]
        self._pepper = pepper

    def seal(self, plain: bytes, about: bytes) -> bytes:
        """Compress and encrypt `plain`, bound to `about`."""
        nonce = os.urandom(_NONCE)
        packed = _codecs.compress(plain)
        return self._newest + nonce + self._ciphers[self._newest].encrypt(nonce, packed, about)

    def open(self, sealed: bytes, about: bytes) -> bytes:
        """The plain bytes; raises ConfigurationError if no key here fits or the row was tampered with."""
        cipher = self._ciphers.get(sealed[:_ID])
        if cipher is None:
            raise ConfigurationError("key_file", "a stored value was sealed with a key that is not in the key file")
        try:
            packed = cipher.decrypt(sealed[_ID : _ID + _NONCE], sealed[_ID + _NONCE :], about)
        except InvalidTag:
            raise ConfigurationError("key_file", "a stored value does not open: it was altered or moved") from None
        return _codecs.decompress(packed, max_output_size=MAX_OPENED)

    def fingerprint(self, value: str) -> str:
        """The tombstone of an identifier: tells equality, nothing else."""
        return hmac.new(self._pepper, value.encode(), hashlib.sha256).hexdigest()


def new_key_text() -> str:
    """Text of a new key file: the tombstone key and one sealing key."""
    lines = [
        "# Keys of this Stampcard installation. Without this file the personal data in the database is lost.",
        "# Keep a copy in a safe place. The first 'seal' line seals; older ones only open.",
        f"tombstone {base64.b64encode(os.urandom(KEY_BYTES)).decode()}",
        f"seal {base64.b64encode(os.urandom(KEY_BYTES)).decode()}",
    ]
    return "\n".join(lines) + "\n"


def read_keys(text: str, setting: str = "key_file") -> Sealer:
    """A Sealer from the text of a key file; names the line that is wrong, never its content."""
    seals: list[bytes] = []
    pepper = b""
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            purpose, key = words[0], base64.b64decode(words[1], validate=True)
        except (IndexError, ValueError):
            raise ConfigurationError(setting, f"line {number} is not 'seal KEY' or 'tombstone KEY'") from None
        if purpose == "seal":
            seals.append(key)
        elif purpose == "tombstone":
            pepper = key
        else:
            raise ConfigurationError(setting, f"line {number} starts with {purpose!r}, not 'seal' or 'tombstone'")
    return Sealer(seals, pepper)
