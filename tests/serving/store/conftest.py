"""A migrated database of either kind."""

from collections.abc import Iterator

import pytest

from serving.store.database import Database, open_database
from serving.store.migrating import upgrade


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    found = open_database(store_url, timeout=2.0)
    upgrade(found)
    yield found
    found.close()
