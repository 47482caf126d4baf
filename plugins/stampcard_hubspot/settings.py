"""The settings of a connection to HubSpot, and which of its properties show what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from stampcard.plugin import FIGURES, Choice, ContactSettings, FieldChoice

Secret = Annotated[SecretStr, Field(min_length=1)]
Scope = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,99}$")]
ADDRESS = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"
WORD = r"^[a-z][a-z0-9_]{0,39}$"
#: All that contacts, their properties, lists and opt-outs need (https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/scopes).
SCOPES = (
    "oauth",
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.schemas.contacts.read",
    "crm.schemas.contacts.write",
    "crm.lists.read",
    "crm.lists.write",
    "communication_preferences.read_write",
)
#: What somebody who wants no e-mail any more has; HubSpot lets nobody write it as a property.
OPT_OUT = "hs_email_optout"
#: Our names to HubSpot's own properties.
_THEIRS: Mapping[str, Choice] = {
    "first_name": "firstname",
    "last_name": "lastname",
    "email": "email",
    "phone": "phone",
    "birthday": "date_of_birth",
    "country": "country",
    "address": "address",
    "city": "city",
    "postcode": "zip",
    "language": "hs_language",
    "owner": "hubspot_owner_id",
    "consent.email.marketing": FieldChoice(field=OPT_OUT, opposite=True),
}
#: What is read of each contact to know whose it is, beside the member's id.
IDENTITY = ("email", "hs_additional_emails", "phone", "mobilephone", "lastmodifieddate", "hs_merged_object_ids")
#: Of these, what people change.
ADDRESSES = ("email", "hs_additional_emails", "phone", "mobilephone")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | SecretStr) else value


class HubSpotSettings(ContactSettings):
    """One account (HubSpot calls it a portal), and one app of it: with a fixed token, or installed by somebody."""

    portal_id: int = Field(ge=1, lt=2**63 - 1, description="the account's number, as the Hub ID in HubSpot says it")
    access_token: Secret | None = Field(
        default=None, description="the token of a private app; or else client_id and client_secret"
    )
    client_id: str | None = Field(
        default=None, min_length=1, description="the client id of an app that somebody installs, opening its address"
    )
    client_secret: Secret | None = Field(default=None, description="the app's client secret")
    webhook_secrets: Annotated[tuple[Secret, ...], BeforeValidator(_as_list)] = Field(
        default_factory=lambda data: (data["client_secret"],) if data.get("client_secret") else (),
        description="what webhooks are signed with: the app's client secret, which a private app has, too; several while it "
        "is rotated",
    )
    app_id: int | None = Field(
        default=None, ge=1, description="the app's number: what it changed itself is then not read again"
    )
    api_url: str = Field(default="https://api.hubapi.com", pattern=ADDRESS, description="where the API is")
    authorize_url: str = Field(
        default="https://app.hubspot.com", pattern=ADDRESS, description="where a person lets the app in"
    )
    api_version: str = Field(
        default="v3",
        pattern=r"^(v3|\d{4}-\d{2})$",
        description="the version of the API: `v3`, or one such as `2026-03`",
    )
    property_group: str = Field(
        default="loyalty", pattern=WORD, description="the group of contact properties that are made for us"
    )
    property_prefix: str = Field(
        default="loyalty_", pattern=WORD, description="what the names of these properties begin with"
    )
    timeline_template: str = Field(
        default="",
        pattern=r"^[0-9]{0,19}$",
        description="the id of an event template of the app: rewards then show on the contact's timeline",
    )
    scopes: Annotated[tuple[Scope, ...], BeforeValidator(_as_list)] = Field(
        default_factory=lambda data: (*SCOPES, "timeline") if data.get("timeline_template") else SCOPES,
        min_length=1,
        description="what an installation asks the account to allow",
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        granted = (self.client_id is not None, self.client_secret is not None)
        if (self.access_token is not None) == any(granted) or any(granted) != all(granted):
            raise ValueError("give either access_token, or both client_id and client_secret")
        if not self.webhook_secrets:
            raise ValueError("give webhook_secrets: what the app's webhooks are signed with, its client secret")
        if self.fields.get("member_id") is False:
            raise ValueError("fields: member_id cannot be left out, for contacts are found by it")
        return self

    @property
    def defaults(self) -> Mapping[str, Choice]:
        """Our names to theirs where the settings say nothing else."""
        return {**{name: f"{self.property_prefix}{name}" for name in FIGURES}, **_THEIRS}


class ContactMap:
    """The map of fields of one connection, as its parts need it."""

    def __init__(self, settings: HubSpotSettings) -> None:
        pairs = settings.pairs(settings.defaults)
        self.told = settings.to_read(settings.defaults)
        #: The property that has the member's id.
        self.member = next(pair.theirs for pair in pairs if pair.ours == "member_id")
        self.kinds = {pair.theirs: pair.kind for pair in pairs}
        #: All that is read of a contact.
        self.read = tuple(sorted({*self.told, *IDENTITY, self.member}))
        #: Changes of other properties mean nothing here.
        self.watched = frozenset({*self.told, *ADDRESSES, self.member})
        #: What people there change and we want to hear of.
        self.heard = tuple(sorted(self.watched - {pair.theirs for pair in pairs if pair.is_figure} | {self.member}))
        #: What is shown of us alone, in properties made for us.
        self.made = tuple(pair.theirs for pair in pairs if pair.made)
