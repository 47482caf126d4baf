"""The part of Google Wallet's API that keeps loyalty cards, with the addresses beside it: tokens, keys, and saving."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from stampcard_google_wallet.simulated_batches import Call, Told, calls_of, written
from stampcard_google_wallet.simulated_book import SCHEMAS, Body, Book, Refusal
from stampcard_google_wallet.simulated_faults import Fault, Faults
from stampcard_google_wallet.simulated_saving import Saving
from stampcard_google_wallet.simulated_signing import Account, Notary

ROOT = "/walletobjects/v1/"
_SCOPE = "https://www.googleapis.com/auth/wallet_object.issuer"
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LIFE = 3599


class _Unanswered(Exception):
    """The connection ends without an answer."""


class Api:
    """Serves the book to whoever has a token for an assertion that the account's key signed."""

    def __init__(
        self, book: Book, account: Account, notary: Notary, saving: Saving, faults: Faults, chance: random.Random
    ) -> None:
        #: Every request of somebody with a good token, in order; and how many of a batch came together.
        self.calls: list[Call] = []
        self.batches: list[int] = []
        #: Whether the account is a user of the issuer.
        self.is_user = True
        #: Whether the account's key counts.
        self.is_key_good = True
        self.tokens: dict[str, datetime] = {}
        self._book, self._account, self._notary, self._saving = book, account, notary, saving
        self._faults, self._chance = faults, chance

    def application(self) -> web.Application:
        server = web.Application(client_max_size=8 * 1024 * 1024)
        server.add_routes(
            [
                web.post("/token", self._token),
                web.get("/gp/m/issuer/keys", self._keys),
                web.get("/gp/v/save/{token}", self._save),
                web.post("/batch", self._batch),
                web.route("*", ROOT + "{path:.*}", self._single),
            ]
        )
        return server

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        now = self._book.now()
        claims = self._account.claims(str(form.get("assertion", "")))
        fault = self._faults.next("POST", "token")
        if fault is not None:
            return web.json_response({"error": fault.reason}, status=fault.status)
        if form.get("grant_type") != _GRANT:
            return web.json_response({"error": "unsupported_grant_type"}, status=400)
        is_ours = claims is not None and claims.get("aud") == f"{_base(request)}/token"
        if claims is None or not is_ours or not self.is_key_good or not _is_now(claims, now):
            told = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
            return web.json_response(told, status=400)
        if claims.get("scope") != _SCOPE:
            return web.json_response({"error": "invalid_scope"}, status=400)
        token = f"ya29.c.{self._chance.getrandbits(512):0128x}"
        self.tokens[token] = now + timedelta(seconds=_LIFE)
        return web.json_response({"access_token": token, "expires_in": _LIFE, "token_type": "Bearer"})

    async def _keys(self, _: web.Request) -> web.Response:
        fault = self._faults.next("GET", "keys")
        if fault is not None:
            return web.Response(status=fault.status or 500)
        return web.json_response(self._notary.published(self._book.now()))

    async def _save(self, request: web.Request) -> web.Response:
        try:
            names = self._saving.save(request.match_info["token"])
        except Refusal as refused:
            return web.json_response(refused.body(), status=refused.status)
        return web.json_response({"saved": names})

    async def _single(self, request: web.Request) -> web.Response:
        path = request.path_qs.removeprefix(ROOT)
        body = await request.json() if request.can_read_body else None
        call = Call(method=request.method, path=path, body=body)
        told = self._refused(request)
        return await self._sent(request, lambda: told or self._answer(call, _base(request)))

    async def _batch(self, request: web.Request) -> web.Response:
        told = self._refused(request)
        if told is not None:
            return await self._sent(request, lambda: told)
        try:
            calls = calls_of(await request.read(), request.headers.get("Content-Type", ""))
        except ValueError:
            return web.json_response(Refusal(400, "badRequest", "No batch.").body(), status=400)
        fault = self._faults.next("POST", "batch")
        if fault is not None and not fault.done:
            return await self._sent(request, lambda: _of(fault))
        self.batches.append(len(calls))
        answers = [self._inner(call, _base(request)) for call in calls]
        if fault is not None:
            return await self._sent(request, lambda: _of(fault))
        content, kind = written(calls, answers, self._chance)
        return web.Response(body=content, headers={"Content-Type": kind})

    async def _sent(self, request: web.Request, make: Callable[[], Told]) -> web.Response:
        try:
            told = make()
        except _Unanswered:
            if request.transport is not None:
                request.transport.close()
            return web.Response(status=500)
        headers = {"Retry-After": str(told.retry_after)} if told.retry_after else {}
        return web.json_response(told.body, status=told.status, headers=headers)

    def _refused(self, request: web.Request) -> Told | None:
        """Why somebody gets nothing, whatever they ask for."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.tokens.get(token, self._book.now()) <= self._book.now():
            return _told(Refusal(401, "authError", "Request had invalid authentication credentials."))
        if not self.is_user:
            return _told(Refusal(403, "permissionDenied", "Service account did not have edit access on the issuer."))
        return None

    def _inner(self, call: Call, base: str) -> Told:
        """A part of a batch: one that is to get no answer is in trouble."""
        if not call.path.startswith(ROOT):
            return _told(Refusal(404, "notFound", "Not found."))
        try:
            known = Call(method=call.method, path=call.path.removeprefix(ROOT), body=call.body, label=call.label)
            return self._answer(known, base)
        except _Unanswered:
            return _told(Refusal(503, "backendError", "it failed"))

    def _answer(self, call: Call, base: str) -> Told:
        self.calls.append(call)
        fault = self._faults.next(call.method, call.path)
        try:
            self._faults.take()
            if fault is not None and not fault.done:
                return _of(fault)
            told = Told(status=200, body=self._done(call, base))
        except Refusal as refused:
            return _told(refused)
        return told if fault is None else _of(fault)

    def _done(self, call: Call, base: str) -> Body:
        kind, name, step = (*map(unquote, call.path.partition("?")[0].split("/")), "", "")[:3]
        asked = f"{call.method} {'jwt' if kind == 'jwt' else 'one' if name else 'all'} {step}".strip()
        ways: dict[str, Callable[[], Body]] = {
            "POST jwt": lambda: self._saving.insert(call.body["jwt"], base),
            "GET all": lambda: {"resources": list(self._book.kept[kind].values())},
            "POST all": lambda: self._book.insert(kind, call.body),
            "GET one": lambda: self._book.get(kind, name),
            "PATCH one": lambda: self._book.patch(kind, name, call.body),
            "POST one addMessage": lambda: self._book.add_message(name, call.body),
            "POST one modifyLinkedOfferObjects": lambda: self._book.relink(name, call.body),
        }
        if asked not in ways or (kind != "jwt" and kind not in SCHEMAS):
            raise Refusal(404, "notFound", "Not found.")
        return ways[asked]()


def _of(fault: Fault) -> Told:
    if fault.status == 0:
        raise _Unanswered
    return _told(fault.refusal())


def _told(refused: Refusal) -> Told:
    return Told(status=refused.status, body=refused.body(), retry_after=refused.retry_after)


def _base(request: web.Request) -> str:
    return f"http://{request.host}"


def _is_now(claims: dict[str, Any], now: datetime) -> bool:
    return float(claims["iat"]) <= now.timestamp() < float(claims["exp"]) <= float(claims["iat"]) + 3600
