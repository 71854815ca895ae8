"""Read the header ``Retry-After``. Pure."""

from __future__ import annotations

import email.utils
from typing import Final

SECONDS_MAX: Final = 7 * 86_400.0  # bans last three days at most; more is nonsense


def retry_after_s(value: str | None, *, wall_ns: int) -> float | None:
    """Return the wait that a venue asks for, seconds from now.

    Args:
        value: The header: seconds or an HTTP date; None: absent.
        wall_ns: Now, ns since 1970 UTC.

    Returns:
        None if the header is absent or nonsense.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), SECONDS_MAX)
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return min(max(0.0, moment.timestamp() - wall_ns / 1e9), SECONDS_MAX)
