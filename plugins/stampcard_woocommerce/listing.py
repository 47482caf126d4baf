"""Which orders the shop has, by when they last changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from stampcard.plugin import Listing, Listings, OrderList
from stampcard_woocommerce.calling import later
from stampcard_woocommerce.client import Client
from stampcard_woocommerce.decoding import gmt
from stampcard_woocommerce.fetching import PAGE
from stampcard_woocommerce.payloads import Id, Payload
from stampcard_woocommerce.webhooks import DRAFTS

#: What is asked for, one after the other: `any` leaves out what lies in the bin.
_BINS = ("any", "trash")
#: So many rows are asked for again, should others take the place of so many that vanish, so that none seems to.
AGAIN = 10


class Row(Payload, frozen=True):
    id: Id
    status: str
    date_modified_gmt: datetime


class Place(msgspec.Struct, frozen=True):
    """Where to go on: in which bin, behind how many rows, and how many there were in all."""

    bin: int = 0
    offset: int = 0
    total: int = 0

    def __str__(self) -> str:
        return f"{self.bin}.{self.offset}.{self.total}"


def place_of(text: str) -> Place:
    try:
        place = Place(*map(int, text.split("."))) if text else Place()
    except (TypeError, ValueError):
        place = Place(-1)
    if not 0 <= place.bin < len(_BINS) or place.offset < 0:
        raise later("there is no such place among the shop's orders")
    return place


def behind(place: Place, found: int, total: int, read: int | None = None) -> Place:
    """The next place; `read`: how many of those found were, if not all.

    Where rows vanished meanwhile, others moved into what was read already: so far it goes back.
    """
    vanished = place.total - total
    if vanished > 0:
        return Place(place.bin, max(0, place.offset - vanished), total)
    if read is not None and read < found:
        return Place(place.bin, place.offset + read, total)
    if found < PAGE:
        return Place(place.bin + 1)
    return Place(place.bin, place.offset + found - AGAIN, total)


class WooCommerceOrders(OrderList):
    """Asks for a hundred orders at a time, by number: unlike by time of change, none moves while we look.

    WooCommerce never sends a webhook again that failed, so that it is asked often.
    """

    every = timedelta(minutes=5)

    def __init__(self, client: Client) -> None:
        self._client = client

    def pace(self) -> float:
        return self._client.pace()

    async def changed(self, since: datetime, place: str = "") -> Listings:
        at = place_of(place)
        query: dict[str, str | int] = {
            "modified_after": before(since),
            "dates_are_gmt": "true",
            "status": _BINS[at.bin],
            "orderby": "id",
            "order": "asc",
            "per_page": PAGE,
            "offset": at.offset,
            "_fields": "id,status,date_modified_gmt",
        }
        rows, total = await self._client.listed("orders", Row, query)
        after = behind(at, len(rows), total)
        return Listings(
            orders=tuple(
                Listing(reference=str(row.id), changed_at=gmt(row.date_modified_gmt))
                for row in rows
                if row.status not in DRAFTS
            ),
            place=str(after) if after.bin < len(_BINS) else "",
        )


def before(moment: datetime) -> str:
    """A second earlier, for WooCommerce leaves out what happened at the very moment; without a zone, for it ignores none."""
    return (moment.astimezone(UTC) - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%S")
