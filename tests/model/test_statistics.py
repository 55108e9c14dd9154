import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from vla_model.statistics import Pairs, anytime_p, mcnemar, newcombe_interval, wilson_interval


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_equals_scipys_wilson_interval(case: tuple[int, int]):
    successes, trials = case
    peer = binomtest(successes, trials).proportion_ci(method="wilson")
    low, high = wilson_interval(successes, trials)
    assert low == pytest.approx(peer.low, abs=1e-6)
    assert high == pytest.approx(peer.high, abs=1e-6)


def test_no_trial_says_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_newcombes_interval_for_pairs_equals_the_published_example():
    # Newcombe 1998, table II, method 10, the row of 36, 12, 2 and 0 pairs.
    assert newcombe_interval(Pairs(36, 12, 2, 0)) == pytest.approx((0.0569, 0.3404), abs=1e-4)


outcomes = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=300)


@given(outcomes)
def test_the_interval_of_a_difference_holds_it_and_turns_with_the_pair(rows: list[tuple[bool, bool]]):
    first, second = zip(*rows, strict=True)
    pairs, turned = Pairs.of(first, second), Pairs.of(second, first)
    low, high = newcombe_interval(pairs)
    assert -1 <= low <= (sum(first) - sum(second)) / len(rows) <= high <= 1
    assert newcombe_interval(turned) == pytest.approx((-high, -low))
    unequal = pairs.first_only + pairs.second_only
    peer = binomtest(pairs.first_only, unequal).pvalue if unequal else 1.0
    assert mcnemar(pairs) == pytest.approx(peer)


def test_pairs_that_agree_leave_less_doubt_than_pairs_that_do_not():
    agree, differ = newcombe_interval(Pairs(80, 5, 5, 10)), newcombe_interval(Pairs(72, 13, 13, 2))
    assert agree[1] - agree[0] < differ[1] - differ[0]


def test_no_pair_says_nothing_and_rows_must_match():
    assert newcombe_interval(Pairs(0, 0, 0, 0)) == (-1.0, 1.0)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        Pairs.of([1, 0], [1])


def test_a_p_that_holds_however_often_one_looks():
    """Under equal chances it is ever at most 0.05 in at most one run of twenty, over 400 looks."""
    rng = np.random.default_rng(0)
    fooled = 0
    for _ in range(400):
        one, other = rng.random((2, 400)) < 0.5
        fooled += (
            anytime_p(one.tolist(), other.tolist()) <= 0.05
        )  # it only falls: at the end it is the least of all looks
    assert fooled <= 20 + 12


def test_it_falls_with_evidence_and_only_that():
    assert anytime_p([], []) == 1
    assert anytime_p([1] * 50, [1] * 50) == 1
    lopsided = [anytime_p([1] * n, [0] * n) for n in range(1, 30)]
    assert lopsided == sorted(lopsided, reverse=True)
    assert lopsided[5] > 0.05 > lopsided[9]
    assert anytime_p([0] * 20, [1] * 20) == pytest.approx(anytime_p([1] * 20, [0] * 20))
    rng = np.random.default_rng(1)
    better, worse = rng.random(600) < 0.8, rng.random(600) < 0.5
    assert anytime_p(better.tolist(), worse.tolist()) < 1e-4
    with pytest.raises(ValueError, match=r"shorter|longer"):
        anytime_p([1], [1, 0])
