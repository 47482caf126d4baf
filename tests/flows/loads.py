"""Webhooks that keep coming for as long as a test needs them, however quick the machine is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from stampcard.testing.simulator import SignedRequest
from stampcard_shopify.simulator import ShopifySimulator

#: Orders of a story.
STORY = 20


def until(is_enough: Callable[[], bool], shop: ShopifySimulator) -> Iterator[SignedRequest]:
    """Story after story, each told to its end."""
    while not is_enough():
        yield from shop.history(STORY)
