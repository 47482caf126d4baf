"""Reasons as text: most of what is kept of an event is said again and again, so the long ones are compressed."""

from __future__ import annotations

import base64
import threading
from collections.abc import Sequence

import msgspec
import zstandard

from stampcard.domain.decisions import Reason

_REASONS = msgspec.json.Decoder(tuple[Reason, ...])
#: Below so many bytes nothing is won.
_SHORT = 200
_PLAIN = "["


class _Codecs(threading.local):
    """One of each per thread: neither may be shared."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=1).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_codecs = _Codecs()


def pack_reasons(reasons: Sequence[Reason]) -> str:
    """The text of a column; JSON as it is where it is short, else compressed and in base64."""
    plain = msgspec.json.encode(reasons)
    return plain.decode() if len(plain) < _SHORT else base64.b64encode(_codecs.compress(plain)).decode()


def unpack_reasons(text: str) -> tuple[Reason, ...]:
    """The reasons back."""
    return _REASONS.decode(text if text.startswith(_PLAIN) else _codecs.decompress(base64.b64decode(text)))
