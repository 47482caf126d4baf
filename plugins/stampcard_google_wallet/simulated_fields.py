"""What may stand in requests to Google Wallet: as much of Google's published schemas as loyalty cards and offers use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_BARCODES = ("AZTEC", "CODE_39", "CODE_128", "CODABAR", "DATA_MATRIX", "EAN_8", "EAN_13", "PDF_417", "QR_CODE", "UPC_A")
_STATES = ("ACTIVE", "COMPLETED", "EXPIRED", "INACTIVE")
_REVIEWS = ("UNDER_REVIEW", "DRAFT")
_NOTIFY = ("NOTIFY_ON_UPDATE",)
Kind = str | tuple[str, ...] | list[str]

#: Schema → field → what stands there: a plain type, another schema, a list of either, or one of these words.
SCHEMAS: Mapping[str, Mapping[str, Kind]] = {
    "LoyaltyClass": {
        **dict.fromkeys(("id", "issuerName", "programName", "hexBackgroundColor", "countryCode"), "string"),
        **dict.fromkeys(("accountNameLabel", "accountIdLabel", "rewardsTier", "rewardsTierLabel"), "string"),
        **dict.fromkeys(("localizedIssuerName", "localizedProgramName"), "LocalizedString"),
        **dict.fromkeys(("programLogo", "heroImage"), "Image"),
        "homepageUri": "Uri",
        "callbackOptions": "CallbackOptions",
        "reviewStatus": _REVIEWS,
        "notifyPreference": _NOTIFY,
    },
    "LoyaltyObject": {
        **dict.fromkeys(("id", "classId", "accountId", "accountName"), "string"),
        **dict.fromkeys(("loyaltyPoints", "secondaryLoyaltyPoints"), "LoyaltyPoints"),
        "state": _STATES,
        "textModulesData": ["TextModuleData"],
        "linksModuleData": "LinksModuleData",
        "barcode": "Barcode",
        "rotatingBarcode": "RotatingBarcode",
        "linkedOfferIds": ["string"],
        "messages": ["Message"],
        "notifyPreference": _NOTIFY,
    },
    "OfferClass": {
        **dict.fromkeys(("id", "issuerName", "provider", "title"), "string"),
        **dict.fromkeys(("localizedIssuerName", "localizedProvider", "localizedTitle"), "LocalizedString"),
        "titleImage": "Image",
        "redemptionChannel": ("INSTORE", "ONLINE", "BOTH", "TEMPORARY_PRICE_REDUCTION"),
        "reviewStatus": _REVIEWS,
    },
    "OfferObject": {
        **dict.fromkeys(("id", "classId"), "string"),
        "state": _STATES,
        "textModulesData": ["TextModuleData"],
        "barcode": "Barcode",
        "validTimeInterval": "TimeInterval",
    },
    "LocalizedString": {"defaultValue": "TranslatedString", "translatedValues": ["TranslatedString"]},
    "TranslatedString": {"language": "string", "value": "string"},
    "Image": {"sourceUri": "ImageUri", "contentDescription": "LocalizedString"},
    "ImageUri": {"uri": "string"},
    "Uri": {
        **dict.fromkeys(("id", "uri", "description"), "string"),
        "localizedDescription": "LocalizedString",
    },
    "CallbackOptions": {"url": "string"},
    "LoyaltyPoints": {"label": "string", "localizedLabel": "LocalizedString", "balance": "LoyaltyPointsBalance"},
    "LoyaltyPointsBalance": {"int": "integer", "string": "string", "double": "number", "money": "Money"},
    "Money": dict.fromkeys(("micros", "currencyCode"), "string"),
    "TextModuleData": {
        **dict.fromkeys(("id", "header", "body"), "string"),
        **dict.fromkeys(("localizedHeader", "localizedBody"), "LocalizedString"),
    },
    "LinksModuleData": {"uris": ["Uri"]},
    "Barcode": {**dict.fromkeys(("value", "alternateText"), "string"), "type": _BARCODES},
    "RotatingBarcode": {
        **dict.fromkeys(("valuePattern", "alternateText"), "string"),
        "type": ("AZTEC", "PDF_417", "QR_CODE"),
        "totpDetails": "RotatingBarcodeTotpDetails",
    },
    "RotatingBarcodeTotpDetails": {
        "algorithm": ("TOTP_SHA1",),
        "periodMillis": "string",
        "parameters": ["RotatingBarcodeTotpDetailsTotpParameters"],
    },
    "RotatingBarcodeTotpDetailsTotpParameters": {"key": "string", "valueLength": "integer"},
    "TimeInterval": {"start": "DateTime", "end": "DateTime"},
    "DateTime": {"date": "string"},
    "AddMessageRequest": {"message": "Message"},
    "Message": {
        **dict.fromkeys(("id", "header", "body"), "string"),
        "messageType": ("TEXT", "TEXT_AND_NOTIFY", "EXPIRATION_NOTIFICATION"),
        "displayInterval": "TimeInterval",
    },
    "ModifyLinkedOfferObjectsRequest": {"linkedOfferObjectIds": "ModifyLinkedOfferObjects"},
    "ModifyLinkedOfferObjects": {"addLinkedOfferObjectIds": ["string"], "removeLinkedOfferObjectIds": ["string"]},
    "JwtResource": {"jwt": "string"},
}
#: What cannot be made without.
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "LoyaltyClass": ("id", "issuerName", "programName", "programLogo", "reviewStatus"),
    "LoyaltyObject": ("id", "classId", "state"),
    "OfferClass": ("id", "issuerName", "provider", "title", "redemptionChannel", "reviewStatus"),
    "OfferObject": ("id", "classId", "state"),
    "Barcode": ("type",),
    "RotatingBarcode": ("type", "valuePattern", "totpDetails"),
    "LoyaltyPoints": ("balance",),
    "Image": ("sourceUri",),
}
_PLAIN: Mapping[str, type | tuple[type, ...]] = {"string": str, "integer": int, "number": (int, float)}


def misfits(schema: str, body: Any, place: str = "", *, is_patch: bool = False) -> Iterator[str]:
    """What is wrong with a body; in a patch, but for its lists, null takes a field away, and nothing has to be there."""
    if not isinstance(body, dict):
        yield f"{place or schema} is no object"
        return
    known = SCHEMAS[schema]
    for name, value in body.items():
        where = f"{place}{'.' if place else ''}{name}"
        if name not in known:
            yield f"Unknown name {name!r} at {where}"
        elif value is not None or not is_patch:
            yield from _misfits(known[name], value, where, is_patch=is_patch)
    if not is_patch:
        yield from (f"{schema}.{name} must be set" for name in REQUIRED.get(schema, ()) if body.get(name) is None)


def _misfits(kind: Kind, value: Any, where: str, *, is_patch: bool = False) -> Iterator[str]:
    if isinstance(kind, tuple):
        if value not in kind:
            yield f"Invalid value at {where}: {value!r}"
    elif isinstance(kind, list):
        for one in value if isinstance(value, list) else [None]:
            yield from _misfits(kind[0], one, where)
    elif kind in SCHEMAS:
        yield from misfits(kind, value, where, is_patch=is_patch)
    elif not isinstance(value, _PLAIN[kind]) or isinstance(value, bool):
        yield f"Invalid value at {where}: no {kind}"
