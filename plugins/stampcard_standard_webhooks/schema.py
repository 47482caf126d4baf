"""The JSON Schema of the messages that are taken in, made of their structs; published in config/schemas."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

import msgspec

from stampcard_standard_webhooks.messages import TYPES, Moment

DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: Money may be a number as well as text; msgspec's own schema names text alone.
MONEY = {"type": ["string", "number"], "pattern": r"^[0-9]+(\.[0-9]+)?$", "minimum": 0}


def message_schema() -> dict[str, Any]:
    """All messages at once: what `type` says decides what `data` may hold."""
    envelopes = [
        msgspec.defstruct(
            f"{shape.__name__}Message",
            [("timestamp", Moment), ("data", shape)],
            tag_field="type",
            tag=name,
            kw_only=True,
        )
        for name, shape in TYPES.items()
    ]
    (made,), parts = msgspec.json.schema_components([reduce(or_, envelopes)])
    whole = {"$schema": DIALECT, "title": "Messages to Stampcard", **made, "$defs": dict(sorted(parts.items()))}
    plain: dict[str, Any] = _with_money(msgspec.json.decode(msgspec.json.encode(whole)))
    return plain


def _with_money(part: Any) -> Any:
    if isinstance(part, list):
        return [_with_money(one) for one in part]
    if not isinstance(part, dict):
        return part
    if part.get("format") == "decimal":
        return {**{key: value for key, value in part.items() if key != "format"}, **MONEY}
    return {key: _with_money(value) for key, value in part.items()}
