"""Limits in virtual time."""

from datafacade.sim.limits import Bucket, SlidingWindow, WeightLedger


def test_a_sliding_window_admits_its_limit_in_any_span() -> None:
    window = SlidingWindow(3, 1.0)
    assert [window.admit(now) for now in (0.0, 0.1, 0.2, 0.3, 1.25)] == [True, True, True, False, True]


def test_a_bucket_refills_at_its_rate() -> None:
    bucket = Bucket(1.0, 2.0)
    assert [bucket.admit(now) for now in (0.0, 0.0, 0.0, 0.5, 1.1)] == [True, True, False, False, True]


def test_weight_beyond_the_limit_is_429_and_going_on_is_418() -> None:
    ledger = WeightLedger(100)
    assert ledger.charge(100, 600.0) == 200
    answers = [ledger.charge(1, 601.0) for _ in range(30)]
    assert answers[0] == 429
    assert answers[-1] == 418
    assert ledger.retry_after_s(601.0) > 60
    assert ledger.charge(1, 660.0) == 418  # a new minute does not lift the ban
    assert ledger.charge(1, 601.0 + 121) == 200


def test_a_new_minute_starts_at_zero() -> None:
    ledger = WeightLedger(10)
    assert ledger.charge(10, 59.0) == 200
    assert ledger.charge(10, 60.0) == 200
    assert ledger.used == 10
