"""Check that the numbers of a topic's records rise by one. Pure."""

from __future__ import annotations

from enum import Enum


class Place(Enum):
    """How a record stands to those before it."""

    NEXT = "next"
    PRESENT = "present"  # describes the present for a joiner: its number is not checked
    OLD = "old"  # came before
    HOLE = "hole"  # numbers in between are missing


class Contiguity:
    """Where one topic stands: ``expected`` is the next ``seq``; 0: a base must come first."""

    __slots__ = ("_has_begun", "expected")

    def __init__(self) -> None:
        self.expected = 0
        self._has_begun = False

    def begin(self, seq_next: int) -> None:
        """Start at a seam; 0: at the base that will come."""
        self.expected, self._has_begun = seq_next, False

    def place(self, seq: int) -> Place:
        """Judge a number without taking it."""
        if self.expected == 0:
            return Place.PRESENT
        if seq == self.expected:
            return Place.NEXT
        if seq > self.expected:
            return Place.HOLE
        return Place.OLD if self._has_begun else Place.PRESENT

    def take(self, seq: int) -> None:
        """Go on behind a number."""
        self.expected, self._has_begun = seq + 1, True
