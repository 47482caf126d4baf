"""What a request asks for: its query, its body and its Idempotency-Key, each checked before anything is done."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from aiohttp import web
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)

from stampcard.applying.requests import Once
from stampcard.clock import EPOCH
from stampcard.storage.keys import ApiKey
from stampcard_webhooks.problems import Refused

M = TypeVar("M", bound=BaseModel)

#: Bytes that a body may have; what people and tills ask for is small.
MAX_BODY = 64 * 1024
#: Integers up to here are the same in every JSON reader.
EXACT = 2**53 - 1
#: The most points (in the smallest unit) that one request moves.
MOST_POINTS = 10**15

_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_FAR = datetime(9000, 1, 1, tzinfo=UTC)
_UNKNOWN = "extra_forbidden"


def _scalar(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int) and abs(value) <= EXACT:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise ValueError(f"must be text, true, false, null or a number of at most {EXACT}")


def _moment(at: datetime) -> datetime:
    if not EPOCH <= at <= _FAR:
        raise ValueError("must lie after 1970")
    return at.astimezone(UTC)


Scalar = Annotated[
    Any, AfterValidator(_scalar), WithJsonSchema({"type": ["string", "number", "boolean", "null"], "title": "Scalar"})
]
Moment = Annotated[AwareDatetime, AfterValidator(_moment)]
#: A name or reference of somebody else's: no control characters.
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
#: Words of a person.
Words = Annotated[str, StringConstraints(max_length=1000, pattern=r"^[^\x00]*$")]
Points = Annotated[int, Field(ge=1, le=MOST_POINTS)]


class Asked(BaseModel):
    """A body; refuses what it does not know, and takes no text for a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Query(BaseModel):
    """Query parameters; refuses what it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Nothing(Asked):
    """No body."""


def query_of(request: web.Request, model: type[M]) -> M:
    """The query parameters; raises Refused with 400 for unknown or repeated ones, with 422 for wrong values."""
    repeated = sorted({name for name in request.query if len(request.query.getall(name)) > 1})
    if repeated:
        raise Refused(400, f"give the parameter {repeated[0]!r} once", code="repeated_parameter")
    try:
        return model.model_validate(dict(request.query))
    except ValidationError as error:
        unknown = [".".join(map(str, one["loc"])) for one in error.errors() if one["type"] == _UNKNOWN]
        if unknown:
            known = ", ".join(field.alias or name for name, field in model.model_fields.items()) or "none"
            errors = [{"path": name, "message": f"is unknown; known: {known}"} for name in unknown]
            detail = f"there is no parameter {unknown[0]!r}"
            raise Refused(400, detail, code="unknown_parameter", errors=errors) from None
        raise _invalid(error, "a query parameter is wrong") from None


async def body_of(request: web.Request, model: type[M], largest: int = MAX_BODY) -> tuple[bytes, M]:
    """The body as sent and as understood; an absent one counts as an empty object.

    Raises Refused: 400 if it is not JSON, 413 if it is too large, 415 if it is something else, 422 if it is wrong.
    """
    raw = await _read(request, largest)
    try:
        return raw, model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        malformed = next((one["msg"] for one in error.errors() if one["type"] == "json_invalid"), None)
        if malformed is not None:
            raise Refused(400, malformed, code="malformed") from None
        raise _invalid(error, "the body is wrong") from None


def once_of(request: web.Request, key: ApiKey, raw: bytes) -> Once | None:
    """What makes a repeated write the same, if the caller wants that; keys of two callers never meet."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(given):
        raise Refused(400, "an Idempotency-Key has 1 to 200 visible ASCII characters", code="idempotency_key")
    return Once(key=f"{key.id}:{given}", path=f"{request.method} {request.rel_url.raw_path}", body=raw)


async def _read(request: web.Request, largest: int) -> bytes:
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
        raise Refused(415, "send the body without a content encoding")
    if request.content_length is not None and request.content_length > largest:
        raise _too_large(largest)
    raw = bytearray()
    async for chunk in request.content.iter_chunked(MAX_BODY):
        raw += chunk
        if len(raw) > largest:
            raise _too_large(largest)
    kind = request.content_type
    if raw and kind != "application/json" and not kind.endswith("+json"):
        raise Refused(415, "send the body as application/json")
    return bytes(raw)


def _too_large(largest: int) -> Refused:
    return Refused(413, f"the body is larger than {largest} bytes", headers={"Connection": "close"})


def _invalid(error: ValidationError, detail: str) -> Refused:
    return Refused(422, detail, code="invalid", errors=list(errors_of(error)))


def errors_of(error: ValidationError) -> Iterator[dict[str, str]]:
    """Each thing that is wrong, with its path; what our own checks say without pydantic's words before it."""
    for one in error.errors():
        yield {"path": ".".join(map(str, one["loc"])), "message": one["msg"].removeprefix("Value error, ")}
