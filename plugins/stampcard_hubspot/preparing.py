"""The properties that show a member at HubSpot: made where they are missing, and checked where they are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from stampcard.plugin import FieldPair, PluginError
from stampcard_hubspot.calling import CallFailed
from stampcard_hubspot.client import Client
from stampcard_hubspot.payloads import Properties, Property
from stampcard_hubspot.settings import OPT_OUT

if TYPE_CHECKING:
    from stampcard_hubspot.settings import HubSpotSettings


class Kind(msgspec.Struct, frozen=True):
    """How a kind of field of ours is made at HubSpot, and which types of theirs can show it."""

    type: str
    field_type: str
    fits: frozenset[str]


#: By https://developers.hubspot.com/docs/api-reference/latest/crm/properties/guide.
KINDS: Mapping[str, Kind] = {
    "text": Kind("string", "text", frozenset({"string", "enumeration", "phone_number"})),
    "number": Kind("number", "number", frozenset({"number"})),
    "date": Kind("date", "date", frozenset({"date"})),
    "moment": Kind("datetime", "date", frozenset({"datetime"})),
    "truth": Kind("bool", "booleancheckbox", frozenset({"bool", "enumeration"})),
    "country": Kind("string", "text", frozenset({"string", "enumeration"})),
}
_CHOICES = [
    {"label": "Yes", "value": "true", "displayOrder": 0, "hidden": False},
    {"label": "No", "value": "false", "displayOrder": 1, "hidden": False},
]


class Preparing:
    """Makes the properties that are ours, in a group of their own."""

    def __init__(self, client: Client, settings: HubSpotSettings) -> None:
        self._client, self._settings = client, settings

    async def prepare(self, pairs: Sequence[FieldPair], *, dry_run: bool = False) -> Sequence[str]:
        """See `Contacts.prepare`; all is checked before anything is made."""
        there = {one.name: one for one in (await self._client.ask("GET", self._path(), Properties)).results}
        for pair in pairs:
            _check(pair, there.get(pair.theirs))
        missing = [pair for pair in pairs if pair.theirs not in there]
        if dry_run:
            return [f"the property {pair.theirs}" for pair in missing]
        made = [await self._made("the group", self._settings.property_group, self._group())] if missing else []
        made += [await self._made("the property", pair.theirs, self._property(pair)) for pair in missing]
        return [one for one in made if one]

    async def _made(self, what: str, name: str, body: Mapping[str, Any]) -> str:
        """Make something, and say so; nothing is said of what was there already."""
        try:
            await self._client.tell("POST", self._path(*(("groups",) if what == "the group" else ())), body)
        except CallFailed as failed:
            if failed.status != httpx.codes.CONFLICT:
                raise
            return ""
        return f"{what} {name}"

    def _path(self, *steps: str) -> str:
        return self._client.path("properties", *steps)

    def _group(self) -> dict[str, Any]:
        name = self._settings.property_group
        return {"name": name, "label": name.replace("_", " ").capitalize(), "displayOrder": -1}

    def _property(self, pair: FieldPair) -> dict[str, Any]:
        kind = KINDS[pair.kind]
        return {
            "name": pair.theirs,
            "label": pair.label or pair.theirs,
            "type": kind.type,
            "fieldType": kind.field_type,
            "groupName": self._settings.property_group,
            "hasUniqueValue": pair.unique,
            "formField": False,
            **({"options": _CHOICES} if pair.kind == "truth" else {}),
        }


def _check(pair: FieldPair, there: Property | None) -> None:
    """Raise PluginError where a property of theirs cannot show what it is to show."""
    where = f"name another in fields.{pair.ours}, or leave it out with false"
    if there is None:
        if not pair.made:
            raise PluginError("hubspot", f"HubSpot has no contact property {pair.theirs}: {where}")
        return
    # What is read as text may be of any type.
    if (pair.is_figure or pair.kind != "text") and there.type not in KINDS[pair.kind].fits:
        raise PluginError(
            "hubspot",
            f"HubSpot's property {pair.theirs} is of the type {there.type}, and {pair.ours} is a {pair.kind}: {where}",
        )
    if pair.unique and not there.has_unique_value:
        raise PluginError(
            "hubspot", f"HubSpot's property {pair.theirs} is not unique, and {pair.ours} must be: {where}"
        )
    is_closed = there.modification_metadata is not None and there.modification_metadata.read_only_value
    if is_closed and pair.owner != "theirs" and pair.theirs != OPT_OUT:
        raise PluginError("hubspot", f"HubSpot alone writes {pair.theirs}: let its owner be theirs, or {where}")
