"""What an audience elsewhere is to be told of a member: who joins, who leaves, by hashes; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet

from stampcard.domain.audiences import AudiencePush, HashKind, Place
from stampcard.domain.value import Value


class Step(Value, frozen=True):
    """The next things to tell of a member.

    `dropped`: places in which the member is no more and another still is, of which nobody is told. `shaken`: places in which
    the member stays, and of which nobody can say so once another hash of theirs has left. `goes_on`: something is to be told
    once that is done.
    """

    items: tuple[AudiencePush, ...] = ()
    dropped: frozenset[Place] = frozenset()
    shaken: frozenset[Place] = frozenset()
    goes_on: bool = False


def next_step(
    member: str,
    version: int,
    wanted: AbstractSet[Place],
    told: Mapping[Place, bool],
    held: Collection[Place],
    room: int,
) -> Step:
    """What to tell next, in at most `room` items, so that the member is in the wanted places and in no others.

    `told`: where they may be, and whether that is sure. `held`: places in which others may be. A vendor that takes a hash out
    may take out the person whom it knows by it: so whoever stays by other hashes comes in again, but only once that is done.
    """
    gone = told.keys() - wanted
    dropped = frozenset(held) & gone
    leaving = gone - dropped
    shaking = {place.audience for place in leaving}
    owing = {place.audience for place in wanted if not told.get(place)} - shaking
    joining = {place for place in wanted if place.audience in owing}
    items = _items(member, version, joining, leaving)
    staying = {place for place in wanted if place.audience in shaking}
    return Step(
        items=items[:room],
        dropped=dropped,
        shaken=frozenset(staying & told.keys()),
        goes_on=bool(staying) or len(items) > room,
    )


def items_of_leaving(member: str, places: Collection[Place]) -> tuple[AudiencePush, ...]:
    """What takes a member out of places, whatever else is known of them."""
    return _items(member, 0, (), places)


def _items(
    member: str, version: int, joining: Collection[Place], leaving: Collection[Place]
) -> tuple[AudiencePush, ...]:
    """Hashes that go the same ways together, no two of a kind; those that leave somewhere first."""
    hashes = sorted({(place.kind, place.hash) for place in (*joining, *leaving)})
    groups: list[tuple[tuple[tuple[str, ...], tuple[str, ...]], dict[HashKind, str]]] = []
    for kind, text in hashes:
        ways = _audiences(joining, kind, text), _audiences(leaving, kind, text)
        mine = next((of for known, of in groups if known == ways and kind not in of), None)
        if mine is None:
            mine = {}
            groups.append((ways, mine))
        mine[kind] = text
    groups.sort(key=lambda group: not group[0][1])
    return tuple(
        AudiencePush(member=member, version=version, hashes=of, joins=joins, leaves=leaves)
        for (joins, leaves), of in groups
    )


def _audiences(places: Iterable[Place], kind: str, text: str) -> tuple[str, ...]:
    return tuple(sorted(place.audience for place in places if (place.kind, place.hash) == (kind, text)))
