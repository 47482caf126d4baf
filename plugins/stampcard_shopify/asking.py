"""Several fields in one GraphQL document, each under an alias: one call does for many vouchers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from stampcard.plugin import Outcome, Rejected, RetryLater
from stampcard_shopify.client import Answer

#: Codes that say nothing against the voucher itself.
_PASSING = frozenset({"INTERNAL_ERROR"})
_GONE = frozenset({"CUSTOMER_NOT_FOUND", "OWNER_NOT_FOUND"})
_GID = re.compile(r"gid://\S+")
_LONGEST = 300


class Field(msgspec.Struct, frozen=True):
    """A field that may be asked for: its arguments with their types, and what is read of its answer.

    `inner`: arguments, each written ``$name``, of fields in what is read.
    """

    kind: Literal["query", "mutation"]
    name: str
    arguments: Mapping[str, str]
    selects: str
    inner: Mapping[str, str] = {}


class Step(msgspec.Struct, frozen=True):
    """A field with the values of its arguments."""

    field: Field
    values: Mapping[str, Any]


def written(steps: Mapping[str, Step]) -> tuple[str, dict[str, Any]]:
    """The document and its variables; `steps` by alias, at least one, all of one kind."""
    kind = next(iter(steps.values())).field.kind
    declared = ", ".join(
        f"${alias}_{name}: {type_}"
        for alias, step in steps.items()
        for name, type_ in (*step.field.arguments.items(), *step.field.inner.items())
    )
    fields = "\n".join(_field(alias, step.field) for alias, step in steps.items())
    values = {f"{alias}_{name}": value for alias, step in steps.items() for name, value in step.values.items()}
    return f"{kind} Stampcard({declared}) {{\n{fields}\n}}", values


def _field(alias: str, field: Field) -> str:
    arguments = ", ".join(f"{name}: ${alias}_{name}" for name in field.arguments)
    selects = field.selects.replace("$", f"${alias}_")
    return f"  {alias}: {field.name}({arguments}) {{ {selects} }}"


class UserError(Answer, frozen=True):
    """What Shopify has against the input of a mutation; permanent, but for a few codes."""

    message: str
    field: tuple[str, ...] | None = None
    code: str | None = None

    @property
    def is_taken(self) -> bool:
        return self.code == "TAKEN" and (self.field or ("code",))[-1] == "code"

    @property
    def is_gone(self) -> bool:
        return self.code in _GONE or "customers" in (self.field or ())

    @property
    def reason(self) -> str:
        return f"{self.code or 'no code'}: {_GID.sub('…', self.message)}"


class Node(Answer, frozen=True):
    id: str


class Made(Answer, frozen=True):
    """The answer of any of our mutations: what it made, or what was wrong."""

    user_errors: tuple[UserError, ...]
    code_discount_node: Node | None = None
    gift_card: Node | None = None
    gift_card_code: str | None = None
    store_credit_account_transaction: Node | None = None


def refusal(errors: Sequence[UserError]) -> Outcome:
    """What user errors mean for the voucher that they speak of."""
    reason = "; ".join(error.reason for error in errors)[:_LONGEST]
    if all(error.code in _PASSING for error in errors):
        return RetryLater(reason=reason)
    return Rejected(reason=reason, gone=any(error.is_gone for error in errors))
