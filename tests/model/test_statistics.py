import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from vla_model.statistics import wilson_interval


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_equals_scipys_wilson_interval(case: tuple[int, int]):
    successes, trials = case
    peer = binomtest(successes, trials).proportion_ci(method="wilson")
    low, high = wilson_interval(successes, trials)
    assert low == pytest.approx(peer.low, abs=1e-6)
    assert high == pytest.approx(peer.high, abs=1e-6)


def test_no_trial_says_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)
