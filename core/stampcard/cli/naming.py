"""How commands name a member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from stampcard.settings import Settings

Member = Annotated[
    str, typer.Argument(metavar="MEMBER", help="The member's id, or CONNECTION:REFERENCE.", show_default=False)
]


def find_member(connection: Connection, settings: Settings, named: str) -> str:
    """The id of the member who is meant; raises NotFound for an unknown identity."""
    from stampcard.errors import NotFound
    from stampcard.storage.loading import load_identities
    from stampcard.storage.plugging import load_owners

    name, colon, reference = named.partition(":")
    if not colon:
        return named
    owner = settings.sources().get(name) or load_owners(connection, settings.merchant).get(name, name)
    for row in load_identities(connection, settings.merchant, [(owner, reference)]).values():
        return str(row.member)
    raise NotFound("member", named)
