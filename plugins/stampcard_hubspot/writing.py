"""Contacts written at HubSpot, a hundred at once: those that are known by their numbers, others by the member's id."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from stampcard.plugin import ContactPush, Delivered, Outcome, Rejected
from stampcard_hubspot.batching import Batch
from stampcard_hubspot.calling import MISSING, CallFailed, about, blamed, existing, in_words
from stampcard_hubspot.client import Client
from stampcard_hubspot.decoding import canonical, moment_of
from stampcard_hubspot.payloads import Trouble, Written, WrittenAll
from stampcard_hubspot.reading import BATCH, chunks
from stampcard_hubspot.settings import OPT_OUT, ContactMap

#: HubSpot writes languages in small letters.
_WRITTEN: Mapping[str, Callable[[str], str]] = {"hs_language": lambda text: text.lower().replace("_", "-")}


#: How often a contact is written once more without what was refused.
_MOST_REFUSED = 3


class Blaming(Rejected, frozen=True):
    """A refusal for certain values alone."""

    fields: tuple[str, ...] = ()


class Writing:
    """Writes properties: of a batch HubSpot takes the good ones and tells which are bad, or else halves of it are tried.

    That is what the trace of each input is for (https://developers.hubspot.com/docs/api-reference/error-handling).
    """

    def __init__(self, client: Client, fields: ContactMap) -> None:
        self._client, self._fields = client, fields

    async def write(self, items: Sequence[ContactPush]) -> list[Outcome]:
        """One outcome for each, in order; whoever has values that are refused is written without them."""
        outcomes = await self._written(items)
        refused: dict[int, dict[str, str]] = {}
        for _ in range(_MOST_REFUSED):
            bad = {place: one for place, one in enumerate(outcomes) if isinstance(one, Blaming)}
            for place, one in bad.items():
                refused.setdefault(place, {}).update(dict.fromkeys(one.fields, one.reason))
            if not bad:
                break
            again = await self._written([_without(items[place], refused[place]) for place in bad])
            outcomes = [dict(zip(bad, again, strict=True)).get(place, one) for place, one in enumerate(outcomes)]
        return [_telling(one, refused.get(place, {})) for place, one in enumerate(outcomes)]

    async def _written(self, items: Sequence[ContactPush]) -> list[Outcome]:
        outcomes: dict[int, Outcome] = {}
        known = [place for place, item in enumerate(items) if item.reference]
        fresh = [place for place, item in enumerate(items) if not item.reference]
        for verb, places in (("update", known), ("upsert", fresh)):
            for some in _rounds(places, items):
                due = [place for place in some if verb == "upsert" or _properties(items[place])]
                outcomes |= {place: _as_it_is(items[place]) for place in some if place not in due}
                batch = Batch(partial(self._send, verb), self._alone)
                outcomes |= zip(due, await batch.deliver([items[place] for place in due]), strict=True)
        return [outcomes[place] for place in range(len(items))]

    async def _send(self, verb: str, items: Sequence[ContactPush]) -> Mapping[int, Outcome]:
        body = {"inputs": [self._input(item, place) for place, item in enumerate(items)]}
        answer = await self._client.ask("POST", self._client.path("objects", "batch", verb), WrittenAll, body)
        places = {name: place for place, item in enumerate(items) for name in (_trace(place), self._name(item))}
        told: dict[int, Outcome] = {}
        for trouble in answer.errors:
            named = {places[name] for name in about(trouble) if name in places} or ({0} if len(items) == 1 else set())
            told |= {place: self._verdict(items[place], trouble) for place in named}
        for written in answer.results:
            by = (written.object_write_trace_id, written.id, written.properties.get(self._fields.member))
            place = next((places[name] for name in by if name in places), 0 if len(items) == 1 else None)
            if place is not None:
                told[place] = self._done(items[place], written)
        return told

    def _input(self, item: ContactPush, place: int) -> dict[str, Any]:
        properties = _properties(item)
        named: dict[str, Any] = {"id": self._name(item)}
        if not item.reference:
            named["idProperty"] = self._fields.member
            properties[self._fields.member] = item.member
        return {**named, "properties": properties, "objectWriteTraceId": _trace(place)}

    def _name(self, item: ContactPush) -> str:
        return item.reference or item.member

    def _done(self, item: ContactPush, written: Written) -> Outcome:
        """What stands there now; what an answer leaves out stands there as it was sent."""
        kinds, shown = self._fields.kinds, written.properties
        fields = {
            name: canonical(kinds.get(name, "text"), shown.get(name) if name in shown else text)
            for name, text in _properties(item).items()
        }
        changed = moment_of(written.updated_at or "")
        told = {} if changed is None else {"changed_at": changed.isoformat()}
        return Delivered(result={"reference": written.id, "fields": fields, **told})

    def _alone(self, item: ContactPush, failed: CallFailed) -> Outcome:
        return self._verdict(item, failed.trouble) if isinstance(failed.outcome, Rejected) else failed.outcome

    def _verdict(self, item: ContactPush, trouble: Trouble) -> Outcome:
        """What HubSpot's refusal of one contact means."""
        other = existing(trouble)
        if other and not item.reference:
            return Delivered(result={"reference": other, "found": True})
        if other:
            reason = f"the contact {other} has the same e-mail address: merge the two in HubSpot"
            return Blaming(reason=reason, fields=("email",)) if "email" in item.fields else Rejected(reason=reason)
        if trouble.category == MISSING and item.reference:
            return Rejected(reason="the contact is not there any more", gone=True)
        named = ", ".join(blamed(trouble, {*item.fields, self._fields.member}))
        what = f"the value of {named}" if named else "the contact"
        reason = f"HubSpot refuses {what}{in_words(trouble)}"
        theirs = tuple(name for name in blamed(trouble, item.fields.keys()) if name != self._fields.member)
        return Blaming(reason=reason, fields=theirs) if theirs else Rejected(reason=reason)


def _trace(place: int) -> str:
    """What ties an answer to its input: its place, written so that it is no number of a contact."""
    return f"place-{place}"


def _properties(item: ContactPush) -> dict[str, str]:
    """What is written as it stands: an opt-out is said in another way."""
    return {
        name: _WRITTEN[name](text) if name in _WRITTEN else text
        for name, text in item.fields.items()
        if name != OPT_OUT
    }


def _without(item: ContactPush, names: Collection[str]) -> ContactPush:
    fields = {name: text for name, text in item.fields.items() if name not in names}
    return msgspec.structs.replace(item, fields=fields)


def _telling(outcome: Outcome, refused: Mapping[str, str]) -> Outcome:
    """What was written, and what was not."""
    if isinstance(outcome, Blaming):
        return Rejected(reason=outcome.reason)
    if refused and isinstance(outcome, Delivered):
        return Delivered(result={**outcome.result, "refused": dict(refused)})
    return outcome


def _as_it_is(item: ContactPush) -> Outcome:
    return Delivered(result={"reference": item.reference, "fields": {}})


def _rounds(places: Sequence[int], items: Sequence[ContactPush]) -> list[list[int]]:
    """Batches in which nobody stands twice, for HubSpot refuses such a one."""
    rounds: list[list[int]] = []
    times: dict[str, int] = {}
    for place in places:
        name = items[place].reference or items[place].member
        times[name] = turn = times.get(name, -1) + 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(place)
    return [some for one in rounds for some in chunks(one, BATCH)]
