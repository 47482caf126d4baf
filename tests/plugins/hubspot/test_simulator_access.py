"""Who may call the simulated portal, how often, and what goes wrong."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from stampcard.testing.clock import FakeClock
from stampcard_hubspot.simulated_plan import PortalPlan
from stampcard_hubspot.simulator import HubSpotSimulator

ROOT = "/crm/v3/objects/contacts"
BACK = "https://ours.example/install/callback"


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer guess", "Basic abc"])
async def test_without_a_good_token_nothing_is_told(api: Any, simulated: HubSpotSimulator, header: str) -> None:
    refused = await api.get(ROOT, headers={"Authorization": header})
    assert (refused.status_code, refused.json()["category"]) == (401, "INVALID_AUTHENTICATION")
    assert simulated.calls == []


async def test_a_missing_scope_is_named(api: Any, simulated: HubSpotSimulator) -> None:
    token = simulated.new_token(["crm.objects.contacts.read"])
    headers = {"Authorization": f"Bearer {token}"}
    assert (await api.get(ROOT, headers=headers)).status_code == 200
    refused = await api.post(ROOT, headers=headers, json={"properties": {}})
    assert (refused.status_code, refused.json()["category"]) == (403, "MISSING_SCOPES")
    assert refused.json()["errors"][0]["context"] == {"requiredGranularScopes": ["crm.objects.contacts.write"]}


async def test_the_account_is_told(api: Any, simulated: HubSpotSimulator) -> None:
    told = (await api.get("/account-info/v3/details")).json()
    assert (told["portalId"], told["accountType"]) == (simulated.portal_id, "STANDARD")
    assert (await api.get("/nothing")).json()["status"] == "error"


async def install(api: Any, simulated: HubSpotSimulator, scope: str) -> Any:
    query = {"client_id": simulated.client_id, "redirect_uri": BACK, "scope": scope, "state": "s"}
    return await api.get(f"{simulated.settings()['authorize_url']}/oauth/authorize", params=query)


def form(simulated: HubSpotSimulator, **more: str) -> dict[str, str]:
    return {"client_id": simulated.client_id, "client_secret": simulated.client_secret, **more}


@pytest.mark.parametrize("version", ["v1", "v3"])
async def test_an_app_gets_its_tokens_over_oauth(
    api: Any, simulated: HubSpotSimulator, clock: FakeClock, version: str
) -> None:
    back = urlsplit((await install(api, simulated, "oauth crm.objects.contacts.read")).headers["Location"])
    asked = {name: values[0] for name, values in parse_qs(back.query).items()}
    assert (back.hostname, asked["state"]) == ("ours.example", "s")
    path = f"/oauth/{version}/token"
    redeem = form(simulated, grant_type="authorization_code", code=asked["code"], redirect_uri=BACK)
    given = (await api.post(path, data=redeem)).json()
    assert (given["expires_in"], given["token_type"]) == (1800, "bearer")
    again = await api.post(path, data=redeem)
    assert (again.status_code, again.json()["status"]) == (400, "BAD_AUTH_CODE")
    headers = {"Authorization": f"Bearer {given['access_token']}"}
    answer = await api.get(ROOT, headers=headers)
    assert answer.headers["X-HubSpot-RateLimit-Max"] == "110"
    assert "X-HubSpot-RateLimit-Daily" not in answer.headers
    clock.advance(1800)
    expired = await api.get(ROOT, headers=headers)
    assert (expired.status_code, expired.json()["category"]) == (401, "EXPIRED_AUTHENTICATION")
    renew = form(simulated, grant_type="refresh_token", refresh_token=given["refresh_token"])
    renewed = (await api.post(path, data=renew)).json()
    assert renewed["refresh_token"] == given["refresh_token"]
    headers = {"Authorization": f"Bearer {renewed['access_token']}"}
    assert (await api.get(ROOT, headers=headers)).status_code == 200
    simulated.tokens.revoke(given["refresh_token"])
    assert (await api.post(path, data=renew)).json()["status"] == "BAD_REFRESH_TOKEN"


async def test_what_oauth_refuses(api: Any, simulated: HubSpotSimulator) -> None:
    assert (await install(api, simulated, "everything")).status_code == 400
    path = "/oauth/v3/token"
    assert (await api.post(path, json=form(simulated))).status_code == 415
    assert (await api.post(path, data=form(simulated, client_secret="x"))).json()["error"] == "invalid_client"
    assert (await api.post(path, data=form(simulated))).json()["error"] == "unsupported_grant_type"
    assert "access_token" not in simulated.oauth_settings()
    assert simulated.oauth_settings()["client_id"] == simulated.client_id


async def test_quotas_are_told_and_kept(clock: FakeClock) -> None:
    portal = HubSpotSimulator(7, PortalPlan(calls=3, searches=2, daily=8, api_failures=0.0), clock)
    await portal.start()
    headers = {"Authorization": f"Bearer {portal.access_token}"}
    async with httpx.AsyncClient(base_url=portal.api_url, headers=headers, trust_env=False) as api:
        answers = [await api.get(ROOT) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        told = answers[0].headers
        assert told["X-HubSpot-RateLimit-Remaining"] == "2"
        assert told["X-HubSpot-RateLimit-Interval-Milliseconds"] == "10000"
        assert (told["X-HubSpot-RateLimit-Daily"], told["X-HubSpot-RateLimit-Daily-Remaining"]) == ("8", "7")
        body = answers[3].json()
        assert (body["errorType"], body["policyName"]) == ("RATE_LIMIT", "TEN_SECONDLY_ROLLING")
        searches = [await api.post(f"{ROOT}/search", json={}) for _ in range(3)]
        assert [answer.status_code for answer in searches] == [200, 200, 429]
        assert searches[2].json()["policyName"] == "SECONDLY"
        clock.advance(10)
        assert [(await api.get(ROOT)).status_code for _ in range(3)] == [200, 200, 200]
        clock.advance(10)
        assert (await api.get(ROOT)).json()["policyName"] == "DAILY"
        clock.advance(24 * 3600)
        assert (await api.get(ROOT)).status_code == 200
    assert portal.tally.throttled == 3
    await portal.stop()


@pytest.mark.parametrize(("status", "retry_after"), [(429, 0), (423, 2), (477, 5), (502, 0), (500, 0)])
@pytest.mark.parametrize("done", [False, True])
async def test_calls_fail_as_planned(
    api: Any, simulated: HubSpotSimulator, status: int, retry_after: int, done: bool
) -> None:
    simulated.fail("/contacts", status, retry_after=retry_after, done=done)
    answer = await api.post(ROOT, json={"properties": {"email": "a@example.com"}})
    assert answer.status_code == status
    assert answer.headers.get("Retry-After", "0") == str(retry_after)
    assert len(simulated.contacts()) == done
    if status == 429:
        assert answer.json()["policyName"] == "TEN_SECONDLY_ROLLING"
    assert (await api.get(ROOT)).status_code == 200


@pytest.mark.parametrize("done", [False, True])
async def test_an_answer_may_never_come(api: Any, simulated: HubSpotSimulator, done: bool) -> None:
    simulated.fail("/contacts", done=done, times=2)
    for _ in range(2):
        with pytest.raises(httpx.TransportError):
            await api.post(ROOT, json={"properties": {"firstname": "Ada"}})
    assert len(simulated.contacts()) == 2 * done
    simulated.fail("/oauth", 503)
    assert (await api.post("/oauth/v3/token", data=form(simulated))).status_code == 503


async def test_calls_are_written_down(api: Any, simulated: HubSpotSimulator) -> None:
    await api.get(f"{ROOT}?limit=5")
    await api.post(f"{ROOT}/batch/read", json={"inputs": [{"id": "1"}, {"id": "2"}]})
    told = [(call.method, call.path, call.inputs) for call in simulated.calls]
    assert told == [("GET", ROOT, 0), ("POST", f"{ROOT}/batch/read", 2)]
