"""Answer from venues' REST and from caches: fetch, reconcile, encode once."""
