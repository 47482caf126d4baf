"""Taxi rides as rewards: at half price for students, for nobody who is blocked, and asked for in the taxi's own app."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from urllib.parse import quote

import httpx
import msgspec
from pydantic import SecretStr

from stampcard import plugin


class PerksSettings(plugin.PluginSettings):
    token: SecretStr
    app_secrets: tuple[SecretStr, ...]
    api_url: str = "https://api.taxi.example"


class Ride(msgspec.Struct):
    code: str
    valid: bool


class Rides(plugin.Fulfilment):
    kinds: Mapping[plugin.RewardKind, plugin.Support] = {
        "custom": plugin.Support(level="caveat", note="rides, and nothing else")
    }
    features: Mapping[plugin.Feature, plugin.Support] = {
        "member_only": plugin.Support(level="no", note="whoever has the code can ride"),
        "dates": plugin.Support(level="yes"),
        "withdraw": plugin.Support(level="yes"),
    }
    # A ride has the voucher's key in its address: asking twice makes one.
    idempotent = True

    def __init__(self, context: plugin.ConnectionContext[PerksSettings]) -> None:
        self._http, self._url = context.http, context.settings.api_url
        self._headers = {"authorization": f"Bearer {context.settings.token.get_secret_value()}"}

    async def issue(self, vouchers: Sequence[plugin.Voucher]) -> Sequence[plugin.Outcome]:
        return [await self._ask("PUT", voucher, valid=True) for voucher in vouchers]

    async def withdraw(self, vouchers: Sequence[plugin.Voucher]) -> Sequence[plugin.Outcome]:
        return [await self._ask("DELETE", voucher, valid=False) for voucher in vouchers]

    async def _ask(self, method: str, voucher: plugin.Voucher, *, valid: bool) -> plugin.Outcome:
        if voucher.kind != "custom" or voucher.name != "ride":
            return plugin.Rejected(reason=f"the taxi knows no {voucher.name or voucher.kind}")
        until = voucher.ends_at.isoformat() if voucher.ends_at else None
        try:
            answer = await self._http.request(
                method,
                f"{self._url}/rides/{quote(voucher.key, safe='')}",
                json={"code": voucher.code, "rider": voucher.reference, "until": until},
                headers=self._headers,
            )
            ride = msgspec.json.decode(answer.content, type=Ride) if answer.status_code == httpx.codes.OK else None
        except (httpx.HTTPError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            return plugin.RetryLater(reason=f"no answer from the taxi: {type(error).__name__}")
        if ride is not None and ride.valid is valid:
            return plugin.Delivered(result={"code": ride.code})
        reason = f"the taxi answered {answer.status_code}"
        refused = answer.status_code in {400, 404, 422}
        return plugin.Rejected(reason=reason) if refused else plugin.RetryLater(reason=reason)


class Riders(plugin.ShopperSource):
    """The app sends ``Bearer <customer>.<seconds since 1970>.<HMAC-SHA256 of both>``."""

    def __init__(self, context: plugin.ConnectionContext[PerksSettings]) -> None:
        self._clock = context.clock
        self._secrets = [secret.get_secret_value().encode() for secret in context.settings.app_secrets]

    def identify(self, request: plugin.UnverifiedRequest) -> str | None:
        told, _, signature = request.header("authorization").removeprefix("Bearer ").rpartition(".")
        plugin.check_hmac_sha256_base64(self._secrets, told.encode(errors="replace"), signature, setting="app_secrets")
        customer, _, signed_at = told.rpartition(".")
        known = signed_at.isdecimal() and len(signed_at) < 12
        if not known or abs(self._clock.now().timestamp() - int(signed_at)) > 60:
            raise plugin.InvalidSignature("it was not signed just now")
        return customer or None


@plugin.hookimpl
def plugin_manifest() -> plugin.PluginManifest:
    return plugin.PluginManifest(name="perks", summary="Taxi rides as rewards", settings=PerksSettings)


@plugin.hookimpl
async def connect(context: plugin.ConnectionContext[PerksSettings]) -> plugin.Capabilities:
    return plugin.Capabilities(fulfil=Rides(context), shopper=Riders(context))


@plugin.hookimpl
def reward_kind(name: str) -> str | None:
    return "a ride in a taxi" if name == "ride" else None


@plugin.hookimpl
def reward_price(formula: str, member: plugin.Member) -> Decimal | None:
    if formula != "happy":
        return None
    return Decimal(100 if member.attributes.get("student") else 200)


@plugin.hookimpl
def redemption_veto(member: plugin.Member) -> plugin.Veto | None:
    return plugin.Veto(reason="you are blocked: please call us") if member.attributes.get("blocked") else None
