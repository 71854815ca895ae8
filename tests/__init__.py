"""Tests of datafacade."""
