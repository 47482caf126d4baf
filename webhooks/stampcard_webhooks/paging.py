"""Pages: items, and a cursor that is for us alone: anybody can read it, and it says nothing that the page does not."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from stampcard.errors import RequestRefused

T = TypeVar("T")
V = TypeVar("V", bound=BaseModel)

#: What a cursor may hold: an id of ours, or a text that the database can look for.
Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Text = Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")]


class PageQuery(BaseModel):
    """Which page."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(default=50, ge=1, le=200, description="Items on the page.")
    cursor: str | None = Field(
        default=None, max_length=2000, description="The `next` of the page before; without one the first page."
    )


class Page(BaseModel, Generic[V]):
    """One page."""

    items: list[V]
    next: str | None = Field(default=None, description="The cursor of the next page; null on the last.")


def position(query: PageQuery, list_name: str, shape: Any) -> Any:
    """Behind what the page begins, of the type `shape`; None for the first. Raises RequestRefused for a cursor that this list never gave."""
    if query.cursor is None:
        return None
    try:
        padded = query.cursor + "=" * (-len(query.cursor) % 4)
        name, place = msgspec.json.decode(base64.b64decode(padded, b"-_", validate=True), type=tuple[str, msgspec.Raw])
        if name == list_name:
            return msgspec.json.decode(place, type=shape)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        pass
    raise RequestRefused("cursor", "the cursor is not one that this list gave: begin without it")


def cut(
    found: Sequence[T], query: PageQuery, list_name: str, place: Callable[[T], Any]
) -> tuple[Sequence[T], str | None]:
    """The page's rows out of one row more than asked for, and the cursor behind them if there are more."""
    if len(found) <= query.limit:
        return found, None
    shown = found[: query.limit]
    return shown, cursor_of(list_name, place(shown[-1]))


def cursor_of(list_name: str, place: Any) -> str:
    """A place in a list, for whoever comes back to it."""
    written = msgspec.json.encode((list_name, place))
    return base64.urlsafe_b64encode(written).rstrip(b"=").decode()
