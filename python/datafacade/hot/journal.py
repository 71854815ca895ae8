"""Say what resuming needs of the journal: the disk-backed ring that outlives a crash."""

from __future__ import annotations

from typing import Protocol


class Journal(Protocol):
    """The disk-backed ring of encoded updates (``datafacade._core.Journal``)."""

    def ranges(self, venue: str, symbol: str, channel: int, variant: str) -> list[tuple[int, int, int]]:
        """Return (epoch, seq_oldest, seq_last) of every epoch that holds something of a topic.

        Raises:
            OSError: The disk fails.
        """
        ...

    def read(
        self,
        venue: str,
        symbol: str,
        channel: int,
        variant: str,
        *,
        epoch: int,
        seq_after: int,
        bytes_max: int,
    ) -> tuple[bytes, int]:
        """Return entries of field 4 behind a seq, in order, and the last seq among them.

        Raises:
            OSError: The disk fails.
            ValueError: What was read is damaged.
        """
        ...
