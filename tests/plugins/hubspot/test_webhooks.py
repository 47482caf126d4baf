"""What HubSpot tells, in our words: notices are hints to read, and what was read is a contact."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as trial
from hypothesis import strategies as st

from stampcard.plugin import (
    ContactGone,
    ContactSeen,
    CustomerErased,
    CustomersMerged,
    Delivery,
    Event,
    MalformedPayload,
    Refetch,
    UnverifiedRequest,
    VerifiedRequest,
)
from stampcard.testing.clock import NOON
from stampcard_hubspot.decoding import canonical
from stampcard_hubspot.plugin import HubSpotSettings
from stampcard_hubspot.webhooks import TOPICS, HubSpotWebhooks

FIXTURES = Path(__file__).parent / "fixtures"
SETTINGS = {"portal_id": 4711, "app_id": 991, "access_token": "pat", "webhook_secrets": ["newer secret"]}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1E999", "51", "0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "after"]), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    *(
        "objectId",
        "portalId",
        "subscriptionType",
        "eventType",
        "occurredAt",
        "objectTypeId",
        "mergedObjectIds",
        "eventId",
    ),
    *("newObjectId", "primaryObjectId", "propertyName", "id", "properties", "updatedAt", "gone", "sourceId"),
)


def source(**changes: Any) -> HubSpotWebhooks:
    return HubSpotWebhooks(HubSpotSettings.model_validate({**SETTINGS, **changes}))


def decoded(name: str, /, read_at: int = 1, **changes: Any) -> list[Event | Refetch]:
    """The events of a fixture."""
    topics = {topic.replace(".", "_"): topic for topic in TOPICS}
    topic = topics[name.partition("__")[0]]
    body = (FIXTURES / f"{name}.json").read_bytes()
    return list(source(**changes).events(delivery(body, topic, read_at)))


def delivery(body: bytes, topic: str = "events", read_at: int = 0) -> Delivery:
    return Delivery(connection="crm", key="k", topic=topic, body=body, received_at=NOON, read_at=read_at)


def notices(*told: dict[str, Any], **changes: Any) -> list[Event | Refetch]:
    usual = {"portalId": 4711, "objectId": 51, "subscriptionType": "contact.creation", "occurredAt": 1_773_143_990_000}
    body = msgspec.json.encode([{**usual, **one} for one in told])
    return list(source(**changes).events(delivery(body)))


def due(reference: str) -> Refetch:
    return Refetch(kind="contact", reference=reference)


AT = datetime(2026, 3, 10, 11, 59, 50, tzinfo=UTC)


def test_a_change_is_a_hint_to_read_once_for_each_contact() -> None:
    assert decoded("contact_propertyChange__twice") == [due("51"), due("52")]


def test_either_name_of_the_type_counts() -> None:
    assert notices({"subscriptionType": None, "eventType": "contact.creation"}) == [due("51")]


def test_of_another_account_nothing_is_heard() -> None:
    assert notices({"portalId": 4712}) == notices({"portalId": None}) == []


@pytest.mark.parametrize("type_", ["creation", "propertyChange", "deletion", "restore", "privacyDeletion", "merge"])
def test_of_other_objects_nothing_is_heard(type_: str) -> None:
    for other in ("0-2", None, ""):
        assert notices({"subscriptionType": f"object.{type_}", "objectTypeId": other, "propertyName": "email"}) == []


@pytest.mark.parametrize(
    "name",
    ["email", "hs_additional_emails", "phone", "mobilephone", "loyalty_member_id", "loyalty_points", "zip", "vip"],
)
def test_a_change_of_what_is_read_is_heard(name: str) -> None:
    told = {"subscriptionType": "contact.propertyChange", "propertyName": name}
    assert notices(told, only=[{"field": "vip", "is": "yes"}]) == [due("51")]


@pytest.mark.parametrize("name", ["favourite_colour", "vip", "lastmodifieddate", "", None])
def test_a_change_of_anything_else_is_not(name: str | None) -> None:
    assert notices({"subscriptionType": "contact.propertyChange", "propertyName": name}) == []


def test_what_we_wrote_ourselves_is_not_read_again() -> None:
    own = {"subscriptionType": "contact.propertyChange", "propertyName": "email", "changeSource": "INTEGRATION"}
    assert notices({**own, "sourceId": "991"}) == notices({**own, "sourceId": 991}) == []
    assert notices({**own, "sourceId": "992"}) == [due("51")]
    assert notices({**own, "sourceId": "991", "changeSource": "CRM_UI"}) == [due("51")]
    assert notices({**own, "sourceId": "991"}, app_id=None) == [due("51")]
    assert notices({"changeSource": "INTEGRATION", "sourceId": "991"}) == []


def test_a_deletion_by_ourselves_counts_as_any() -> None:
    own = {"subscriptionType": "contact.deletion", "changeSource": "INTEGRATION", "sourceId": "991"}
    assert notices(own) == [ContactGone(reference="51", occurred_at=AT)]


def test_somebody_is_forgotten() -> None:
    assert decoded("contact_privacyDeletion__plain") == [CustomerErased(reference="51", occurred_at=AT)]


def test_a_merge_may_make_a_contact_of_its_own() -> None:
    """The one that came first in HubSpot comes first here, so that its member is the one that stays."""
    assert decoded("contact_merge__anew") == [
        CustomersMerged(kept="60", gone="51", occurred_at=AT),
        CustomersMerged(kept="60", gone="52", occurred_at=AT),
        due("60"),
    ]


def test_or_the_first_of_them_stays() -> None:
    assert decoded("contact_merge__into_primary") == [
        CustomersMerged(kept="51", gone="52", occurred_at=AT),
        CustomersMerged(kept="51", gone="53", occurred_at=AT),
        due("51"),
    ]


def test_within_one_webhook_what_happened_last_counts() -> None:
    def at(second: int, type_: str) -> dict[str, Any]:
        return {
            "subscriptionType": f"contact.{type_}",
            "occurredAt": 1_773_143_980_000 + second * 1000,
            "propertyName": "email",
        }

    def gone(second: int) -> ContactGone:
        return ContactGone(reference="51", occurred_at=AT + timedelta(seconds=second - 10))

    assert notices(at(2, "deletion"), at(1, "propertyChange")) == [gone(2)]
    assert notices(at(2, "restore"), at(1, "deletion")) == [gone(1), due("51")]


def test_nothing_happens_in_the_future() -> None:
    (gone,) = notices({"subscriptionType": "contact.deletion", "occurredAt": 4_000_000_000_000})
    assert isinstance(gone, ContactGone)
    assert gone.occurred_at == NOON


def test_a_contact_is_told_with_all_that_the_map_knows() -> None:
    (seen,) = decoded("contact__full")
    assert isinstance(seen, ContactSeen)
    assert (seen.reference, seen.member) == ("51", "m-1")
    assert seen.emails == ("Ada@example.com", "ada@work.example", "a.l@example.com")
    assert seen.phones == ("+4930123",)
    assert seen.occurred_at == datetime(2026, 3, 10, 11, 59, 0, 500_000, tzinfo=UTC)
    told = {name: text for name, text in seen.fields.items() if text}
    assert told == {
        "email": "Ada@example.com",
        "firstname": "Ada",
        "lastname": "Lovelace",
        "phone": "+4930123",
        "loyalty_member_id": "m-1",
        "loyalty_points": "1250",
        "loyalty_joined_on": "2026-01-31",
        "hs_email_optout": "true",
    }
    assert {"loyalty_tier", "zip"} <= seen.fields.keys()
    assert "loyalty_lifetime_points" not in seen.fields  # of what was not answered nothing is told


def test_a_contact_without_a_date_has_that_of_its_record() -> None:
    (seen,) = decoded("contact__bare")
    assert isinstance(seen, ContactSeen)
    assert (seen.occurred_at, seen.emails, seen.member) == (datetime(2026, 3, 1, tzinfo=UTC), (), "")


@pytest.mark.parametrize("name", ["contact__full", "contact_gone__plain"])
def test_a_webhook_that_looks_like_what_we_read_is_not_believed(name: str) -> None:
    assert decoded(name, read_at=0) == []


@pytest.mark.parametrize(
    ("kind", "text", "ours"),
    [
        ("number", "12.50", "12.5"),
        ("number", "1.0E3", "1000"),
        ("number", "-0.00", "0"),
        ("number", "100", "100"),
        ("number", "1E999999", "1E999999"),
        ("number", "NaN", "NaN"),
        ("number", "many", "many"),
        ("date", "2026-01-31", "2026-01-31"),
        ("date", "1769817600000", "2026-01-31"),
        ("date", "soon", "soon"),
        ("moment", "2026-01-31T09:30:00.123Z", "2026-01-31T09:30:00Z"),
        ("moment", "2026-01-31T10:30:00+01:00", "2026-01-31T09:30:00Z"),
        ("moment", "1769851800000", "2026-01-31T09:30:00Z"),
        ("moment", "9" * 15, "9" * 15),
        ("truth", "TRUE", "true"),
        ("truth", "", ""),
        ("text", " as it is ", " as it is "),
        ("text", None, ""),
        ("number", "", ""),
    ],
)
def test_values_have_our_forms(kind: str, text: str | None, ours: str) -> None:
    assert canonical(kind, text) == ours


def test_a_webhook_is_known_by_what_it_is_about() -> None:
    """A redelivery counts its attempts, and numbers of events are not unique."""

    def key(**changes: Any) -> str:
        usual = {
            "portalId": 4711,
            "objectId": 51,
            "subscriptionType": "contact.creation",
            "eventId": 1,
            "occurredAt": 5,
        }
        body = msgspec.json.encode([{**usual, **changes}])
        return source().delivery_key(VerifiedRequest(topic="events", body=body))

    assert key(attemptNumber=0) == key(attemptNumber=3)
    others: list[dict[str, Any]] = [
        {"objectId": 52},
        {"occurredAt": 6},
        {"subscriptionType": "contact.deletion"},
        {"propertyName": "a"},
        {"eventId": 2},
    ]
    assert len({key(), *(key(**other) for other in others)}) == len(others) + 1
    for body in (b"", b"{}", b"\xff", b"[" * 90_000):
        assert source().delivery_key(VerifiedRequest(topic="events", body=body))


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("contact_merge__anew", "contact.merge"),
        ("object_deletion__plain", "object.deletion"),
        ("events__mixed", "events"),
        ("events__of_others", "events"),
    ],
)
def test_a_topic_is_what_all_notices_are(name: str, topic: str) -> None:
    body = (FIXTURES / f"{name}.json").read_bytes()
    request = UnverifiedRequest(url="https://points.example", headers={}, body=body, received_at=NOON)
    assert source().unchecked(request).topic == topic


def test_whom_a_webhook_is_about_is_told_where_it_is_one() -> None:
    def subject(name: str, topic: str) -> str | None:
        return source().subject(delivery((FIXTURES / f"{name}.json").read_bytes(), topic))

    assert subject("contact_deletion__plain", "contact.deletion") == "51"
    assert subject("contact__full", "contact") == "51"
    assert subject("contact_gone__plain", "contact.gone") == "51"
    assert subject("events__mixed", "events") is None
    assert subject("events__empty", "events") is None


@trial(max_examples=150, deadline=None, derandomize=True, database=None)
@given(
    topic=st.sampled_from(sorted(TOPICS)),
    changes=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4),
    read_at=st.integers(0, 1),
    many=st.booleans(),
)
def test_whatever_a_signed_body_holds_only_what_the_contract_allows_is_raised(
    topic: str, changes: dict[str, Any], read_at: int, many: bool
) -> None:
    whole = {
        "portalId": 4711,
        "objectId": 51,
        "subscriptionType": "contact.merge",
        "id": "51",
        "properties": {},
        **changes,
    }
    body = json.dumps([whole] if many else whole).encode(errors="surrogatepass")
    told = delivery(body, topic, read_at)
    source().subject(told)
    source().delivery_key(VerifiedRequest(topic=topic, body=body))
    with suppress(MalformedPayload):
        list(source().events(told))
