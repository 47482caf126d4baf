"""What cards look like at Google: classes for what all cards of a program share, objects for what one member has."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import msgspec

from stampcard.plugin import CardDesign, CardField, CardOffer, PassPush

Body = dict[str, Any]
BARCODES: Final[Mapping[str, str]] = {"qr": "QR_CODE", "pdf417": "PDF_417", "aztec": "AZTEC", "code_128": "CODE_128"}
#: The largest figure that a balance holds as a number; others are shown as text. And all forms that a balance may have.
_MOST, _FORMS = 2**31 - 1, ("int", "string", "double", "money")
#: Figures that a card shows large; the others stand below as texts.
_LARGE = 2
#: What a card shows of a person, all of it gone when a pass is over. Null takes a field away.
BARE: Final[Body] = {
    "state": "INACTIVE",
    **dict.fromkeys(("accountId", "accountName", "loyaltyPoints", "secondaryLoyaltyPoints", "textModulesData")),
    **dict.fromkeys(("linksModuleData", "barcode", "rotatingBarcode", "messages")),
}
#: An offer that nobody holds any more. It is completed, for Google would tell people of one that expires.
OVER: Final[Body] = {"state": "COMPLETED", "barcode": None}


def class_of(design: CardDesign, id_: str, callback: str) -> Body:
    """The class of all cards of a program; `callback`: where Google tells who saves one, if it can."""
    name, issuer = localised(design.name, design.language), localised(design.issuer, design.language)
    return {
        "id": id_,
        "issuerName": design.issuer[design.language],
        "localizedIssuerName": issuer,
        "programName": design.name[design.language],
        "localizedProgramName": name,
        "programLogo": _image(design.logo, name),
        "heroImage": _image(design.banner, name),
        "hexBackgroundColor": design.colour or None,
        "homepageUri": _link(design, design.page) if design.page else None,
        "callbackOptions": {"url": callback} if callback else None,
        "reviewStatus": "UNDER_REVIEW",
    }


def offers_of(design: CardDesign, id_: str) -> Body:
    """The class of all rewards that cards of a program show; what each of them is stands on its object."""
    name, issuer = localised(design.name, design.language), localised(design.issuer, design.language)
    return {
        "id": id_,
        "issuerName": design.issuer[design.language],
        "localizedIssuerName": issuer,
        "provider": design.issuer[design.language],
        "localizedProvider": issuer,
        "title": design.name[design.language],
        "localizedTitle": name,
        "titleImage": _image(design.logo, name),
        "redemptionChannel": "BOTH",
        "reviewStatus": "UNDER_REVIEW",
    }


def object_of(push: PassPush, id_: str, class_id: str) -> Body:
    """One member's card; what it does not show is null, also inside, so that it takes away what it showed before."""
    points = [_points(push.design, field) for field in push.fields[:_LARGE]] + [None] * _LARGE
    barcode, rotating = (_barcode(push), None) if push.rotating is None else (None, _rotating(push))
    return {
        "id": id_,
        "classId": class_id,
        "state": "ACTIVE" if push.active else "INACTIVE",
        "accountId": push.number,
        "accountName": push.holder or None,
        "loyaltyPoints": points[0],
        "secondaryLoyaltyPoints": points[1],
        "textModulesData": [_text(push.design, field) for field in push.fields[_LARGE:]],
        "linksModuleData": {"uris": [_link(push.design, push.page)]},
        "barcode": barcode,
        "rotatingBarcode": rotating,
    }


def offer_of(push: PassPush, offer: CardOffer, prefix: str, class_id: str) -> Body:
    """One reward that a member holds. Whatever changes of it makes another object, so that its name says all of it."""
    told = msgspec.json.encode([offer, class_id, push.design.barcode])
    name = push.design.name.get(push.language, push.design.name[push.design.language])
    body: Body = {
        "id": f"{prefix}{hashlib.sha256(told).hexdigest()[:32]}",
        "classId": class_id,
        "state": "ACTIVE",
        "textModulesData": [{"id": "reward", "header": name, "body": offer.title}],
    }
    if offer.code:
        kind = BARCODES[push.design.barcode]
        body["barcode"] = {"type": kind, "value": offer.code, "alternateText": offer.code}
    if offer.ends_at is not None:
        body["validTimeInterval"] = {"end": {"date": offer.ends_at.isoformat()}}
    return body


def localised(texts: Mapping[str, str], language: str) -> Body:
    """A text in all languages; `language` is that of whoever has none of them."""
    others = [_in(one, text) for one, text in sorted(texts.items()) if one != language]
    return {"defaultValue": _in(language, texts[language]), "translatedValues": others}


def _in(language: str, text: str) -> Body:
    return {"language": language.replace("_", "-"), "value": text}


def _image(url: str, description: Body) -> Body | None:
    return {"sourceUri": {"uri": url}, "contentDescription": description} if url else None


def _link(design: CardDesign, url: str) -> Body:
    texts, language = design.name, design.language
    return {"uri": url, "description": texts[language], "localizedDescription": localised(texts, language)}


def _label(design: CardDesign, field: CardField) -> tuple[str, Body]:
    texts = design.labels.get(field.name) or {design.language: field.name}
    language = design.language if design.language in texts else next(iter(texts))
    return texts[language], localised(texts, language)


def _points(design: CardDesign, field: CardField) -> Body:
    label, labels = _label(design, field)
    return {"label": label, "localizedLabel": labels, "balance": _balance(field)}


def _balance(field: CardField) -> Body:
    """A figure in one form; the others are null, for Google keeps what a change does not name, inside too."""
    return {**dict.fromkeys(_FORMS), **_form(field)}


def _form(field: CardField) -> Body:
    """A whole number that fits as one, which phones write in their own language; anything else as the member reads it."""
    try:
        number = Decimal(field.number)
    except InvalidOperation:
        return {"string": field.text}
    fits = number.is_finite() and abs(number) <= _MOST and number == int(number)
    return {"int": int(number)} if fits else {"string": field.text}


def _text(design: CardDesign, field: CardField) -> Body:
    label, labels = _label(design, field)
    return {"id": field.name, "header": label, "localizedHeader": labels, "body": field.text}


def _barcode(push: PassPush) -> Body:
    return {"type": BARCODES[push.design.barcode], "value": push.code, "alternateText": _spaced(push.number)}


def _rotating(push: PassPush) -> Body:
    code = push.rotating
    assert code is not None
    pattern = code.pattern.replace("{timestamp}", "{totp_timestamp_seconds}").replace("{password}", "{totp_value_0}")
    return {
        "type": BARCODES[push.design.barcode],
        "valuePattern": pattern,
        "alternateText": _spaced(push.number),
        "totpDetails": {
            "algorithm": "TOTP_SHA1",
            "periodMillis": str(code.period * 1000),
            "parameters": [{"key": code.key, "valueLength": code.digits}],
        },
    }


def _spaced(number: str) -> str:
    """A number as people read it: in groups of four."""
    return " ".join(number[place : place + 4] for place in range(0, len(number), 4))
