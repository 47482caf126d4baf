"""The contact properties of the simulated portal, built in and custom, and their groups."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stampcard_hubspot.simulated_errors import Body, Refusal, invalid, unreadable
from stampcard_hubspot.simulated_values import Unfit, canonical, email, iso

#: How many properties of one kind of record may be unique.
MOST_UNIQUE = 10
_TYPES: Mapping[str, frozenset[str]] = {
    "string": frozenset({"text", "textarea", "file", "html", "phonenumber", "calculation_equation"}),
    "number": frozenset({"number", "calculation_equation"}),
    "date": frozenset({"date"}),
    "datetime": frozenset({"date"}),
    "bool": frozenset({"booleancheckbox", "calculation_equation"}),
    "enumeration": frozenset({"select", "radio", "checkbox", "booleancheckbox", "calculation_equation"}),
    "phone_number": frozenset({"phonenumber"}),
}
_NAME = re.compile(r"[a-z][a-z0-9_]{0,99}")
_STAGES = ("subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer", "other")
#: Built-in ones: type, fieldType, options, and whether HubSpot alone writes them.
_BUILT_IN: tuple[tuple[str, str, str, tuple[str, ...], bool], ...] = (
    ("email", "string", "text", (), False),
    ("hs_additional_emails", "enumeration", "checkbox", (), False),
    ("firstname", "string", "text", (), False),
    ("lastname", "string", "text", (), False),
    ("phone", "string", "phonenumber", (), False),
    ("mobilephone", "string", "phonenumber", (), False),
    ("address", "string", "text", (), False),
    ("city", "string", "text", (), False),
    ("zip", "string", "text", (), False),
    ("state", "string", "text", (), False),
    ("country", "string", "text", (), False),
    ("company", "string", "text", (), False),
    ("jobtitle", "string", "text", (), False),
    ("date_of_birth", "string", "text", (), False),
    ("gender", "string", "text", (), False),
    ("hubspot_owner_id", "enumeration", "select", ("77001", "77002"), False),
    ("lifecyclestage", "enumeration", "radio", _STAGES, False),
    ("hs_lead_status", "enumeration", "radio", ("NEW", "OPEN", "CONNECTED", "UNQUALIFIED"), False),
    ("hs_language", "enumeration", "select", ("da", "de", "en", "en-gb", "es", "fr", "it", "nl", "pl", "sv"), False),
    ("hs_timezone", "enumeration", "select", ("europe_slash_berlin", "europe_slash_london", "us_slash_eastern"), False),
    ("hs_email_optout", "enumeration", "booleancheckbox", ("true", "false"), True),
    ("hs_object_id", "number", "number", (), True),
    ("createdate", "datetime", "date", (), True),
    ("lastmodifieddate", "datetime", "date", (), True),
    ("hs_merged_object_ids", "enumeration", "checkbox", (), True),
    ("hs_object_source", "string", "text", (), True),
    ("hs_object_source_id", "string", "text", (), True),
)


@dataclass(frozen=True, slots=True)
class Property:
    """One property of contacts."""

    name: str
    label: str
    type: str
    field_type: str
    group: str
    options: tuple[str, ...] = ()
    unique: bool = False
    built_in: bool = False
    read_only: bool = False
    description: str = ""
    made: int = 0
    shown_options: tuple[Any, ...] = ()

    def taken(self, text: str) -> str:
        """The value in HubSpot's own form; raises Unfit."""
        if self.name == "email":
            return email(text)
        if self.name == "hs_additional_emails":
            return ";".join(dict.fromkeys(email(one.strip()) for one in text.split(";") if one.strip()))
        return canonical(self.type, text, self.options, several=self.field_type == "checkbox")

    def body(self) -> Body:
        shown = self.shown_options or tuple(
            {"label": one, "value": one, "displayOrder": order, "hidden": False}
            for order, one in enumerate(self.options)
        )
        return {
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "fieldType": self.field_type,
            "groupName": self.group,
            "description": self.description,
            "options": list(shown),
            "hasUniqueValue": self.unique,
            "hubspotDefined": self.built_in,
            "hidden": False,
            "formField": not self.read_only,
            "calculated": False,
            "externalOptions": False,
            "archived": False,
            "displayOrder": -1,
            "createdAt": iso(self.made),
            "updatedAt": iso(self.made),
            "modificationMetadata": {
                "archivable": not self.built_in,
                "readOnlyDefinition": self.built_in,
                "readOnlyValue": self.read_only,
            },
        }


