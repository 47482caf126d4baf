"""The search over contacts, which sees a change only some seconds after it was made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Any

from stampcard_hubspot.simulated_book import Book, Contact, Values
from stampcard_hubspot.simulated_errors import Body, invalid, unreadable
from stampcard_hubspot.simulated_values import comparable

#: The most results of one query, on one page, groups of filters, filters in one, and in all.
MOST, PAGE, GROUPS, FILTERS, ALL = 10_000, 200, 5, 6, 18
_TEXTS = ("email", "firstname", "lastname", "phone", "company", "hs_additional_emails")
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {"GT": gt, "GTE": ge, "LT": lt, "LTE": le}
_BARE = frozenset({"HAS_PROPERTY", "NOT_HAS_PROPERTY"})
_OPERATORS = frozenset({"EQ", "NEQ", "IN", "NOT_IN", "CONTAINS_TOKEN", *_ORDER, *_BARE})
Test = Callable[[Values], bool]


@dataclass(slots=True)
class _Stale:
    """What the search sees of a contact until the next of its changes is due."""

    seen: Values | None
    due: deque[tuple[int, Values | None]]


class Index:
    """The contacts as the search sees them: as they were `lag` milliseconds ago."""

    def __init__(self, now: Callable[[], int], lag: int) -> None:
        self.lag = lag
        self._now = now
        self._stale: dict[int, _Stale] = {}

    def note(self, contact: Contact, before: Values | None) -> None:
        """A contact is changed: it is seen as it was `before` for a while."""
        if self.lag:
            stale = self._stale.setdefault(contact.id, _Stale(before, deque()))
            stale.due.append((self._now() + self.lag, None if contact.archived else contact.properties))

    def seen(self, book: Book) -> Iterator[tuple[int, Values]]:
        """Numbers and properties of all that can be found now."""
        self._settle()
        for id_, contact in book.contacts.items():
            stale = self._stale.get(id_)
            live = None if contact.archived else contact.properties
            seen = stale.seen if stale else live
            if seen is not None:
                yield id_, seen
        for id_, stale in self._stale.items():
            if id_ not in book.contacts and stale.seen is not None:
                yield id_, stale.seen

    def _settle(self) -> None:
        now = self._now()
        for id_, stale in list(self._stale.items()):
            while stale.due and stale.due[0][0] <= now:
                stale.seen = stale.due.popleft()[1]
            if not stale.due:
                del self._stale[id_]


def found(book: Book, index: Index, asked: Any) -> tuple[list[tuple[int, Values]], Body]:
    """One page of what fits, and the total and paging of the answer; raises Refusal."""
    if not isinstance(asked, dict):
        raise unreadable("an object is wanted")
    limit, after = _whole(asked, "limit", 10), _whole(asked, "after", 0)
    if not 0 < limit <= PAGE:
        raise invalid(f"the limit must be from 1 to {PAGE}")
    if after + limit > MOST:
        raise invalid(f"a search gives no more than {MOST} results")
    tests = _groups(book, asked.get("filterGroups") or [])
    word = str(asked.get("query") or "").lower()
    fit = [
        (id_, values)
        for id_, values in index.seen(book)
        if (not tests or any(all(test(values) for test in group) for group in tests))
        and (not word or any(word in values.get(name, "").lower() for name in _TEXTS))
    ]
    fit = _sorted(book, fit, asked.get("sorts") or [])
    paging: Body = {"paging": {"next": {"after": str(after + limit)}}} if after + limit < len(fit) else {}
    return fit[after : after + limit], {"total": len(fit), **paging}


def _groups(book: Book, groups: Any) -> list[list[Test]]:
    told = [group.get("filters") or [] for group in groups]
    if len(told) > GROUPS or any(len(group) > FILTERS for group in told) or sum(map(len, told)) > ALL:
        raise invalid(f"no more than {GROUPS} groups, {FILTERS} filters in each and {ALL} in all")
    return [[_test(book, one) for one in group] for group in told]


def _test(book: Book, one: Mapping[str, Any]) -> Test:
    """What one filter says of a contact's properties; a contact without the property fits NEQ and NOT_IN as well."""
    name, operator = str(one.get("propertyName", "")), one.get("operator")
    known = book.schema.properties.get(name)
    if known is None:
        raise invalid(f"there is no property '{name}'", propertyName=[name])
    if operator not in _OPERATORS:
        raise unreadable(f"no operator is called {operator!r}")
    if operator in _BARE:
        wanted = operator == "HAS_PROPERTY"
        return lambda values: bool(values.get(name)) is wanted
    texts = one.get("values") if operator in {"IN", "NOT_IN"} else [one.get("value")]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise invalid(f"the filter of '{name}' has no {'values' if operator in {'IN', 'NOT_IN'} else 'value'}")
    return _compared(name, known.type, operator, texts)


def _compared(name: str, type_: str, operator: str, texts: list[str]) -> Test:
    wanted = [comparable(type_, text) for text in texts]
    if operator == "CONTAINS_TOKEN":
        token = texts[0].lower().strip("*")
        return lambda values: token in values.get(name, "").lower()
    if operator in _ORDER:
        compare = _ORDER[operator]
        return lambda values: bool(values.get(name)) and compare(comparable(type_, values[name]), wanted[0])
    among = operator in {"EQ", "IN"}
    return lambda values: (bool(values.get(name)) and comparable(type_, values[name]) in wanted) is among


def _sorted(book: Book, fit: list[tuple[int, Values]], sorts: Any) -> list[tuple[int, Values]]:
    if not sorts:
        return sorted(fit, key=lambda one: one[0])
    if len(sorts) > 1:
        raise invalid("no more than one sort")
    first = sorts[0]
    told = {"propertyName": first.lstrip("-")} if isinstance(first, str) else first
    down = first.startswith("-") if isinstance(first, str) else told.get("direction") == "DESCENDING"
    known = book.schema.properties.get(str(told.get("propertyName")))
    if known is None:
        raise invalid(f"there is no property '{told.get('propertyName')}'")
    name, type_ = known.name, known.type
    with_it = [one for one in fit if one[1].get(name)]
    without = [one for one in fit if not one[1].get(name)]
    return [*sorted(with_it, key=lambda one: (comparable(type_, one[1][name]), one[0]), reverse=down), *without]


def _whole(asked: Mapping[str, Any], name: str, usual: int) -> int:
    told = asked.get(name, usual)
    if told is None or told == "":
        return usual
    if isinstance(told, bool) or not str(told).isdigit():
        raise invalid(f"{name} must be a whole number")
    return int(told)
