"""Read the header ``Retry-After``. Pure."""

from __future__ import annotations

import email.utils
import re
from datetime import UTC
from random import Random
from typing import Final

SECONDS_MAX: Final = 7 * 86_400.0  # bans last three days at most; more is nonsense
JITTER_RATIO: Final = 0.1  # added to a wait that a venue asked for
JITTER_S_MAX: Final = 60.0
_DATE_CHARS_MAX: Final = 64
_SECONDS: Final = re.compile(r"[0-9]+(?:\.[0-9]*)?")


def retry_after_s(value: str | None, *, wall_ns: int) -> float | None:
    """Return the wait that a venue asks for, seconds from now, never less than it asks for.

    Args:
        value: The header: seconds or an HTTP date; None: absent.
        wall_ns: Now, ns since 1970 UTC.

    Returns:
        None if the header is absent or nonsense.
    """
    if value is None:
        return None
    text = value.strip()
    seconds = _SECONDS.fullmatch(text)
    if seconds is not None:
        return min(float(text[:24]), SECONDS_MAX)
    try:
        moment = email.utils.parsedate_to_datetime(text[:_DATE_CHARS_MAX])
        stamp = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(max(0.0, stamp - wall_ns / 1e9), SECONDS_MAX)


def with_jitter_s(seconds: float, random: Random) -> float:
    """Return a wait with 0 to 10 % added, a minute at most: others were told the same time."""
    return seconds + min(random.uniform(0.0, JITTER_RATIO) * seconds, JITTER_S_MAX)
