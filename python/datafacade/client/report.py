"""What a client saw of one topic. Data."""

from __future__ import annotations

from dataclasses import dataclass

from datafacade.client.topic import Topic


@dataclass(slots=True, kw_only=True)
class TopicReport:
    """Figures of one topic over all calls of a subscription; it goes on changing."""

    topic: Topic
    state: str = ""  # as in StreamState; DOWN while there is no connection to the service
    reason: str = ""
    integrity: str = ""  # of the newest data record
    epoch: int = 0
    seq: int = 0  # newest topic record
    updates: int = 0  # data records: deltas, snapshots, trades, tops, tickers
    trades: int = 0
    gaps: int = 0  # announced or noticed, of any scope
    skipped: int = 0  # records that delivery LATEST or INTERVAL left out
    duplicates: int = 0  # records that came again and were ignored
    resumes: int = 0  # lost calls after which it went on exactly behind its position
    mismatches: int = 0  # mirrors found wrong and dropped
    hashes_checked: int = 0  # checkpoints compared with the mirror
    links_checked: int = 0  # links of the venue's chain followed
    ts_client_last: int = 0  # when the newest record came here, ns since 1970 UTC; 0: none yet
    ts_recv_last: int = 0  # when the service read its cause from the venue, ns since 1970 UTC; 0: none yet