def _known() -> dict[str, Property]:
    return {
        name: Property(name, name, type_, kind, "contactinformation", options, name == "email", True, closed)
        for name, type_, kind, options, closed in _BUILT_IN
    }


@dataclass(slots=True)
class Schema:
    """All properties and groups; a new property needs a group that is there."""

    properties: dict[str, Property] = field(default_factory=_known)
    groups: dict[str, str] = field(default_factory=lambda: {"contactinformation": "Contact information"})
    #: Names of the custom properties that identify a contact.
    unique: list[str] = field(default_factory=list)

    def taken(self, given: Mapping[str, str]) -> tuple[dict[str, str], list[Body]]:
        """The values in HubSpot's form, and what is wrong with the others."""
        values, problems = {}, []
        for name, text in given.items():
            try:
                values[name] = self._writable(name).taken(text)
            except Unfit as unfit:
                problems.append({"message": unfit.message, "error": unfit.code, "name": name})
        return values, problems

    def _writable(self, name: str) -> Property:
        known = self.properties.get(name)
        if known is None:
            raise Unfit("PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist')
        if known.read_only:
            raise Unfit("READ_ONLY_VALUE", f'"{name}" is a read only property; its value cannot be set.')
        return known

    def add_group(self, asked: Any) -> Body:
        name, label = _texts(asked, "name", "label")
        if name in self.groups:
            raise Refusal(409, f"A property group named '{name}' already exists.", "OBJECT_ALREADY_EXISTS")
        self.groups[name] = label
        return self.group(name)

    def group(self, name: str) -> Body:
        return {"name": name, "label": self.groups[name], "displayOrder": -1, "archived": False}

    def add(self, asked: Any, now: int) -> Property:
        """Make a custom property; raises Refusal."""
        name, label, type_, kind, group = _texts(asked, "name", "label", "type", "fieldType", "groupName")
        if not _NAME.fullmatch(name):
            raise invalid(f"'{name}' is no name of a property", propertyName=[name])
        if kind not in _TYPES.get(type_, ()):
            raise invalid(f"type '{type_}' does not go with fieldType '{kind}'", propertyName=[name])
        if group not in self.groups:
            raise invalid(f"there is no property group '{group}'", groupName=[group])
        if name in self.properties:
            raise Refusal(409, f"A property named '{name}' already exists.", "OBJECT_ALREADY_EXISTS")
        unique, shown = asked.get("hasUniqueValue") is True, tuple(asked.get("options") or ())
        options = tuple(str(one.get("value", "")) for one in shown if isinstance(one, dict))
        self._check(type_, kind, options, unique=unique)
        description = str(asked.get("description") or "")
        made = Property(name, label, type_, kind, group, options, unique, False, False, description, now, shown)
        self.properties[name] = made
        if unique:
            self.unique.append(name)
        return made

    def _check(self, type_: str, kind: str, options: tuple[str, ...], *, unique: bool) -> None:
        if type_ == "enumeration" and not options and kind != "calculation_equation":
            raise invalid("an enumeration needs options")
        if unique and type_ not in {"string", "number"}:
            raise invalid(f"a property of type '{type_}' cannot be unique")
        if unique and len(self.unique) >= MOST_UNIQUE:
            raise invalid(f"no more than {MOST_UNIQUE} properties can be unique")


def _texts(asked: Any, *names: str) -> list[str]:
    if not isinstance(asked, dict):
        raise unreadable("an object is wanted")
    if lacking := [name for name in names if not isinstance(asked.get(name), str) or not asked[name]]:
        raise unreadable(f"some required fields were not set: {lacking}")
    return [asked[name] for name in names]
