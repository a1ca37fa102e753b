"""The meaning of the storage contract: an adapter that passes can be trusted with users.

    class TestOurs(AdapterSuite):
        @pytest.fixture
        def adapter(self):
            return OurAdapter(...)      # not yet bound, on a database without rows

        @pytest.fixture
        def peek(self):
            return ...                  # model -> its rows as dicts, read past the adapter

Each subject is a file of `watchword.testing.suite`; what else a subclass can say is in its
`fixtures`.
"""

from watchword.testing.suite.batches import Batches
from watchword.testing.suite.cancellation import Cancellation
from watchword.testing.suite.crud import Crud
from watchword.testing.suite.faults import Faults
from watchword.testing.suite.joins import Joins
from watchword.testing.suite.limits import Limits
from watchword.testing.suite.operators import Operators
from watchword.testing.suite.ordering import Ordering
from watchword.testing.suite.races import Races
from watchword.testing.suite.stateful import Stateful
from watchword.testing.suite.stores import Stores
from watchword.testing.suite.transactions import Transactions
from watchword.testing.suite.values import Values
from watchword.testing.suite.violations import Violations

__all__ = ["AdapterSuite"]


class AdapterSuite(
    Crud,
    Operators,
    Ordering,
    Joins,
    Violations,
    Values,
    Transactions,
    Cancellation,
    Races,
    Faults,
    Stateful,
    Stores,
    Limits,
    Batches,
):
    """Everything that an adapter has to keep; subclass it with two fixtures."""
