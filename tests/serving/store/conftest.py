"""A migrated database of either kind, and comments to put into it."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest

from pipeline.schema import LabelSchema
from serving.store.database import Database, open_database
from serving.store.migrating import upgrade
from serving.store.records import NewFeedback
from tests.stored_comments import NOON, scored_comment

__all__ = ["NOON"]


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    found = open_database(store_url, timeout=2.0)
    upgrade(found)
    yield found
    found.close()


@pytest.fixture
def make_new(schema: LabelSchema) -> Callable[..., NewFeedback]:
    """`make_new("a1", urgency="critical", text="…")`: a comment that was scored, due half an hour after noon."""
    return partial(scored_comment, schema=schema)
