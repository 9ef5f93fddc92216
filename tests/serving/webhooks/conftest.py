"""A store of either kind, receivers on the loopback, and a deliverer with a clock of the test's own."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from pipeline.schema import LabelSchema
from serving.metrics import Metrics
from serving.sealing import Seal
from serving.store import endpoint_table, records
from serving.store.database import Database, open_database
from serving.store.migrating import upgrade
from serving.store.records import NewFeedback
from serving.store.tables import webhook_deliveries
from serving.store.threads import StoreThreads
from serving.webhooks.addresses import Guard, read_networks
from serving.webhooks.delivering import Deliverer
from serving.webhooks.endpoints import Endpoint, new_endpoint
from serving.webhooks.sending import Sender
from tests.stored_comments import scored_comment
from tests.webhook_receiver import Receiver

LOOPBACK = Guard(read_networks(("127.0.0.0/8",)), http=True)


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    found = open_database(store_url, timeout=5.0)
    upgrade(found)
    yield found
    found.close()


@pytest.fixture
def make_receiver() -> Iterator[Callable[..., Receiver]]:
    made: list[Receiver] = []

    def make(**options: Any) -> Receiver:
        made.append(Receiver(**options))
        return made[-1]

    yield make
    for receiver in made:
        receiver.close()


@pytest.fixture
def receiver(make_receiver: Callable[..., Receiver]) -> Receiver:
    return make_receiver()


@dataclass
class Bench:
    """A store, a clock that stands still, and what tests do with them."""

    database: Database
    schema: LabelSchema
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    metrics: Metrics = field(default_factory=Metrics)
    seal: Seal | None = None
    options: dict[str, Any] = field(default_factory=dict)  # of the sender

    def __post_init__(self) -> None:
        self.threads = StoreThreads(self.database)

    def subscribe(self, url: str, *types: str, name: str = "crm") -> tuple[Endpoint, str]:
        endpoint, secret = new_endpoint(name, url, types, now=self.now, seal=self.seal)
        self.database.write(lambda connection: endpoint_table.add(connection, endpoint))
        return endpoint, secret

    def keep(self, *ids: str) -> None:
        for id_ in ids:
            new: NewFeedback = scored_comment(id_, schema=self.schema, received_at=self.now)
            self.database.write(partial(records.store, new=new))

    def deliver(self, *, holder: str = "w1", work: Callable[[Deliverer], Any] | None = None) -> int:
        """Send all that is due at present; how many messages were sent."""

        async def run() -> int:
            deliverer = self.deliverer(holder)
            try:
                if work is not None:
                    return int(await work(deliverer))
                total = 0
                while count := await deliverer.step():
                    total += count
                    await deliverer.drain()
                return total
            finally:
                await deliverer.close()

        return asyncio.run(run())

    def deliverer(self, holder: str = "w1", **options: Any) -> Deliverer:
        sender = Sender(LOOPBACK, **{"timeout": 5.0, **self.options, **options})
        return Deliverer(
            self.threads,
            sender,
            holder=holder,
            seal=self.seal,
            metrics=self.metrics,
            now=lambda: self.now,
            chance=lambda: 0.0,
        )

    def later(self, **by: float) -> None:
        self.now += timedelta(**by)

    def rows(self) -> list[Any]:
        found = select(webhook_deliveries).order_by(webhook_deliveries.c.event_id)
        return self.database.read(lambda connection: list(connection.execute(found)))

    def row(self) -> Any:
        (row,) = self.rows()
        return row

    def endpoint(self) -> Endpoint:
        (endpoint,) = self.database.read(endpoint_table.load)
        return endpoint


@pytest.fixture
def bench(database: Database, schema: LabelSchema) -> Iterator[Bench]:
    found = Bench(database, schema)
    yield found
    found.threads.close()
