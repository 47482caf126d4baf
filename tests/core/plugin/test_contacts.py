"""The settings that every connection to a CRM has: what they may say, and the map of fields that comes of them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from tests.core.crms import DEFAULTS

from stampcard.domain.contacts import FIGURES, FieldPair
from stampcard.host.plugging import without_secrets_of
from stampcard.plugin import ContactSettings


def read(**settings: Any) -> ContactSettings:
    return ContactSettings.model_validate(settings)


def pairs(**fields: Any) -> dict[str, FieldPair]:
    return {pair.ours: pair for pair in read(fields=fields).pairs(DEFAULTS)}


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"points": {"field": "p", "owner": "theirs"}}, "points is known here alone, so that its owner is ours"),
        ({"tier": {"field": "t", "owner": "newest"}}, "tier is known here alone, so that its owner is ours"),
        ({"hold": {"field": "h", "owner": "ours"}}, "hold is said there, so that its owner is theirs"),
        ({"first_name": {"field": "f", "owner": "most_restrictive"}}, "first_name: most_restrictive is for consents"),
        ({"consent.email": "newsletter"}, "write a consent as consent.CHANNEL.PURPOSE"),
        ({"First Name": "f"}, "String should match pattern"),
        ({"first_name": ""}, "at least 1 character"),
        ({"first_name": {"field": ""}}, "at least 1 character"),
        ({"first_name": {"field": "f", "owner": "mine"}}, "'ours', 'theirs', 'newest' or 'most_restrictive'"),
        ({"first_name": {"field": "f", "onwer": "ours"}}, "Extra inputs are not permitted"),
        ({"first_name": True}, "Input should be False"),
    ],
)
def test_a_map_that_cannot_be_says_why(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as raised:
        read(fields=fields)
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"make_contacts": "some"}, "make_contacts"),
        ({"make_contacts": "segment:"}, "make_contacts"),
        ({"match": ["name"]}, "'email' or 'phone'"),
        ({"only": [{"field": "stage", "is": []}]}, "at least 1 item"),
        ({"only": [{"field": "stage"}]}, "Field required"),
        ({"segments": {"Not A Name": "7"}}, "should match pattern"),
    ],
)
def test_other_settings_that_cannot_be_say_where(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as raised:
        read(**settings)
    assert told in str(raised.value)


def test_one_text_does_where_several_may_stand() -> None:
    found = read(match="phone", only=[{"field": "stage", "is": "customer"}], hold_lists="7")
    assert (found.match, found.only[0].is_, found.hold_lists) == (("phone",), ("customer",), ("7",))
    assert read(make_contacts="segment:friends").make_contacts == "segment:friends"


def test_each_field_has_the_owner_that_it_mostly_has() -> None:
    names = (*FIGURES, "email", "phone", "country", "consent.sms.news", "hold")
    found = pairs(**{name: f"f_{name}" for name in names})
    owners = {name: pair.owner for name, pair in found.items()}
    assert {owners[name] for name in (*FIGURES, "email")} == {"ours"}
    assert {owners[name] for name in ("phone", "country", "hold")} == {"theirs"}
    assert owners["consent.sms.news"] == "most_restrictive"
    kinds = {name: found[name].kind for name in ("points", "joined_on", "tier", "phone", "consent.sms.news", "country")}
    assert kinds == {
        "points": "number", "joined_on": "date", "tier": "text", "phone": "text", "consent.sms.news": "truth",
        "country": "country",
    }  # fmt: skip
    assert [pair.ours for pair in found.values() if pair.unique] == ["member_id"]
    assert found["points"].label == "Loyalty points"
    assert (found["points"].is_figure, found["phone"].is_figure) == (True, False)


def test_the_settings_change_add_and_leave_out() -> None:
    found = pairs(
        first_name=False,
        phone={"field": "mobile", "owner": "newest"},
        points="my_points",
        colour="favourite",
        **{"consent.email.marketing": {"field": "optout", "opposite": True, "owner": "theirs"}},
    )
    assert "first_name" not in found
    assert (found["phone"].theirs, found["phone"].owner) == ("mobile", "newest")
    assert (found["colour"].theirs, found["colour"].owner, found["colour"].made) == ("favourite", "theirs", False)
    consent = found["consent.email.marketing"]
    assert (consent.theirs, consent.opposite, consent.owner) == ("optout", True, "theirs")
    assert (found["points"].theirs, found["points"].made) == ("my_points", False), "whoever names a field has it"
    assert (found["member_id"].theirs, found["member_id"].made) == ("loyalty_id", True)
    assert list(found) == sorted(found)


def test_all_that_decides_is_read() -> None:
    settings = read(only=[{"field": "stage", "is": "customer"}, {"field": "email", "is": "a"}], fields={"phone": False})
    assert settings.to_read(DEFAULTS) == (
        "email", "firstname", "loyalty_id", "loyalty_points", "newsletter", "stage",
    )  # fmt: skip
    assert read(fields=dict.fromkeys(DEFAULTS, False)).to_read(DEFAULTS) == ()


def test_the_plain_defaults_of_the_settings_change_nothing() -> None:
    found = read()
    assert (found.make_contacts, found.make_members, found.trust_addresses, found.erase_contacts) == (
        "all", False, False, False,
    )  # fmt: skip
    assert found.match == ("email", "phone")


def test_what_is_shown_of_the_settings_can_be_given_back() -> None:
    given = {
        "only": [{"field": "lifecyclestage", "is": ["customer"]}],
        "fields": {"phone": {"field": "mobile", "owner": "newest", "opposite": False}, "country": False},
    }
    shown = without_secrets_of(ContactSettings.model_validate(given))
    assert {name: shown[name] for name in given} == given
    assert ContactSettings.model_validate(shown) == ContactSettings.model_validate(given)
