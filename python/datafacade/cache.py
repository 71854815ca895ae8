"""A cache of any value, for use alone: least recently used first, and nothing older than its time.

Example:
    >>> prices = Cache(entries_max=10_000)
    >>> prices.set("price:BTC-USD", "61602.01", ttl_ms=5_000, cache_class="prices_hot")
    >>> prices.get("price:BTC-USD")
    '61602.01'
    >>> prices.get("price:ETH-USD", "none")
    'none'
"""

from datafacade._core import Cache

__all__ = ["Cache"]
