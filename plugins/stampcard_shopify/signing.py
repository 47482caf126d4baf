"""What Shopify signs with the app's client secret, apart from webhooks."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stampcard.plugin import InvalidSignature

if TYPE_CHECKING:
    from stampcard_shopify.plugin import ShopifySettings

SECRETS = "client_secret and webhook_secrets"


def secrets_of(settings: ShopifySettings) -> Sequence[bytes]:
    """The app's secrets, several while one is rotated."""
    own = (settings.client_secret,) if settings.client_secret else ()
    return [secret.get_secret_value().encode() for secret in (*own, *settings.webhook_secrets)]


def check(secrets: Sequence[bytes], given: bytes, *messages: bytes) -> None:
    """Raise InvalidSignature where none of the secrets signed any of the messages so."""
    fits = False
    for secret in secrets:
        for message in messages:
            fits |= hmac.compare_digest(hmac.digest(secret, message, "sha256"), given)
    if not fits:
        raise InvalidSignature("the signature does not fit the request", SECRETS)
