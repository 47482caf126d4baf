from __future__ import annotations

import msgspec


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """The root of every value: frozen, slotted, built by keyword, changed by `replace`."""


replace = msgspec.structs.replace
