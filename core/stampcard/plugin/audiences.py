"""What an advertiser or a mailing list takes of segments: who joins and who leaves, by hashes alone."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from stampcard.domain.audiences import AudiencePush, HashKind
from stampcard.domain.commands import AUDIENCE
from stampcard.plugin.capabilities import Sink
from stampcard.plugin.contacts import SegmentName, Theirs
from stampcard.plugin.manifest import PluginSettings

_CONSENT = r"^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$"


class AudienceSettings(PluginSettings):
    """The settings of a connection to an advertiser or a mailing list, whichever vendor it is of."""

    audiences: dict[SegmentName, Theirs] = Field(
        default={},
        description="segments whose members are kept in an audience there: the segment, and the audience's id",
    )
    program: str = Field(default="", description="the program whose segments they are, where there are several")
    consent: Annotated[str, Field(pattern=_CONSENT)] = Field(
        default="email.marketing",
        description="what a member must have agreed to: channel and purpose, such as `email.marketing`",
    )


class AudienceSink(Sink[AudiencePush]):
    """Tells a vendor who joins its audiences and who leaves them; what is told twice has no second effect.

    The core decides who belongs where, asks for consent, hashes, and tells only differences. The settings of such a
    connection are `AudienceSettings`. Of one member those that leave an audience stand before those that join it, at the
    latest in the next call; of no audience the same hash comes twice in one. An audience that is not there any more is
    ``Rejected(gone=True)``.
    """

    kind = AUDIENCE
    idempotent = True
    #: What the vendor wants to be hashed; other hashes are neither made nor kept.
    hashes: ClassVar[tuple[HashKind, ...]] = ("email", "phone")


__all__ = ["AudienceSettings", "AudienceSink"]
