"""Bits of codes: known entropies, what small data cost, the end of a chunk."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_ts.entropy import CodeTables, entropies


def draw(shares: list[float], count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice(len(shares), (count, 1), p=shares)


def test_much_data_reach_the_entropy_of_the_source():
    shares = [0.7, 0.2, 0.1, 0.0]
    entropy = -sum(p * np.log2(p) for p in shares if p)
    tables = CodeTables.learn(draw(shares, 50_000, 0), 4, ends=False)
    assert tables.bits(draw(shares, 50_000, 1)).mean() == pytest.approx(entropy, abs=0.01)


def test_each_position_has_its_own_table():
    codes = np.tile([0, 1, 2], (500, 1))
    tables = CodeTables.learn(codes, 3, ends=False)
    assert tables.bits(codes).max() < 0.1
    assert tables.bits(codes[:, ::-1].copy()).min() > 10


def test_few_data_share_across_positions():
    """64 positions of one source, 30 chunks: one table knows what 64 of 30 counts each cannot."""
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(100, 0.2))
    entropy = -(shares * np.log2(shares.clip(1e-300))).sum()
    codes = rng.choice(100, (60, 64), p=shares)
    tables = CodeTables.learn(codes[:30], 100, ends=False)
    assert tables.bits(codes[30:]).mean() / 64 < 1.1 * entropy


def test_a_large_vocabulary_pays_for_what_it_has_not_seen():
    """30 chunks, each with a code of its own: the codes' own entropy says 5 bits, the truth is 11."""
    rng = np.random.default_rng(0)
    codes = rng.permutation(2048)[:60, None]
    assert entropies(codes[30:], 2048).sum() == pytest.approx(np.log2(30))
    bits = CodeTables.learn(codes[:30], 2048, ends=False).bits(codes[30:]).mean()
    assert bits == pytest.approx(11, abs=0.2)


@given(st.integers(2, 9), st.integers(1, 6), st.integers(0, 99))
def test_shares_add_up_to_one_at_every_position(vocab: int, width: int, seed: int):
    codes = np.random.default_rng(seed).integers(0, vocab, (40, width))
    tables = CodeTables.learn(codes, vocab, ends=False)
    base = codes[:1]
    for position in range(width):
        rows = np.repeat(base, vocab, axis=0)
        rows[:, position] = np.arange(vocab)
        alone = tables.bits(rows) - tables.bits(base) + tables.bits(base[:, : position + 1])
        before = tables.bits(base[:, :position]) if position else 0
        assert np.exp2(-(alone - before)).sum() == pytest.approx(1)


def test_chunks_of_different_length_pay_for_their_ends():
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, 5, 4000)  # 2 bits each, the codes themselves none
    codes = np.where(np.arange(4) < lengths[:, None], 0, -1)
    tables = CodeTables.learn(codes[:2000], 3, ends=True)
    assert tables.bits(codes[2000:]).mean() == pytest.approx(2, abs=0.02)
    longer = np.concatenate([np.zeros((1, 6), int), np.full((1, 6), -1)])
    assert np.isfinite(tables.bits(longer)).all()


def test_padding_is_no_code():
    codes = np.array([[0, 1], [1, -1], [0, 2], [1, -1]])
    np.testing.assert_allclose(entropies(codes, 3), [1, 1])
