"""Several requests in one call, as Google's batch endpoints take them (multipart/mixed), and their answers."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence

import msgspec

from stampcard_google_wallet.calling import UNREADABLE, Answer, Request, seconds

ROOT = "/walletobjects/v1/"
_BOUNDARY = re.compile(r'boundary="?([^";\s]{1,200})')
_BLANK = re.compile(rb"\r?\n\r?\n")
_PLACE = re.compile(rb"content-id:\s*<?response-([0-9]{1,4})>?", re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/[0-9.]+ ([0-9]{3})\b")
_AFTER = re.compile(rb"^retry-after:\s*([0-9.]+)", re.IGNORECASE | re.MULTILINE)


def packed(requests: Sequence[Request]) -> tuple[bytes, str]:
    """All of them as one body, and its content type."""
    boundary = f"batch_{secrets.token_hex(12)}"
    parts = [
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <{place}>\r\n\r\n".encode() + _written(request)
        for place, request in enumerate(requests)
    ]
    return b"\r\n".join([*parts, f"--{boundary}--\r\n".encode()]), f"multipart/mixed; boundary={boundary}"


def _written(request: Request) -> bytes:
    body = b"" if request.body is None else msgspec.json.encode(request.body)
    head = f"{request.method} {ROOT}{request.path} HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def unpacked(content: bytes, content_type: str, count: int) -> list[Answer]:
    """The answer to each of so many requests; one that is missing may have done what was asked for."""
    answers = [Answer(0, reason=UNREADABLE)] * count
    boundary = _BOUNDARY.search(content_type)
    parts = content.split(b"--" + boundary[1].encode())[1:] if boundary is not None else []
    for order, part in enumerate(parts):
        head, inner, body = (*_BLANK.split(part.strip(b"\r\n"), 2), b"", b"")[:3]
        told, status, after = _PLACE.search(head), _STATUS.match(inner), _AFTER.search(inner)
        place = int(told[1]) if told is not None else order
        if status is not None and place < count:
            answers[place] = Answer(int(status[1]), body.strip(), seconds(after[1].decode()) if after else None)
    return answers
