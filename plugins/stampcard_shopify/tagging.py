from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from stampcard.plugin import Delivered, Outcome, Rate, Rejected, RetryLater, Sink, TagPush
from stampcard_shopify.asking import Field, Made, Step, UserError, refusal, written
from stampcard_shopify.client import Client
from stampcard_shopify.posting import CallFailed

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings

_ARGUMENTS = {"id": "ID!", "tags": "[String!]!"}
_SELECTS = "userErrors { field message }"
ADD = Field("mutation", "tagsAdd", _ARGUMENTS, _SELECTS)
REMOVE = Field("mutation", "tagsRemove", _ARGUMENTS, _SELECTS)


class TagSink(Sink[TagPush]):
    """Marks customers with what they are entitled to; tags that do not begin with `tag_prefix` are never touched."""

    kind = "tags"
    # Each customer costs up to two mutations of 10 points; the smallest plan restores 100 a second.
    batch_size = 10
    rate = Rate(per_second=0.5, burst=4)
    idempotent = True

    def __init__(self, client: Client, settings: ShopifySettings) -> None:
        self._client = client
        self._prefix = settings.tag_prefix

    def pace(self) -> float:
        return self._client.pace()

    async def deliver(self, items: Sequence[TagPush]) -> Sequence[Outcome]:
        steps = {
            f"c{place}_{name}": step
            for place, item in enumerate(items)
            if _is_id(item.reference)
            for name, step in self._steps(item)
        }
        if not steps:
            return list(map(_without_a_call, items))
        document, variables = written(steps)
        try:
            made = await self._client.ask(document, variables, dict[str, Made])
        except CallFailed as failure:
            return [failure.outcome if _is_id(item.reference) else _without_a_call(item) for item in items]
        return [self._outcome(place, item, made) for place, item in enumerate(items)]

    def _steps(self, item: TagPush) -> Iterator[tuple[str, Step]]:
        owner = f"gid://shopify/Customer/{item.reference}"
        for name, field, tags in (("add", ADD, item.tags), ("remove", REMOVE, item.stale)):
            if tags:
                yield name, Step(field, {"id": owner, "tags": [self._prefix + tag for tag in tags]})

    def _outcome(self, place: int, item: TagPush, made: dict[str, Made]) -> Outcome:
        if not _is_id(item.reference):
            return _without_a_call(item)
        answers = [made.get(f"c{place}_{name}") for name, _ in self._steps(item)]
        if None in answers:
            return RetryLater(reason="Shopify did not answer for every customer")
        errors = [error for answer in answers if answer is not None for error in answer.user_errors]
        return _refused(errors) if errors else Delivered()


def _without_a_call(item: TagPush) -> Outcome:
    return (
        Delivered()
        if _is_id(item.reference)
        else Rejected(reason="the reference is not a Shopify customer id", gone=True)
    )


def _refused(errors: Sequence[UserError]) -> Outcome:
    """What Shopify has against it; of a customer who is not there, the id is what is wrong."""
    outcome = refusal(errors)
    gone = any(error.field is not None and error.field[-1:] == ("id",) for error in errors)
    return Rejected(reason=outcome.reason, gone=gone) if isinstance(outcome, Rejected) else outcome


def _is_id(reference: str) -> bool:
    return reference.isascii() and reference.isdecimal()
