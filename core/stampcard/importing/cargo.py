"""What files hold that have no members, and how each of it is read, looked at and brought in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from stampcard.applying.bringing import (
    Sifted,
    import_consents,
    import_suppressions,
    sift_consents,
    sift_suppressions,
)
from stampcard.applying.importing import Brought
from stampcard.importing.files import Record
from stampcard.importing.reading import Manner
from stampcard.importing.saying import consent_of, suppression_of


class Cargo(NamedTuple):
    """`read` a record; `sift` rows without writing, `bring` them in."""

    read: Callable[[Manner, Record], Any]
    sift: Callable[..., Sifted[Any]]
    bring: Callable[..., Brought]


CARGOES: Mapping[str, Cargo] = {
    "consents": Cargo(consent_of, sift_consents, import_consents),
    "suppressions": Cargo(suppression_of, sift_suppressions, import_suppressions),
}
