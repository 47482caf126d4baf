"""Many codes of one discount: the discount is made with the first of them, Shopify adds the others in its own time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from stampcard.plugin import Clock, Delivered, Outcome, Rejected, RetryLater, Unknown, Voucher
from stampcard_shopify.asking import Field, Made, Node, Step, UserError, refusal, written
from stampcard_shopify.client import Answer, Client
from stampcard_shopify.discounts import FIND, KINDS, CodeNode, making
from stampcard_shopify.posting import CallFailed, Sending, unsure
from stampcard_shopify.ways import misfit

#: As many codes as discountRedeemCodeBulkAdd takes in one call.
MOST = 250
#: Seconds between one look at what Shopify has made and the next; after 20 of them nobody waits any more.
WAITS = (0.2, 0.3, 0.5, 1, 2, 4, 6, 6)
ADD = Field(
    "mutation",
    "discountRedeemCodeBulkAdd",
    {"discountId": "ID!", "codes": "[DiscountRedeemCodeInput!]!"},
    "bulkCreation { id } userErrors { field message code }",
)
WATCH = Field("query", "discountRedeemCodeBulkCreation", {"id": "ID!"}, "done failedCount")
FAILED = Field(
    "query",
    "discountRedeemCodeBulkCreation",
    {"id": "ID!"},
    f"codes(first: {MOST}) {{ nodes {{ errors {{ field message code }} }} }}",
)
T = TypeVar("T")


class Added(Answer, frozen=True):
    user_errors: tuple[UserError, ...]
    bulk_creation: Node | None = None


class Progress(Answer, frozen=True):
    done: bool
    failed_count: int


class Tried(Answer, frozen=True):
    errors: tuple[UserError, ...]


class TriedCodes(Answer, frozen=True):
    nodes: tuple[Tried, ...]


class Failures(Answer, frozen=True):
    codes: TriedCodes


class BulkCodes:
    """Fills a discount with codes; Shopify knows every code once, so that what is repeated is made once.

    Of `usageLimit` the published schema says only that it counts the uses of the discount. Shopify's staff say that it
    counts for each of its codes (https://community.shopify.dev/t/12269), as it did in the older price rules; so it does
    here.
    """

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def fill(self, voucher: Voucher, codes: Sequence[str]) -> Outcome:
        """Raises CallFailed where the call of a step brought nothing."""
        refused = _unfit(voucher, codes)
        if refused is not None:
            return refused
        made = await self._discount(voucher)
        others = [code for code in codes if code.upper() != voucher.code.upper()]
        return await self._add(made, others) if isinstance(made, Node) and others else _told(made)

    async def _discount(self, voucher: Voucher) -> Node | Outcome:
        """The discount that has the first code, made if there is none."""
        found = await self._found(voucher)
        if found is not None:
            return found
        made = await self._ask(making(voucher), Made, "guarded")
        if made is None:
            return Unknown(reason="Shopify's answer does not say whether the discount was made")
        if made.user_errors and not all(error.is_taken for error in made.user_errors):
            return refusal(made.user_errors)
        # Without a node an earlier attempt made it: one of ours, because nobody else can have guessed the code.
        node = made.code_discount_node or await self._found(voucher)
        return node or Unknown(reason="Shopify knows the first code but does not find it yet")

    async def _found(self, voucher: Voucher) -> Node | None:
        found = await self._ask(Step(FIND, {"code": voucher.code}), CodeNode)
        return None if found is None else Node(id=found.id)

    async def _add(self, discount: Node, codes: Sequence[str]) -> Outcome:
        values = {"discountId": discount.id, "codes": [{"code": code} for code in codes]}
        added = await self._ask(Step(ADD, values), Added, "guarded")
        if added is not None and added.user_errors:
            return refusal(added.user_errors)
        if added is None or added.bulk_creation is None:
            return Unknown(reason="Shopify's answer does not say how to follow what it makes")
        return await self._followed(added.bulk_creation, discount, len(codes))

    async def _followed(self, creation: Node, discount: Node, count: int) -> Outcome:
        """What came of a creation once it is done; nobody knows of one that takes too long, or is not told about."""
        reason = f"Shopify has not made {count} codes within {sum(WAITS):g} seconds"
        for wait in (*WAITS, None):
            try:
                progress = await self._ask(Step(WATCH, {"id": creation.id}), Progress)
                if progress is not None and progress.done:
                    return await self._result(creation, discount, count) if progress.failed_count else _told(discount)
            except CallFailed as failure:
                if not isinstance(failure.outcome, RetryLater):
                    return Unknown(reason=failure.outcome.reason)
                reason = failure.outcome.reason
            if wait is not None:
                await self._clock.sleep(wait)
        return Unknown(reason=reason)

    async def _result(self, creation: Node, discount: Node, count: int) -> Outcome:
        """Whether what failed is there all the same: nobody else can have guessed codes that are taken."""
        failures = await self._ask(Step(FAILED, {"id": creation.id}), Failures)
        if failures is None:
            return Unknown(reason="Shopify does not say which codes failed")
        wrong = [one.errors for one in failures.codes.nodes if not all(error.code == "TAKEN" for error in one.errors)]
        return _refused(wrong, count) if wrong else _told(discount)

    async def _ask(self, step: Step, shape: type[T], sending: Sending = "state") -> T | None:
        """The answer to one step; raises CallFailed."""
        found = await self._client.ask(*written({"c0": step}), dict[str, shape | None], sending)  # type: ignore[valid-type]
        if "c0" not in found:
            raise unsure("Shopify's answer does not say what was asked", sending)
        return found["c0"]


def _unfit(voucher: Voucher, codes: Sequence[str]) -> Rejected | None:
    if voucher.kind not in KINDS:
        return Rejected(reason=f"Shopify makes no {voucher.kind} in bulk")
    if len(codes) > MOST:
        return Rejected(reason=f"Shopify takes {MOST} codes at once, not {len(codes)}")
    if voucher.reference:
        return Rejected(reason="codes made in bulk are for everybody, not for one customer")
    return misfit(voucher)


def _told(made: Node | Outcome) -> Outcome:
    return Delivered(result={"id": made.id}) if isinstance(made, Node) else made


def _refused(wrong: Sequence[Sequence[UserError]], count: int) -> Outcome:
    """How many codes failed, and most often why."""
    reasons = Counter(refusal(errors) for errors in wrong)
    first = reasons.most_common(1)[0][0]
    reason = f"{len(wrong)} of {count} codes were not made: {getattr(first, 'reason', '')}"
    again = all(isinstance(one, RetryLater) for one in reasons)
    return RetryLater(reason=reason) if again else Rejected(reason=reason)
