"""Calls that hold several requests (multipart/mixed), read and answered as Google does."""

from __future__ import annotations

import email
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, whether it came alone or with others."""

    method: str
    path: str
    body: Any = None
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The answer to one."""

    status: int
    body: Any
    retry_after: int = 0


def calls_of(content: bytes, content_type: str) -> list[Call]:
    """The requests of a body; ValueError for what is none."""
    message = email.message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + content)
    if not message.is_multipart():
        raise ValueError("no multipart")
    calls = []
    for part in message.get_payload():
        assert isinstance(part, email.message.Message)
        if part.get_content_type() != "application/http":
            raise ValueError("a part that is no request")
        head, _, body = bytes(part.get_payload(decode=True)).partition(b"\r\n\r\n")
        method, path, _ = head.split(b"\r\n")[0].decode().split(" ", 2)
        label = part.get("Content-ID", "").strip("<>")
        calls.append(Call(method=method, path=path, body=json.loads(body) if body.strip() else None, label=label))
    return calls


def written(calls: Sequence[Call], answers: Sequence[Told], chance: random.Random) -> tuple[bytes, str]:
    """The answers as one body, in no order that could be relied on, and its content type."""
    boundary = f"batch_{chance.getrandbits(96):024x}"
    pairs = list(zip(calls, answers, strict=True))
    chance.shuffle(pairs)
    parts = []
    for call, told in pairs:
        later = f"Retry-After: {told.retry_after}\r\n" if told.retry_after else ""
        head = f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <response-{call.label}>\r\n\r\n"
        inner = f"HTTP/1.1 {told.status} Told\r\nContent-Type: application/json; charset=UTF-8\r\n{later}\r\n"
        parts.append(head + inner + json.dumps(told.body, indent=2, ensure_ascii=False) + "\r\n")
    return "".join([*parts, f"--{boundary}--\r\n"]).encode(), f"multipart/mixed; boundary={boundary}"
