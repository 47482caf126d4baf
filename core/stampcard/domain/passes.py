"""Loyalty cards in people's phones: what a pass shows, and what its code is made of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from stampcard.domain.value import Value

#: How a code is drawn.
Barcode = Literal["qr", "pdf417", "aztec", "code_128"]
#: Language, such as ``nl``, → text.
Texts = Mapping[str, str]


class CardDesign(Value, frozen=True):
    """What all cards of a program look like.

    `name`, `issuer` and what is in `labels` are written by language; `language` has a text of each. `labels`: what stands
    above a field. `logo` and `banner` are addresses of pictures, `page` that of a page for members; any may be empty.
    `colour`: ``#rrggbb``, or empty.
    """

    program: str
    language: str
    name: Texts
    issuer: Texts
    logo: str = ""
    banner: str = ""
    colour: str = ""
    page: str = ""
    barcode: Barcode = "qr"
    labels: Mapping[str, Texts] = {}


class CardField(Value, frozen=True):
    """One figure of a member, by our name for it; `text` as the member reads it, `number` where it is one."""

    name: str
    text: str
    number: str = ""


class RotatingCode(Value, frozen=True):
    """A code that is another one every `period` seconds (RFC 6238, SHA-1, from 1970 on).

    `pattern` has the places ``{timestamp}``, for the second at which its period began, and ``{password}``, for the
    one-time password of `digits` digits. `key`: in hex.
    """

    pattern: str
    key: str
    period: int
    digits: int


class CardOffer(Value, frozen=True):
    """A reward that a member holds; `code` is what is shown for it, empty where there is none."""

    id: str
    title: str
    code: str = ""
    ends_at: datetime | None = None


class PassPush(Value, frozen=True):
    """One member's card as it is now, for one phone wallet; sending it twice, late or never in between does no harm.

    `serial`: what the pass is called there, made by us. `number`: what people type where nothing can be scanned. `code`: what a
    scanner reads where codes do not rotate, or the wallet cannot. `page`: the member's own page. `active`: false of
    somebody who takes no part any more. `notify`: whether whoever holds the pass is to be told that it changed.
    """

    member: str
    version: int
    serial: str
    language: str
    design: CardDesign
    holder: str
    number: str
    code: str
    page: str
    fields: tuple[CardField, ...] = ()
    rotating: RotatingCode | None = None
    offers: tuple[CardOffer, ...] = ()
    active: bool = True
    notify: bool = False
