"""Who calls: the key decides the merchant and what may be done, nothing else of the request does."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from aiohttp import web

from stampcard.app import Application
from stampcard.domain.scopes import allows
from stampcard.errors import Unavailable
from stampcard.storage.keys import USED, ApiKey, find_key, note_use
from stampcard_webhooks.problems import Refused

_SCHEME = "bearer"


class Authorising:
    """Finds the key of a request and checks what it may do."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._noted: dict[str, datetime] = {}

    async def authorise(self, request: web.Request, scope: str) -> ApiKey:
        """The key; raises Refused with 401 when there is no live one, with 403 when it lacks the scope."""
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != _SCHEME or not text.strip():
            raise Refused(401, "send a key: Authorization: Bearer sc_…", headers={"WWW-Authenticate": "Bearer"})
        application, now = self._application, self._application.clock.now()
        key = await application.database.read(lambda connection: find_key(connection, text.strip(), now))
        if key is None:
            headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            raise Refused(401, "the key is wrong, expired or revoked", code="invalid_token", headers=headers)
        if not allows(key.scopes, scope):
            headers = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
            detail = f"the key {key.name!r} lacks the scope {scope}"
            raise Refused(403, detail, code="missing_scope", headers=headers, scope=scope)
        await self._note(key, now)
        return key

    async def _note(self, key: ApiKey, now: datetime) -> None:
        noted = self._noted.get(key.id) or key.last_used_at
        if noted is not None and now - noted < USED:
            return
        self._noted[key.id] = now
        # That a key was used must not keep anybody from using it.
        with suppress(Unavailable):
            await self._application.database.write(lambda connection: note_use(connection, key, now))
