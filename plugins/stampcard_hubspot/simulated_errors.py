"""How the simulated HubSpot says no: every refusal has a status, a category and a context."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

Body = dict[str, Any]
Context = Mapping[str, Sequence[str]]


class Refusal(Exception):
    """What was asked for is not done; `context` names the records and properties that it is about."""

    def __init__(
        self, status: int, message: str, category: str = "", *, context: Context | None = None, **more: Any
    ) -> None:
        self.status, self.message, self.category = status, message, category
        self.context = dict(context or {})
        self.more = more
        super().__init__(message)

    def body(self) -> Body:
        """The whole answer's body."""
        told: Body = {"status": "error", "message": self.message, "correlationId": str(uuid.uuid4())}
        return told | self._details()

    def entry(self, context: Context) -> Body:
        """One of the errors of a batch that was carried out in part."""
        details = self._details() | {"context": {**self.context, **context}}
        return {"status": "error", "category": self.category, "message": self.message} | details

    def _details(self) -> Body:
        category: Body = {"category": self.category} if self.category else {}
        context: Body = {"context": self.context} if self.context else {}
        return category | context | self.more


def not_found() -> Refusal:
    """HubSpot gives no category for a record that is not there."""
    return Refusal(404, "resource not found")


def invalid(message: str, **context: Sequence[str]) -> Refusal:
    return Refusal(400, message, "VALIDATION_ERROR", context=context)


def unreadable(problem: str) -> Refusal:
    """The body is no JSON, or not of the shape that is read; HubSpot gives no category for that either."""
    return Refusal(400, f"Invalid input JSON on line 1, column 1: {problem}")


def unfit_values(problems: Sequence[Body]) -> Refusal:
    """Property values that were not taken, each with its code; HubSpot writes the list into the message."""
    told = [{"isValid": False, **problem, "localizedErrorMessage": problem["message"]} for problem in problems]
    return invalid(f"Property values were not valid: {json.dumps(told, separators=(',', ':'))}")


def taken(holder: int) -> Refusal:
    """Another contact has that e-mail address."""
    message = f"Contact already exists. Existing ID: {holder}"
    return Refusal(409, message, "CONFLICT", context={"existingId": [str(holder)]})


def missing(ids: Sequence[str]) -> Refusal:
    """Records of a batch that are not there, in one error."""
    message = "Could not get some CONTACT objects, they may be deleted or not exist. Check that ids are valid."
    return Refusal(404, message, "OBJECT_NOT_FOUND", context={"ids": ids})


def answered(refusal: Refusal, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.json_response(refusal.body(), status=refusal.status, headers=headers)
