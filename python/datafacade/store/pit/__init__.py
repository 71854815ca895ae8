"""Keep every answer for ever what it was: immutable snapshots, found by id or by time, proven by hashes."""

from datafacade.store.pit.names import Entity
from datafacade.store.pit.record import Draft, PitRef
from datafacade.store.pit.snapshot import PitSnapshot
from datafacade.store.pit.store import PitStore

__all__ = ["Draft", "Entity", "PitRef", "PitSnapshot", "PitStore"]
