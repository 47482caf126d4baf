"""Which column of a platform's file is which of our fields; plain data, completed by `--map`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from stampcard.domain.value import Value

#: In which order a date with slashes tells its parts; "" where nobody says.
DateOrder = Literal["", "mdy", "dmy"]

#: Every field that a column can be, with what it is.
FIELDS: Mapping[str, str] = {
    "kind": "member, lot, tier, history or referral; without it every row is a member",
    "reference": "how the connection calls the customer",
    "email": "the address",
    "phone": "with its country code, as +4930123456",
    "name": "first and last name in one",
    "first_name": "",
    "last_name": "",
    "language": "",
    "country": "",
    "timezone": "",
    "birthday": "where the program declares it; the year may be missing",
    "joined": "since when they take part",
    "points": "the balance, the points of a lot, or those of a row of history",
    "wallet": "where the program has several",
    "available_from": "when the points can be used",
    "expires": "their last day, or never",
    "tier": "its name",
    "tier_until": "its last day",
    "at": "when a row of history happened",
    "note": "what a row of history says",
    "code": "the code or the link that they bring friends with",
    "friend": "the address of whom a referral brought",
}
#: Those of a file of consents; an export has the same.
CONSENT_FIELDS: Mapping[str, str] = {
    "member": "our id of the member",
    "connection": "whose reference it is; by default that of --connection",
    "reference": "how the connection calls the customer",
    "email": "the address",
    "phone": "with its country code, as +4930123456",
    "channel": "email, sms …",
    "purpose": "marketing, or a word of your own",
    "state": "given, pending, refused or withdrawn",
    "at": "when it was said",
    "source": "where it was said",
    "text": "which version of which words they saw",
    "ip": "from which address",
}
#: Those of a file of addresses that get no messages; an export has the same.
SUPPRESSION_FIELDS: Mapping[str, str] = {
    "channel": "email, sms …; by default that of --channel",
    "address": "the e-mail address or phone number",
    "reason": "bounced, complained, unsubscribed, address, hand or imported, the default",
    "at": "since when; by default now",
    "note": "why",
}
ATTRIBUTES = ("phone", "first_name", "last_name", "language", "country", "timezone", "birthday")


class Preset(Value, frozen=True):
    """A platform's columns, written as `heading` makes them, with the pages that say so.

    `fields`: what a column can be. A file needs one column of `who`, and all of `needs`.
    """

    name: str
    columns: Mapping[str, str]
    dates: DateOrder = ""
    sources: tuple[str, ...] = ()
    fields: tuple[str, ...] = tuple(FIELDS)
    who: tuple[str, ...] = ("email", "reference")
    needs: tuple[str, ...] = ()


#: Smile.io documents what it imports (email, points) and the customer of its API, whose names its exports follow; the
#: headings of the export itself are on none of these pages, nor is the end of a VIP tier. What differs is for --map.
_SMILE = Preset(
    name="smile",
    columns={
        "email": "email",
        "points": "points",
        "points_balance": "points",
        "first_name": "first_name",
        "last_name": "last_name",
        "date_of_birth": "birthday",
        "birthday": "birthday",
        "vip_tier": "tier",
        "vip_tier_name": "tier",
        "referral_url": "code",
        "created_at": "joined",
    },
    sources=(
        "https://help.smile.io/en/articles/4036233-import-points-with-a-csv-file",
        "https://dev.smile.io/api/resources/customers/customer-object",
    ),
)

#: Yotpo documents the columns that it imports up to the birthday, what it exports in words (address, names, current
#: balance, referral link), and the names of attributes. The exact headings of the export are on none of these pages.
_YOTPO = Preset(
    name="yotpo",
    columns={
        "email": "email",
        "emails": "email",
        "email_address": "email",
        "full_name": "name",
        "name": "name",
        "first_name": "first_name",
        "last_name": "last_name",
        "points": "points",
        "points_balance": "points",
        "point_balance": "points",
        "current_points_balance": "points",
        "birthday": "birthday",
        "birthday_mm_dd_or_mm_dd_yyyy": "birthday",
        "referral_link": "code",
        "vip_tier": "tier",
        "vip_tier_ends_at": "tier_until",
        "swell_first_name": "first_name",
        "swell_last_name": "last_name",
        "swell_point_balance": "points",
        "swell_referral_link": "code",
        "swell_vip_tier_ends_at": "tier_until",
    },
    dates="mdy",
    sources=(
        "https://support.yotpo.com/v1/docs/importingexporting-points-and-customers",
        "https://support.yotpo.com/docs/importing-or-adjusting-your-customers-points",
        "https://community.yotpo.com/loyalty-referrals-97/we-re-here-to-help-how-to-manage-your-customers-loyalty-points-649",
        "https://support.yotpo.com/docs/email-integrations-attributes-events",
    ),
)

#: LoyaltyLion imports an address and points, and lets everybody choose and rename the columns of an export; the names
#: here are those of its list of customers and of the profile. The columns of its imports of tiers and birthdays are on none
#: of these pages.
_LOYALTYLION = Preset(
    name="loyaltylion",
    columns={
        "email": "email",
        "email_address": "email",
        "email_addresses": "email",
        "customer_email": "email",
        "shopify_id": "reference",
        "customer_name": "name",
        "name": "name",
        "points": "points",
        "approved_points": "points",
        "approved_points_balance": "points",
        "birthday": "birthday",
        "tier": "tier",
        "current_tier": "tier",
        "enrollment_date": "joined",
    },
    sources=(
        "https://help.loyaltylion.com/articles/1965540-customers-and-points-import",
        "https://help.loyaltylion.com/en/articles/5553630-imports",
        "https://help.loyaltylion.com/articles/5367139-export",
        "https://help.loyaltylion.com/en/articles/1965801-managing-members",
    ),
)

_STAMPCARD = Preset(name="stampcard", columns={name: name for name in FIELDS})

PRESETS: Mapping[str, Preset] = {one.name: one for one in (_STAMPCARD, _SMILE, _YOTPO, _LOYALTYLION)}

#: The columns of files that hold something else than members, by what they hold.
OWN: Mapping[str, Preset] = {
    "consents": Preset(
        name="consents",
        columns={name: name for name in CONSENT_FIELDS},
        fields=tuple(CONSENT_FIELDS),
        who=("email", "phone", "reference", "member"),
        needs=("channel", "purpose", "state", "at"),
    ),
    "suppressions": Preset(
        name="suppressions",
        columns={name: name for name in SUPPRESSION_FIELDS},
        fields=tuple(SUPPRESSION_FIELDS),
        who=("address",),
    ),
}
