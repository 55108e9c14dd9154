"""Scaling and cutting of series: what comes back, what a text states, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from vla_data.errors import DataError
from vla_ts.language import NamedSeries, SeriesScale, cut_series, describe_series, join_series
from vla_ts.language.scaling import round_up, short

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
arrays = stn.arrays(np.float32, st.integers(1, 30), elements=finite)


@given(arrays)
def test_values_come_back_bit_for_bit_or_vanish_beside_the_scale(values: np.ndarray):
    scale = SeriesScale.of(values)
    normalised = scale.normalize(values)
    assert np.abs(normalised).max() <= 1
    back = scale.denormalize(normalised)
    whole = abs(scale.offset) + scale.scale
    large = (np.abs(values) >= 2.0**-26 * whole) | (values == 0)
    np.testing.assert_array_equal(back[large], values[large])
    assert np.abs(back.astype(np.float64) - values).max() <= 2.0**-50 * whole


@given(arrays)
def test_the_text_states_exactly_what_was_used(values: np.ndarray):
    scale = SeriesScale.of(values)
    assert SeriesScale.parse(f"speed : steps=3 {scale.text} <ts><ts/>") == scale


@given(stn.arrays(np.float32, st.integers(2, 30), elements=st.floats(-1, 1, width=32)), st.floats(-3, 3))
def test_ordinary_series_are_stated_in_few_digits(values: np.ndarray, level: float):
    assume(np.ptp(values) > 0.1)
    scale = SeriesScale.of((values + np.float32(level)).astype(np.float32))
    digits = scale.text.replace("offset=", "").replace("scale=", "").split()
    assert all(len(d.lstrip("-").replace(".", "")) <= 4 for d in digits), scale.text


@given(st.floats(1e-30, 1e30))
def test_rounding_up_takes_the_next_of_1_2_5(value: float):
    up = round_up(value)
    assert value <= up <= 2.5 * value * (1 + 1e-12)
    assert f"{up:e}"[0] in "125"


@pytest.mark.parametrize("value", [0.0, 0.4137, -1000.25, 3e-20])
def test_a_constant_series_is_near_zero_and_comes_back(value: float):
    values = np.full(9, value, np.float32)
    scale = SeriesScale.of(values)
    normalised = scale.normalize(values)
    assert np.abs(normalised).max() <= 0.05 + 1e-9
    np.testing.assert_array_equal(scale.denormalize(normalised), values)


def test_golden_texts():
    series = {
        "offset=0.6 scale=1": [0, 1, 1.1],
        "offset=-7 scale=5": [-11.2, -2.9],
        "offset=0 scale=1": [-1, 1],
    }
    for text, values in series.items():
        assert SeriesScale.of(np.array(values, np.float32)).text == text
    assert [short(n) for n in (5.0, -0.0, 0.05, 1e-7)] == ["5", "0", "0.05", "1e-07"]


@pytest.mark.parametrize(
    "text", ["", "offset=1", "offset=a scale=1", "offset=1 scale=0", "offset=nan scale=1"]
)
def test_a_text_without_a_scale_is_refused(text: str):
    with pytest.raises(DataError):
        SeriesScale.parse(text)


def series(values: np.ndarray, present: np.ndarray | None = None) -> NamedSeries:
    return NamedSeries(values, tuple("abcdefg"[: values.shape[1]]), present)


@given(st.integers(1, 3), st.integers(1, 7), st.integers(0, 20), st.integers(0, 2**31))
def test_patches_hold_every_value_and_say_where_there_is_none(
    dims: int, patch_len: int, more: int, seed: int
):
    rng = np.random.default_rng(seed)
    values = rng.normal(3, 10, (patch_len + more, dims)).astype(np.float32)
    present = rng.random(values.shape) < 0.7
    present[0] = True
    values[~present] = np.nan
    cut = cut_series(series(values, present), patch_len)
    count = -(-len(values) // patch_len)
    assert cut.runs == (count,) * dims
    assert cut.patches.shape == (dims * count, 2 * patch_len)
    np.testing.assert_array_equal(cut.start, np.tile(np.arange(count) * patch_len, dims))
    mask = cut.patches[:, patch_len:]
    assert mask.sum() == present.sum()
    assert (cut.patches[:, :patch_len][mask == 0] == 0).all()
    back = join_series(cut, len(values))
    largest = max(abs(s.offset) + s.scale for s in cut.scales)
    np.testing.assert_allclose(back, np.where(present, values, 0), rtol=0, atol=2.0**-22 * largest)


def test_dimensions_are_scaled_by_themselves_and_named_in_order():
    values = np.stack([np.linspace(0, 1, 8), np.linspace(-500, 500, 8)], 1).astype(np.float32)
    made = NamedSeries(values, ("angle", "force"))
    cut = cut_series(made, 4)
    assert describe_series(made, cut.scales) == (
        "angle : steps=8 offset=0.5 scale=0.5 <ts><ts/> ; force : steps=8 offset=0 scale=500 <ts><ts/>"
    )
    np.testing.assert_allclose(cut.patches[:2, :4], cut.patches[2:, :4], atol=1e-6)


def test_what_a_missing_value_holds_does_not_matter():
    values, present = np.ones((6, 1), np.float32), np.ones((6, 1), bool)
    values[::2] = 2
    present[3] = False
    cuts = []
    for hidden in (np.nan, np.inf, -1e30):
        values[3] = hidden
        cuts.append(cut_series(series(values.copy(), present), 3))
    for cut in cuts[1:]:
        np.testing.assert_array_equal(cut.patches, cuts[0].patches)
        assert cut.scales == cuts[0].scales


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_by_name_and_step(bad: float):
    values = np.zeros((5, 2), np.float32)
    values[3, 1] = bad
    with pytest.raises(DataError, match=r"(?s)NaN or infinity.*b, step 3 of 5.*`present`"):
        series(values)


def test_a_dimension_without_any_value_is_refused():
    with pytest.raises(DataError, match=r"(?s)no value.*b"):
        series(np.zeros((4, 2), np.float32), np.array([[True, False]] * 4))


def test_a_series_shorter_than_a_patch_is_refused():
    with pytest.raises(DataError, match=r"(?s)shorter than one patch.*at least 8 steps.*7"):
        cut_series(series(np.zeros((7, 1), np.float32)), 8)
    assert cut_series(series(np.zeros((8, 1), np.float32)), 8).runs == (1,)


@pytest.mark.usefixtures("unchecked_shapes")
@pytest.mark.parametrize(
    ("shape", "names", "mask"),
    [((5,), ("a",), None), ((0, 1), ("a",), None), ((5, 2), ("a",), None), ((5, 2), ("a", "a"), None),
     ((5, 1), ("a",), (4, 1))],
)  # fmt: skip
def test_shapes_that_do_not_fit_are_refused(shape: tuple, names: tuple, mask: tuple | None):
    with pytest.raises(DataError, match="do not fit"):
        NamedSeries(np.zeros(shape, np.float32), names, None if mask is None else np.ones(mask, bool))
