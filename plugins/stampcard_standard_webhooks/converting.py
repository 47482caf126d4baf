"""Where each of our fields stands in somebody else's JSON, and how it is to be read there.

What a table of the settings says of one field is a `Reading`; there is one kind for each kind of field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, InstanceOf, PlainSerializer, model_validator

from stampcard.plugin import MalformedPayload, PluginSettings
from stampcard_standard_webhooks.paths import Path, found, is_empty, parsed

_EVERY_OTHER = "*"
_YES, _NO = frozenset({"true", "1", "yes"}), frozenset({"false", "0", "no", ""})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST = 40


class Nothing:
    """What a reading gives where there is nothing to read."""


NOTHING = Nothing()


def _path(written: Any) -> Path:
    if isinstance(written, Path):
        return written
    if not isinstance(written, str):
        raise ValueError("must be a path, as text")  # noqa: TRY004 - pydantic hears of ValueError alone
    return parsed(written)


def _several(written: Any) -> Any:
    return written if isinstance(written, list | tuple) else [written]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone such as Europe/Paris") from None
    return name


OnePath = Annotated[InstanceOf[Path], BeforeValidator(_path), PlainSerializer(lambda path: path.text)]
Scalar = str | int | bool | Decimal
ZoneName = Annotated[str, AfterValidator(_zone)]


class Reading(PluginSettings):
    """Where a field stands: the first of the paths with something at its end, or a constant."""

    kind: ClassVar[str]
    path: Annotated[tuple[OnePath, ...], BeforeValidator(_several)] = Field(
        default=(), description="where it stands; of several paths the first that leads to something"
    )
    value: Scalar | None = Field(default=None, description="a constant, whatever the body says")
    default: Scalar | None = Field(default=None, description="what it is where the paths lead to nothing")
    values: dict[str, Scalar] = Field(
        default={}, description="what is told instead of what stands there; * is every other, an empty text is nothing"
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, written: Any) -> Any:
        """A path alone, or several of them, need no table."""
        return written if isinstance(written, Mapping | Reading) else {"path": written}

    @model_validator(mode="after")
    def _one_place(self) -> Reading:
        if bool(self.path) == (self.value is not None):
            raise ValueError("give either path or value")
        for constant in (self.value, self.default, *filter(lambda told: told != "", self.values.values())):
            self._check(constant)
        return self

    def _check(self, constant: Scalar | None) -> None:
        try:
            if constant is not None:
                self.convert(constant)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{shown(constant)} {error}") from None

    def read(self, body: Any, here: Any) -> Any:
        """What our field is, or NOTHING; raises MalformedPayload for what cannot be read so."""
        if self.value is not None:
            return self.convert(self.value)
        for path in self.path:
            there = [seen for one in found(path, body, here) if (seen := self._told(path, one)) not in {None, ""}]
            if there:
                return self._joined(path, there)
        return self._absent()

    def _absent(self) -> Any:
        return NOTHING if self.default is None else self.convert(self.default)

    def _joined(self, path: Path, values: Sequence[Any]) -> Any:
        """One field of what one or several places hold: the first."""
        return self._converted(path, values[0])

    def _told(self, path: Path, value: Any) -> Any:
        """The value, or what the table of values has for it."""
        if isinstance(value, dict | list):
            raise MalformedPayload(f"at {path.text!r} stands {shown(value)}, where a single value should be")
        if not self.values:
            return value
        return self.values.get(text_of(value), self.values.get(_EVERY_OTHER, value))

    def _converted(self, path: Path, value: Any) -> Any:
        try:
            return self.convert(value)
        except (ValueError, OverflowError, InvalidOperation) as error:
            reason = str(error) if type(error) is ValueError else "is out of all bounds"
            raise MalformedPayload(f"at {path.text!r} stands {shown(value)}, which {reason}") from None

    def convert(self, value: Any) -> Any:
        """The value as our field has it; raises ValueError with what is wrong with it."""
        raise NotImplementedError


class TextReading(Reading):
    """Text; numbers and truth become text."""

    kind = "text"
    as_: Literal["upper", "lower"] | None = Field(
        default=None, alias="as", description="upper or lower: in which case it is wanted"
    )

    def convert(self, value: Any) -> Any:
        text = text_of(value)
        return text.upper() if self.as_ == "upper" else text.lower() if self.as_ == "lower" else text


class TextsReading(TextReading):
    """A list of texts: all that the path leads to; one text is parted at commas with `as = "commas"`."""

    kind = "texts"
    as_: Literal["upper", "lower", "commas"] | None = Field(  # type: ignore[assignment]
        default=None,
        alias="as",
        description="upper or lower: in which case they are wanted; commas: one text is several",
    )

    def _joined(self, path: Path, values: Sequence[Any]) -> Any:
        texts = [self._converted(path, value) for value in values]
        if self.as_ != "commas":
            return texts
        return [part.strip() for text in texts for part in text.split(",") if part.strip()]

    def _absent(self) -> Any:
        return NOTHING if self.default is None else [self.convert(self.default)]

    def read(self, body: Any, here: Any) -> Any:
        return [self.convert(self.value)] if self.value is not None else super().read(body, here)


class CountReading(Reading):
    """A whole number."""

    kind = "count"

    def convert(self, value: Any) -> Any:
        number = _number(value)
        if number != number.to_integral_value():
            raise ValueError("is no whole number")
        return int(number)


class MoneyReading(Reading):
    """An amount; several at the end of one path are added up."""

    kind = "money"
    as_: Literal["minor"] | None = Field(default=None, alias="as", description="minor: in cents and the like")
    places: int = Field(default=2, ge=0, le=6, description="how many decimal places the minor unit has")
    unsigned: bool = Field(default=False, description="whether a sign is to be left out, as some tell refunds below 0")

    def _joined(self, path: Path, values: Sequence[Any]) -> Any:
        amounts = [self._converted(path, value) for value in values]
        return sum(amounts[1:], amounts[0])

    def convert(self, value: Any) -> Any:
        amount = _number(value)
        amount = abs(amount) if self.unsigned else amount
        return amount.scaleb(-self.places) if self.as_ == "minor" else amount


class FlagReading(Reading):
    """True or false."""

    kind = "flag"
    as_: Literal["present"] | None = Field(
        default=None, alias="as", description="present: true wherever anything stands there"
    )

    def read(self, body: Any, here: Any) -> Any:
        if self.as_ == "present" and self.path:
            return any(value not in {"", NOTHING} for path in self.path for value in self._all(path, body, here))
        return super().read(body, here)

    def _all(self, path: Path, body: Any, here: Any) -> list[Any]:
        return ["" if value in ({}, []) else "x" if isinstance(value, dict | list) else self._told(path, value)
                for value in found(path, body, here)]  # fmt: skip

    def convert(self, value: Any) -> Any:
        return flag_of(value)


class MomentReading(Reading):
    """A time: ISO 8601, seconds or milliseconds since 1970, or a pattern of strftime."""

    kind = "moment"
    as_: str | None = Field(
        default=None,
        alias="as",
        pattern=r"^(iso|seconds|milliseconds|.*%.*)$",
        description="iso, seconds, milliseconds or a pattern such as %d.%m.%Y %H:%M",
    )
    zone: ZoneName | None = Field(default=None, description="the time zone of times that name none")

    def convert(self, value: Any) -> Any:
        if self.as_ in {"seconds", "milliseconds"}:
            return _EPOCH + timedelta(seconds=float(_number(value))) / (1 if self.as_ == "seconds" else 1000)
        text = text_of(value)
        try:
            at = datetime.strptime(text, self.as_) if self.as_ and "%" in self.as_ else datetime.fromisoformat(text)  # noqa: DTZ007 - its zone is looked at next
        except ValueError:
            raise ValueError("is no time that is written so: say how by as") from None
        if at.tzinfo is None and self.zone is None:
            raise ValueError("names no time zone: say which by zone")
        return (at if at.tzinfo is not None else at.replace(tzinfo=ZoneInfo(self.zone or "UTC"))).astimezone(UTC)


class AnyReading(Reading):
    """A field of the program's own: text, number or truth, as it stands there unless `as` says otherwise."""

    kind = "any"
    as_: Literal["text", "number", "flag"] | None = Field(
        default=None, alias="as", description="text, number or flag: what it is to become, if it stands there otherwise"
    )

    def read(self, body: Any, here: Any) -> Any:
        """None where the source says that there is nothing, which is more than not to tell."""
        told = super().read(body, here)
        return None if told is NOTHING and any(is_empty(path, body, here) for path in self.path) else told

    def convert(self, value: Any) -> Any:
        if self.as_ is None:
            return value
        if self.as_ == "text":
            return text_of(value)
        if self.as_ == "flag":
            return flag_of(value)
        number = _number(value)
        return int(number) if number == number.to_integral_value() else number


def text_of(value: Any) -> str:
    """A single value as text, as JSON would write it but for quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return format(value, "f") if isinstance(value, Decimal) and value.is_finite() and _is_short(value) else str(value)


def flag_of(value: Any) -> bool:
    """True or false in one of the ways that systems write it; raises ValueError."""
    text = text_of(value).lower()
    if text not in _YES | _NO:
        raise ValueError("is neither true nor false: map it in values")
    return text in _YES


def shown(value: Any) -> str:
    """A value as an error may show it: short."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    text = repr(text_of(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _is_short(value: Decimal) -> bool:
    """Whether it has no more digits than anybody would write: 1E999999 has a million."""
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and abs(exponent) <= _LONGEST


def _number(value: Any) -> Decimal:
    if isinstance(value, bool):
        raise ValueError("is no number")  # noqa: TRY004 - one kind of error for all that cannot be read
    try:
        number = Decimal(value.strip() if isinstance(value, str) else value)
    except InvalidOperation:
        raise ValueError("is no number") from None
    if not number.is_finite() or number.adjusted() > _LONGEST:
        raise ValueError("is no number that money or counts have")
    return number
