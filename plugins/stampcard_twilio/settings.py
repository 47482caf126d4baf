"""The settings of a connection to Twilio: one account, and what its messages are sent by."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from stampcard.plugin import PluginSettings

#: An empty one would let anybody sign.
Secret = Annotated[SecretStr, Field(min_length=1)]
ADDRESS = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"
#: Twilio's own limit, and what it does without one: ten hours.
LONGEST_VALIDITY = 36_000
#: A number in E.164, a short code, or a name of up to eleven letters.
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,8}")
_NAME = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 &+_-]{1,11}")


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | SecretStr) else value


class TwilioSettings(PluginSettings):
    """One account, which sends by one of its messaging services or one of its senders."""

    account_sid: str = Field(
        pattern=r"^AC[0-9a-fA-F]{32}$", description="the account's SID: `AC` and 32 letters, as the console shows it"
    )
    auth_token: Annotated[tuple[Secret, ...], BeforeValidator(_as_list), Field(min_length=1)] = Field(
        description="the account's primary auth token, which signs its webhooks; several while it is rotated, the newest first"
    )
    api_key_sid: str | None = Field(
        default=None,
        pattern=r"^SK[0-9a-fA-F]{32}$",
        description="the SID of an API key, to call Twilio with it and not with the auth token",
    )
    api_key_secret: Secret | None = Field(default=None, description="the secret of that key")
    messaging_service: str | None = Field(
        default=None,
        pattern=r"^MG[0-9a-fA-F]{32}$",
        description="the SID of the messaging service that sends; or else sender",
    )
    sender: str | None = Field(
        default=None,
        description="the number that sends, such as `+14155552345`, a short code, or a name of up to 11 letters; or else "
        "messaging_service",
    )
    api_url: str = Field(default="https://api.twilio.com", pattern=ADDRESS, description="where the API is")
    segments_per_second: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        description="how many parts of messages leave in a second: 1 for a long number of the US, 100 for a short code",
    )
    validity: int | None = Field(
        default=None,
        ge=1,
        le=LONGEST_VALIDITY,
        description="seconds for which a message may wait at Twilio before it is dropped; without it ten hours",
    )
    price: Decimal | None = Field(
        default=None, ge=0, description="what one part costs, in the currency of the program, for forecasts"
    )
    answers_stop: bool = Field(
        default=True,
        description="whether Twilio itself answers STOP, START and HELP, as it does by default; then we say nothing more",
    )

    @field_validator("sender")
    @classmethod
    def _sound_sender(cls, sender: str | None) -> str | None:
        if sender is not None and not _NUMBER.fullmatch(sender) and not _NAME.fullmatch(sender):
            raise ValueError("must be a number such as +14155552345, a short code, or a name of up to 11 letters")
        return sender

    @model_validator(mode="after")
    def _one_way_to_send(self) -> Self:
        if (self.messaging_service is None) == (self.sender is None):
            raise ValueError("give either messaging_service or sender: what messages are sent by")
        if (self.api_key_sid is None) != (self.api_key_secret is None):
            raise ValueError("give both api_key_sid and api_key_secret, or neither")
        return self

    @property
    def credentials(self) -> tuple[str, str]:
        """The name and the password that calls are made with."""
        if self.api_key_sid is not None and self.api_key_secret is not None:
            return self.api_key_sid, self.api_key_secret.get_secret_value()
        return self.account_sid, self.auth_token[0].get_secret_value()

    @property
    def blame(self) -> str:
        """The settings to look at where the credentials are refused."""
        return "account_sid, api_key_sid and api_key_secret" if self.api_key_sid else "account_sid and auth_token"

    @property
    def takes_replies(self) -> bool:
        """Whether people can write back: to a name they cannot."""
        return self.sender is None or _NUMBER.fullmatch(self.sender) is not None
