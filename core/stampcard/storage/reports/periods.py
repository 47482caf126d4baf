"""Periods of the calendar in SQL: exact boundaries in the program's zone, also where its clock changes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Integer, Table, case, literal_column

from stampcard.clock import to_micros
from stampcard.engine.deciding import AHEAD
from stampcard.engine.spanning import Span
from stampcard.storage.tables import entry


def period_of(moment: ColumnElement[Any], span: Span) -> ColumnElement[int]:
    """Which period a column's moment lies in, as `Span.period_at` says."""
    return _tree(moment, [to_micros(at) for at in span.moments], 0)


def _tree(moment: ColumnElement[Any], bounds: Sequence[int], place: int) -> ColumnElement[int]:
    """A search by halves: a year of days takes nine comparisons."""
    if not bounds:
        return literal_column(str(place), Integer)
    middle = len(bounds) // 2
    below, above = _tree(moment, bounds[:middle], place), _tree(moment, bounds[middle + 1 :], place + middle + 1)
    return case((moment < literal_column(str(bounds[middle])), below), else_=above)


def within(moment: ColumnElement[Any], span: Span) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """That a column's moment lies in the span."""
    moments = span.moments
    return moment >= to_micros(moments[0]), moment < to_micros(moments[-1])


def may_concern(span: Span) -> ColumnElement[bool]:
    """That an entry may be about something in the span or after it: it is found by when it was posted.

    What it is about happened before, but for sources whose clock is ahead of ours.
    """
    return entry.c.posted_at >= to_micros(span.moments[0] - AHEAD - timedelta(seconds=1))


def everything(table: Table, merchant: str) -> ColumnElement[bool]:
    """All rows of a merchant, read as they lie: by a key that begins with the merchant SQLite would jump between them."""
    return table.c.merchant.concat("") == merchant
