"""Contacts that a webhook named, read as they are now."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from stampcard.plugin import Delivery, Refetch
from stampcard_hubspot.reading import VANISHED, Reader

NUMBER = re.compile(r"[1-9][0-9]{0,18}")


class ContactFetch:
    """Reads contacts as they are now; one that was merged gives the contact that it is now. Raises CallFailed."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def __call__(self, refs: Sequence[Refetch]) -> Sequence[Delivery]:
        asked = list(
            dict.fromkeys(ref.reference for ref in refs if ref.kind == "contact" and NUMBER.fullmatch(ref.reference))
        )
        found = await self._reader.by_ids(asked)
        there = set().union(*(one.ids for one in found))
        deliveries = {one.record.id: one.delivery for one in found}
        return [*deliveries.values(), *(self._gone(id_) for id_ in asked if id_ not in there)]

    def _gone(self, id_: str) -> Delivery:
        delivery = self._reader.delivery("", VANISHED, msgspec.json.encode({"gone": id_}))
        return msgspec.structs.replace(delivery, key=f"contact:{id_}:gone:{delivery.read_at}")
