"""Many changes in one call: each succeeds or fails by itself, and is answered in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from stampcard_woocommerce.calling import later
from stampcard_woocommerce.client import Client

Verb = Literal["create", "update", "delete"]
_LONGEST = 80


class Error(msgspec.Struct, frozen=True):
    """Why one of them failed; WooCommerce's text may quote what was sent, so that only its word is told on."""

    code: str = ""

    @property
    def word(self) -> str:
        return (
            self.code if self.code.isascii() and self.code.isprintable() and len(self.code) <= _LONGEST else "no code"
        )


class Done(msgspec.Struct, frozen=True):
    """What became of one; `id` is 0 for what was not made."""

    id: int = 0
    error: Error | None = None


async def batched(
    client: Client, path: str, changes: Mapping[Verb, Sequence[Any]], *, again: bool = True
) -> dict[str, list[Done]]:
    """Carry up to 100 changes out; an answer for each. Raises CallFailed, also where the answers do not fit the changes.

    `again`: whether to do so once more where the connection is lost.
    """
    wanted = {verb: list(items) for verb, items in changes.items() if items}
    if not wanted:
        return {verb: [] for verb in changes}
    done = await client.ask("POST", f"{path}/batch", dict[str, list[Done]], wanted, again=again)
    if any(len(done.get(verb, ())) != len(items) for verb, items in wanted.items()):
        raise later("WooCommerce did not answer for every item")
    return {verb: done.get(verb, []) for verb in changes}
