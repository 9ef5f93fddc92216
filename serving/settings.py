"""What the server may be told, with the reasons for the defaults. Filled by serving/cli.py."""

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import ConfigError

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Settings of one server. Raises ConfigError where two of them contradict each other."""

    host: str = "127.0.0.1"
    port: int = 8000
    model: str | None = None  # as models/resolving.py takes it; None follows the champion
    pin: tuple[str, ...] = ()  # more models, for requests that name one: each takes the memory of a model
    shadow: str | None = None  # a model that scores a share of the comments too, and whose answers nobody gets
    shadow_share: float = 0.1  # of the comments: 1,000 a day tell 97 % from 99 % agreement within a week
    golden: Path | None = None  # labelled comments that a model has to answer as they are labelled
    labels: str | None = None  # labels_digest of the first worker's model; serving/workers.py sets it
    routing: Path | None = None  # None: the shipped data/routing.toml
    threads: int | None = None  # of the network; the linear model has one
    workers: int = 1  # processes, each with the model
    cache: int = 32_768  # of a worker, different comments whose answers are kept: 0.8 kB each; 0: none
    figures: Path | None = None  # where workers keep their figures; serving/workers.py sets it
    max_body_bytes: int = 4 << 20  # 256 comments of 2,000 characters, \u-escaped to 6 bytes each, are 3 MB
    max_items: int = 256
    max_in_flight: int = 512  # of a worker, comments admitted and not answered yet: two full batches
    request_timeout: float = 30.0  # seconds from admission to the answer
    read_timeout: float = 10.0  # seconds for the headers, and again for the body
    shutdown_timeout: int = 30  # seconds that requests in flight get after SIGTERM
    keys_file: Path | None = None  # of API keys; None: those in the store
    no_keys: bool = False  # nobody is asked for one: a proxy in front does that
    key_seconds: float = 5.0  # between two looks at the keys, and so the longest that a revoked one still works
    docs: bool | None = None  # None: on the loopback only; the documentation tells strangers what to try
    otlp: str | None = None  # where traces go; None: nowhere
    allowed_hosts: tuple[str, ...] = ()  # names in the Host header beside the loopback ones
    # None: nothing is kept. Whoever keeps what customers wrote should know that, and where; and a path of our choosing
    # would fail in a container whose disk is read only.
    store: str | None = field(default=None, repr=False)  # a file's path or a URL, in which there may be a password
    store_timeout: float = 5.0  # seconds, of any one wait for the database; then 503
    repeat_days: float = 7.0  # in which another comment of the same customer counts as a repeated contact
    keep_days: float | None = None  # after which text, metadata and customer are erased; None: never
    keep_events_days: float = 90.0  # in which what happened can be replayed; three or four rows of each comment
    keep_raw: bool = False  # unmasked texts too, sealed; masked ones are enough to route and to train on
    webhook_http: bool = False  # messages to http:// too, which others can read on the way
    webhook_networks: tuple[str, ...] = ()  # in CIDR form, that webhooks may reach though they are not public
    webhook_seconds: float = 1.0  # between two looks for messages that are due
    max_job_bytes: int = 64 << 20  # of one upload, and of the texts in it: 100,000 comments of 200 characters
    max_job_rows: int = 100_000  # some minutes of work for one core
    max_jobs: int = 8  # of one API key, not ended yet: who sends more waits for those before
    max_job_uploads: int = 2  # of a worker, at once: each takes a thread for as long as masking does
    max_jobs_bytes: int = 2 << 30  # of the store, that comments and results of all jobs take; then no new one
    job_read_timeout: float = 120.0  # seconds for the body of an upload
    keep_results_days: float = 7.0  # in which the results of a job can be fetched
    job_seconds: float = 1.0  # between two looks for a job that waits
    job_hold_seconds: float = 15.0  # after which a job is taken over whose worker gives no sign of life
    insights: bool | None = None  # alerts, hot issues and forecast of the store; None: where their extra is installed
    alerts: Path | None = None  # rules; None: the shipped data/alerts.toml
    insight_seconds: float = 300.0  # between two looks: each reads up to 100,000 comments
    retention_seconds: float = 600.0  # between two looks for what is that old
    clock_seconds: float = 5.0  # between two looks for what is overdue
    probe_seconds: float = 5.0  # how long one successful forward pass counts as ready
    follow_seconds: float = 2.0  # between two looks at the champion pointer
    shadow_seconds: float = 60.0  # between two looks at what the shadow's alias names: each asks the registry

    def __post_init__(self) -> None:
        if self.no_keys and self.keys_file is not None:
            raise ConfigError("keys_invalid", "--no-keys and --keys-file contradict each other; give one of them")
        if self.max_items > self.max_in_flight:
            raise ConfigError(
                "max_in_flight_invalid",
                f"max_in_flight ({self.max_in_flight}) is below max_items ({self.max_items}): "
                "a full batch could never be admitted; raise the one or lower the other",
            )

        if self.keep_days is not None and self.store is None:
            raise ConfigError("store_invalid", "--keep-days erases what a store holds; give --store too")

        if (self.insights or self.alerts is not None) and self.store is None:
            raise ConfigError("store_invalid", "--alerts and --insights look at what a store holds; give --store too")

        if self.keep_raw and self.store is None:
            raise ConfigError("store_invalid", "--keep-raw keeps originals in a store; give --store too")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def shows_docs(self) -> bool:
        """Whether /docs and /openapi.json are there, for everybody."""
        return self.loopback if self.docs is None else self.docs

    @property
    def known_hosts(self) -> frozenset[str] | None:
        """Host names that requests may carry; None for any.

        On the loopback the check keeps web pages from reaching the server through a name that resolves to 127.0.0.1.
        """
        if self.loopback:
            return frozenset({*LOOPBACK_NAMES, self.host, *self.allowed_hosts})
        return frozenset(self.allowed_hosts) or None
