"""Recordings of real venues, whole and damaged, judged by facts and by a witness that shares no code."""
