"""Opt-outs of all marketing e-mail, which HubSpot keeps with the address and shows in a property that nobody can write.

https://developers.hubspot.com/docs/api-reference/communication-preferences-subscriptions-v4/subscription-status/post-communication-preferences-v4-statuses-subscriberIdString-unsubscribe-all
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stampcard.plugin import ContactPush, Delivered, Outcome
from stampcard_hubspot.calling import CallFailed
from stampcard_hubspot.client import Client
from stampcard_hubspot.payloads import Anything
from stampcard_hubspot.reading import Read, Reader
from stampcard_hubspot.settings import OPT_OUT

YES = "true"


class OptOuts:
    """Says an opt-out, once for each contact whose is new. To come back is a person's own, so that the contrary is not said."""

    def __init__(self, client: Client, reader: Reader) -> None:
        self._client, self._reader = client, reader

    async def say(self, items: Sequence[ContactPush], outcomes: Sequence[Outcome]) -> list[Outcome]:
        """The outcomes with what HubSpot shows of opt-outs now."""
        done = list(outcomes)
        due = {
            place: str(outcome.result["reference"])
            for place, outcome in enumerate(outcomes)
            if OPT_OUT in items[place].fields and isinstance(outcome, Delivered) and "fields" in outcome.result
        }
        if not due:
            return done
        try:
            found = await self._reader.by_ids(sorted(set(due.values())))
        except CallFailed as failed:
            return [failed.outcome if place in due else outcome for place, outcome in enumerate(done)]
        shown = {id_: one for one in found for id_ in one.ids}
        for place, reference in due.items():
            done[place] = await self._said(items[place], done[place], shown.get(reference))
        return done

    async def _said(self, item: ContactPush, outcome: Outcome, contact: Read | None) -> Outcome:
        now = contact.get(OPT_OUT).lower() if contact is not None else ""
        address = contact.get("email") if contact is not None else ""
        if item.fields[OPT_OUT] == YES and now != YES and address:
            try:
                await self._client.quota_back()
                path = self._client.path("statuses", address, "unsubscribe-all")
                await self._client.ask("POST", path, Anything, query={"channel": "EMAIL"})
            except CallFailed as failed:
                return failed.outcome
            now = YES
        if item.fields[OPT_OUT] == YES and now != YES:
            return _unsaid(outcome)
        return _with(outcome, now)


def _unsaid(outcome: Outcome) -> Outcome:
    """Without an address there is nobody of whom it could be said; it is said once there is one."""
    if not isinstance(outcome, Delivered):
        return outcome
    told: Mapping[str, str] = outcome.result.get("refused", {})
    why = "the contact has no e-mail address, of which alone HubSpot keeps an opt-out"
    return Delivered(result={**outcome.result, "refused": {**told, OPT_OUT: why}})


def _with(outcome: Outcome, now: str) -> Outcome:
    if not isinstance(outcome, Delivered):
        return outcome
    fields: Mapping[str, str] = outcome.result["fields"]
    return Delivered(result={**outcome.result, "fields": {**fields, OPT_OUT: now}})
