"""All that a worker holds for the page."""

from dataclasses import dataclass, field

from serving.keeping import Keeper
from serving.key_ring import KeyRing
from serving.page.assets import Assets
from serving.page.evidence import EvidenceDesk
from serving.page.feed import Feed
from serving.page.memo import Memo
from serving.page.panels import InsightSource
from serving.page.sessions import Sessions


@dataclass
class Board:
    """Closed with the application."""

    sessions: Sessions
    feed: Feed
    assets: Assets = field(default_factory=Assets)
    evidence: EvidenceDesk = field(default_factory=EvidenceDesk)
    figures: Memo = field(default_factory=Memo)
    insights: InsightSource | None = None

    def close(self) -> None:
        """Let those go who watch, and the threads end."""
        self.feed.close()
        self.evidence.close()


def open_board(keeper: Keeper, ring: KeyRing) -> Board:
    """The page over a store. Raises StoreError."""
    secret = keeper.threads.database.secret("page_sessions")
    board = Board(Sessions(secret, ring), Feed(keeper.threads))
    if keeper.watcher is not None:
        from serving.insights.panels import FoundInsights

        board.insights = FoundInsights(keeper.zone)
    return board
