"""What a connection to HubSpot may say, and which properties show what."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from stampcard_hubspot.plugin import HubSpotSettings
from stampcard_hubspot.settings import SCOPES, ContactMap

FIXED = {"portal_id": 4711, "access_token": "pat-1", "webhook_secrets": "only secret"}
GRANTED = {"portal_id": 4711, "client_id": "id-1", "client_secret": "secret-1"}


def made(**values: Any) -> HubSpotSettings:
    return HubSpotSettings.model_validate(values)


def test_a_token_is_fixed_or_granted() -> None:
    assert made(**FIXED).access_token is not None
    assert [one.get_secret_value() for one in made(**GRANTED).webhook_secrets] == ["secret-1"]
    for wrong in (
        {**FIXED, "client_id": "a"},
        {**FIXED, **GRANTED},
        {"portal_id": 1, "client_id": "a"},
        {"portal_id": 1},
    ):
        with pytest.raises(ValidationError, match="give either access_token, or both"):
            made(**{"webhook_secrets": "x", **wrong})


def test_without_a_secret_no_webhook_could_be_believed() -> None:
    with pytest.raises(ValidationError, match="give webhook_secrets"):
        made(portal_id=4711, access_token="pat")
    for empty in ("", [""], ["good", ""]):
        with pytest.raises(ValidationError, match="webhook_secrets"):
            made(**{**FIXED, "webhook_secrets": empty})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("portal_id", 0),
        ("portal_id", 2**63),
        ("api_version", "v4"),
        ("api_version", "2026"),
        ("api_url", "ftp://a.example"),
        ("authorize_url", "https://a@b.example"),
        ("property_prefix", "Loyalty_"),
        ("property_group", ""),
        ("timeline_template", "abc"),
        ("scopes", []),
        ("fields", {"member_id": False}),
        ("surprise", 1),
    ],
)
def test_what_hubspot_cannot_mean_is_refused(name: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=name):
        made(**FIXED, **{name: value}) if name not in FIXED else made(**{**FIXED, name: value})


def test_a_template_needs_a_scope_of_its_own() -> None:
    assert made(**GRANTED).scopes == SCOPES
    assert made(**GRANTED, timeline_template="1").scopes == (*SCOPES, "timeline")
    assert made(**GRANTED, timeline_template="1", scopes="oauth").scopes == ("oauth",)


def test_figures_are_shown_in_properties_of_ours() -> None:
    settings = made(
        **FIXED, property_prefix="club_", fields={"points": "points_now", "hold": "is_blocked", "phone": False}
    )
    fields = ContactMap(settings)
    assert fields.member == "club_member_id"
    assert {"points_now", "is_blocked", "club_tier", "firstname", "hs_email_optout"} <= set(fields.told)
    assert "club_points" not in fields.read
    assert "points_now" not in fields.made
    assert {"club_member_id", "club_tier"} <= set(fields.made)
    # The address is read all the same, to know whose the contact is.
    assert "phone" in fields.read
    assert "phone" not in fields.told


def test_people_are_asked_to_tell_what_they_change_and_not_what_we_show() -> None:
    heard = ContactMap(made(**FIXED)).heard
    assert {"email", "hs_additional_emails", "firstname", "hs_email_optout", "loyalty_member_id"} <= set(heard)
    assert "loyalty_points" not in heard


def test_an_opt_out_says_the_contrary_of_a_consent() -> None:
    settings = made(**FIXED)
    (pair,) = [one for one in settings.pairs(settings.defaults) if one.ours == "consent.email.marketing"]
    assert (pair.theirs, pair.kind, pair.opposite, pair.owner) == ("hs_email_optout", "truth", True, "most_restrictive")
