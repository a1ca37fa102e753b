"""Everything that is kept about one person: shown to them, or erased."""

from watchword.engine.personal_data.erasure import (
    Erased,
    StillReferenced,
    count_erasable,
    erase_in_transaction,
    erase_user,
)
from watchword.engine.personal_data.export import export_user

__all__ = [
    "Erased",
    "StillReferenced",
    "count_erasable",
    "erase_in_transaction",
    "erase_user",
    "export_user",
]
