"""What MongoDB refuses a migration, in a sentence."""

import pytest
from pymongo.errors import OperationFailure

from watchword.errors import MigrationFailed, StorageError
from watchword.migrations.mongodb.refusals import permitted

pytestmark = pytest.mark.never_loop


def test_a_user_without_rights_is_told_which_are_missing():
    """Whatever it was that was not permitted, and without the server's words."""
    with pytest.raises(MigrationFailed) as refusal, permitted(writes=True):
        raise OperationFailure("not authorized on shop to execute command", 13)

    assert refusal.value.message == "MongoDB does not permit this user to do this."
    assert refusal.value.hint == "Its user needs the roles readWrite and dbAdmin here."


def test_anything_else_is_the_contracts_error():
    """With no advice that does not help."""
    with pytest.raises(StorageError) as refusal, permitted(writes=True):
        raise OperationFailure("sesame", 9)

    assert type(refusal.value) is StorageError
