"""Orders that are asked for: which there are, and all of those of the past."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime, timedelta

from stampcard.domain.deliveries import Delivery
from stampcard.domain.value import Value


class Listing(Value, frozen=True):
    """An order that the vendor has, and when it last changed."""

    reference: str
    changed_at: datetime


class Listings(Value, frozen=True):
    """A page of orders; `place`: where to go on, empty if that was all."""

    orders: tuple[Listing, ...] = ()
    place: str = ""


class OrderList(ABC):
    """Which orders the vendor has, so that those are found of which no webhook told. What is found is fetched."""

    #: How often the vendor is asked; a vendor that never sends a lost webhook again wants it often.
    every: timedelta = timedelta(minutes=15)

    @abstractmethod
    async def changed(self, since: datetime, place: str = "") -> Listings:
        """The next orders that changed since a moment, behind a place; in an order in which none is skipped while others change.

        Raises PluginError where the vendor does not answer.
        """

    def pace(self) -> float:
        """Seconds that the vendor wants to pass before the next call, as its last answer told."""
        return 0.0


class HistoryPage(Value, frozen=True):
    """A part of a vendor's past: whole orders as fetched deliveries (`read_at` is set), and where to go on behind them.

    `place`: empty if that was all. `wait`: seconds after which it makes sense to go on, where the vendor gathers first; only
    then may the place be the one that was read. `note`: what the vendor is doing, or what it failed to do, for people.
    """

    deliveries: tuple[Delivery, ...] = ()
    place: str = ""
    wait: float = 0.0
    note: str = ""


class OrderHistory(ABC):
    """A vendor's orders of the past, whole, so that a new connection begins with what was before it.

    A place is kept in the database and outlives a crash: the same one may be read twice, and must then bring the same orders.
    An order's key is the same each time that it is read, so that one which has not changed is taken in once. Both methods
    raise PluginError where the vendor does not answer; they are asked again later.
    """

    #: What people should know before they begin: what the vendor does not give, and what it wants for it.
    hint: str = ""

    @abstractmethod
    async def count(self, since: datetime | None) -> int | None:
        """How many orders were placed since a moment, or ever; None where the vendor does not say."""

    @abstractmethod
    async def read(self, since: datetime | None, place: str = "") -> HistoryPage:
        """The next orders that were placed since a moment, or ever, behind a place; at most a few hundred at once.

        The longest ago first, as far as the vendor lets us: whatever counts orders counts them as they come.
        """

    def pace(self) -> float:
        """Seconds that the vendor wants to pass before the next call, as its last answer told."""
        return 0.0
