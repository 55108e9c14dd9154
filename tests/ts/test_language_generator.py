"""Made-up series and questions: that answers are exact, determined by the data, and the same every time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest

from vla_data.errors import ConfigError, UnknownNameError
from vla_ts.language import GeneratorConfig, SeriesExample, SeriesGenerator
from vla_ts.language.attributes import (
    AXES,
    NOISE,
    PERIODS,
    MotionAttributes,
    PairAttributes,
    WaveAttributes,
)
from vla_ts.language.drawing import (
    MOTION_VALUES,
    PAIR_VALUES,
    SPLITS,
    WAVE_VALUES,
    draw_pair,
    draw_wave,
    pair_values,
    split_of,
)
from vla_ts.language.evidence import ABSENT_SEASON, CLEAR, Evidence
from vla_ts.language.questions import QUESTIONS


def examples(kind: str, count: int = 40, split: str = "train", **settings) -> list[SeriesExample]:
    generator = SeriesGenerator(GeneratorConfig(kinds=(kind,), **settings), split)  # type: ignore[arg-type]
    return [generator[i] for i in range(count)]


def asked(example: SeriesExample) -> tuple[np.ndarray, WaveAttributes]:
    """Values of the dimension asked about, and what it was made of."""
    place = next(i for i, n in enumerate(example.series.names) if f" {n} " in example.question)
    made_of = example.attributes[place]
    assert isinstance(made_of, WaveAttributes)
    return example.series.values[:, place].astype(np.float64), made_of


def rebuilt(w: WaveAttributes) -> np.ndarray:
    """A wave without noise, step by step."""
    out = []
    for t in range(w.steps):
        value = w.rise * t / (w.steps - 1) - w.rise / 2
        value += w.amplitude * np.sin(2 * np.pi * t / w.period + 2 * np.pi * w.phase) if w.period else 0
        if (w.change in ("rise", "drop") and t >= w.change_at) or (
            w.change in ("spike", "dip") and t == w.change_at
        ):
            value += w.change_height
        out.append(w.level + w.unit * value)
    return np.array(out)


def test_a_wave_is_its_attributes_plus_noise_of_the_stated_strength():
    left = []
    for example in examples("trend", 80):
        for values, wave in zip(example.series.values.T, example.attributes, strict=True):
            assert isinstance(wave, WaveAttributes)
            rest = (values - rebuilt(wave)) / wave.unit
            if wave.noise == "none":
                assert np.abs(rest).max() < 1e-5
            else:
                left.append(rest / NOISE[wave.noise])
    noise = np.concatenate(left)
    assert len(noise) > 1000
    assert noise.std() == pytest.approx(1, abs=0.05)
    assert noise.mean() == pytest.approx(0, abs=0.1)


def best_explanation(values: np.ndarray, wave: WaveAttributes) -> tuple[str, str, str, int]:
    """The (trend, period, change, step) whose least squares fits the seen values best, by brute force.

    Effects weaker than half the weakest ever drawn are none, in units of the series.
    """
    t, seen = np.arange(wave.steps), values / wave.unit
    line = t / (wave.steps - 1)
    best: tuple[float, tuple[str, str, str, int]] = (np.inf, ("", "", "", 0))
    steps = [("step", k, (t >= k) * 1.0) for k in range(1, wave.steps)]
    changes = [("none", 0, None), *steps, *(("spike", k, (t == k) * 1.0) for k in range(wave.steps))]
    for trend, period, (kind, at, column) in product((False, True), (0, *PERIODS), changes):
        columns = [np.ones(wave.steps)] + [line] * trend
        if period:
            columns += [np.sin(2 * np.pi * t / period), np.cos(2 * np.pi * t / period)]
        columns += [column] if column is not None else []
        matrix = np.stack(columns, 1)
        found, *_ = np.linalg.lstsq(matrix, seen, rcond=None)
        slope = found[1] if trend else 0.0
        swing = np.hypot(*found[1 + trend : 3 + trend]) if period else 0.0
        height = found[-1] if column is not None else 0.0
        if (trend and abs(slope) < 0.75) or (period and swing < 0.3):
            continue
        if column is not None and abs(height) < (0.75 if kind == "step" else 1.25):
            continue
        error = float(np.square(seen - matrix @ found).sum())
        # Among equals the one with fewer parts: they differ by less than noise of the weakest kind.
        error += 1e-6 * matrix.shape[1] if wave.noise == "none" else 15 * wave.sigma**2 * matrix.shape[1]
        if error < best[0]:
            way = "flat" if not trend else "rising" if slope > 0 else "falling"
            name = {"step": ("rise", "drop"), "spike": ("spike", "dip"), "none": ("none",) * 2}[kind]
            best = error, (way, str(period or "none"), name[int(height < 0)], at)
    return best[1]


@pytest.mark.parametrize(("kind", "place"), [("trend", 0), ("period", 1), ("change", 2)])
@pytest.mark.parametrize("split", SPLITS)
def test_the_seen_series_alone_gives_the_answer(kind: str, place: int, split: str):
    """What least squares finds in the noisy values, told nothing of the attributes, is the answer."""
    for example in examples(kind, 12, split, lengths=(24, 32), dims=(1,)):
        values, wave = asked(example)
        assert best_explanation(values, wave)[place] == example.answer, wave


def test_the_seen_series_alone_gives_the_quarter_of_the_change():
    for example in examples("change_at", 12, lengths=(24, 32), dims=(1,)):
        values, wave = asked(example)
        *_, at = best_explanation(values, wave)
        assert ("first", "second", "third", "fourth")[4 * at // wave.steps] == example.answer, wave


def test_amplitude_is_half_the_swing_of_the_season_alone():
    for example in examples("amplitude"):
        _, wave = asked(example)
        season = rebuilt(replace(wave, rise=0.0, change="none", steps=4000))
        fine = wave.unit * wave.amplitude
        assert float(example.answer) == pytest.approx(fine)
        assert np.ptp(season) <= 2 * fine + 1e-9


@pytest.mark.parametrize(("kind", "sign"), [("maximum", 1), ("minimum", -1)])
def test_extremes_are_those_of_the_seen_values(kind: str, sign: int):
    for example in examples(kind):
        values, _ = asked(example)
        place = int(np.argmax(sign * values))
        assert ("first", "second", "third", "fourth")[4 * place // len(values)] == example.answer
        best = np.sort((sign * values).reshape(4, -1).max(1))
        assert best[-1] - best[-2] >= 0.05 * np.ptp(values) > 0


def test_the_last_value_is_rounded_and_not_near_where_rounding_changes():
    for example in examples("last"):
        values, _ = asked(example)
        assert abs(values[-1] - int(example.answer)) <= 0.4
        two_digits = np.ptp(values) / 198  # half a step of text that has two digits for the span
        assert round(values[-1] - two_digits) == round(values[-1] + two_digits) == int(example.answer)


def test_noise_is_relative_to_the_span_and_leaves_a_gap():
    shares: dict[str, list[float]] = {"none": [], "weak": [], "strong": []}
    for example in examples("noise", 150):
        values, wave = asked(example)
        shares[example.answer].append(wave.sigma * wave.unit / np.ptp(values))
    assert set(shares["none"]) == {0.0}
    assert min(shares["weak"]) > 0
    assert 2 * max(shares["weak"]) < min(shares["strong"])


def test_related_dimensions_correlate_and_unrelated_ones_do_not():
    for example in examples("relation", 80):
        (pair,) = example.attributes
        assert isinstance(pair, PairAttributes)
        seen = np.corrcoef(example.series.values.T)[0, 1]
        expected = {"together": seen > 0.8, "opposite": seen < -0.8, "unrelated": abs(seen) < 0.2}
        assert expected[example.answer]
        assert pair.relation == example.answer


@pytest.mark.parametrize("seed", range(6))
def test_a_pair_without_noise_correlates_exactly(seed: int):
    rng = np.random.default_rng(seed)
    pair = draw_pair(rng, "train", 40)
    first, second = pair_values(rng, pair).T
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(
        {"together": 1, "opposite": -1, "unrelated": 0}[pair.relation], abs=1e-9
    )
    assert second.std() / first.std() == pytest.approx(pair.gain)


def motions(kind: str, count: int = 60) -> list[tuple[np.ndarray, MotionAttributes, str]]:
    found = []
    for example in examples(kind, count):
        (motion,) = example.attributes
        assert isinstance(motion, MotionAttributes)
        found.append((example.series.values.astype(np.float64), motion, example.answer))
    return found


def test_axis_and_direction_are_those_of_the_largest_displacement():
    for values, _, answer in motions("axis"):
        assert answer == AXES[int(np.abs(values[-1] - values[0])[:3].argmax())]
    for values, motion, answer in motions("direction"):
        moved = (values[-1] - values[0])[AXES.index(motion.axis)]
        assert answer == ("forwards" if moved > 0 else "backwards")


def test_the_gripper_is_where_it_is_said_to_be_at_every_step():
    for values, _, answer in motions("gripper"):
        opened = values[:, 3] > 0.5
        before_after = {(True, False): "closes", (False, True): "opens", (False, False): "stays"}
        assert before_after[bool(opened[0]), bool(opened[-1])] == answer
    for values, _, answer in motions("gripper_at"):
        opened = values[:, 3] > 0.5
        assert np.flatnonzero(np.diff(opened.astype(int))).tolist() == [int(answer) - 1]


def test_the_order_is_seen_in_the_hand_s_path():
    for values, motion, answer in motions("order"):
        path = values[:, AXES.index(motion.axis)]
        done = (path[motion.gripper_at] - path[0]) / motion.distance
        assert {"before": done < 0.1, "during": 0.1 < done < 0.9, "after": done > 0.9}[answer], motion


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("kind", QUESTIONS)
def test_answers_are_of_the_stated_ones_and_not_all_the_same(kind: str, split: str):
    counts = Counter(e.answer for e in examples(kind, 60, split))
    assert set(counts) <= set(QUESTIONS[kind].answers)
    assert len(counts) > 1
    assert max(counts.values()) <= 0.75 * 60


def test_combinations_of_the_splits_are_disjoint_and_complete():
    for values in (WAVE_VALUES, PAIR_VALUES, MOTION_VALUES):
        places = list(product(*(range(len(v)) for v in values)))
        held_out = [p for p in places if split_of(p) == "held_out"]
        assert 0.1 < len(held_out) / len(places) < 0.3
        for axis, options in enumerate(values):
            for split in SPLITS:
                assert {p[axis] for p in places if split_of(p) == split} == set(range(len(options)))
    for a, b in combinations(range(len(WAVE_VALUES)), 2):
        seen = {
            (p[a], p[b]) for p in product(*(range(len(v)) for v in WAVE_VALUES)) if split_of(p) == "train"
        }
        assert len(seen) == len(WAVE_VALUES[a]) * len(WAVE_VALUES[b])


@pytest.mark.parametrize("kind", ["change", "relation", "order"])
def test_examples_keep_to_the_combinations_of_their_split(kind: str):
    def of(example: SeriesExample) -> set[tuple]:
        found = set()
        for a in example.attributes:
            if isinstance(a, WaveAttributes):
                found.add((a.trend, a.period, a.change, a.noise))
            elif isinstance(a, PairAttributes):
                found.add((a.relation, a.waves, a.gain, a.noise))
            else:
                found.add((a.axis, a.direction, a.gripper, a.order))
        return found

    train, held_out = (set().union(*map(of, examples(kind, 200, split))) for split in SPLITS)
    assert train
    assert held_out
    assert not train & held_out


def test_an_example_depends_on_seed_split_and_number_alone():
    config = GeneratorConfig(seed=3)
    first, again = SeriesGenerator(config, "train"), SeriesGenerator(config, "train")
    many = [first[i] for i in range(20)]
    for i in reversed(range(20)):
        one = again[i]
        np.testing.assert_array_equal(one.series.values, many[i].series.values)
        assert (one.question, one.answer, one.attributes) == (
            many[i].question,
            many[i].answer,
            many[i].attributes,
        )
    others = [SeriesGenerator(config, "held_out"), SeriesGenerator(replace(config, seed=4), "train")]
    assert all(o[0].attributes != many[0].attributes for o in others)


def wave(**changes) -> WaveAttributes:
    plain = WaveAttributes(32, 2.0, 8, 1.0, 0.1, "rise", 16, 2.0, "none", 1.0, 0.0)
    return replace(plain, **changes)


def test_what_the_data_leave_open_is_not_asked():
    clear = Evidence(wave())
    assert clear.trend()
    assert clear.period()
    assert clear.change()
    assert clear.change_at(16, 24)
    noisy = Evidence(wave(noise="strong", rise=1.5, change_height=1.5, amplitude=0.6))
    assert not noisy.trend()
    assert not noisy.change()
    # A spike on the first step of a quarter is in it for sure; a weak step in noise may be a step earlier.
    assert Evidence(wave(change="spike", change_height=4.0)).change_at(16, 24)
    assert not Evidence(wave(noise="strong", change_height=1.8)).change_at(16, 24)
    assert not Evidence(wave(change="none", change_height=0.0)).change_at(16, 24)
    assert not Evidence(wave(noise="strong", amplitude=0.6)).amplitude()
    assert not Evidence(wave(period=0, amplitude=0.0)).amplitude()


@pytest.mark.parametrize("change", ["none", "rise", "spike"])
def test_distances_are_those_of_least_squares(change: str):
    """Against lstsq, explanation by explanation, for the one that decides the trend."""
    made = wave(change=change, change_height=0.0 if change == "none" else 2.0)
    evidence, t = Evidence(made), np.arange(32)
    best = np.inf
    for period in (0, *PERIODS):
        base = [np.ones(32)]
        if period:
            base += [np.sin(2 * np.pi * t / period), np.cos(2 * np.pi * t / period)]
        columns = [[]] + [[(t >= k) * 1.0] for k in range(1, 32)] + [[(t == k) * 1.0] for k in range(32)]
        for column in columns:
            falling = np.linalg.lstsq(np.stack([*base, *column, t], 1), made.shape(), rcond=None)[0][-1] < 0
            matrix = np.stack([*base, *column, *([t] if falling else [])], 1)
            rest = made.shape() - matrix @ np.linalg.lstsq(matrix, made.shape(), rcond=None)[0]
            best = min(best, float(rest @ rest))
    evidence.sigma = np.sqrt(best) / CLEAR * 0.999
    assert evidence.trend()
    evidence.sigma = np.sqrt(best) / CLEAR * 1.001
    assert not evidence.trend()


@pytest.mark.parametrize("period", PERIODS)
def test_a_season_that_is_not_there_is_as_far_away_as_is_claimed(period: int):
    """The bound on its squared distance holds beside any trend and change."""
    for steps in (24, 32, 48):
        t = np.arange(steps)
        season = np.stack([np.sin(2 * np.pi * t / period), np.cos(2 * np.pi * t / period)], 1)
        for k in range(1, steps):
            for column in (t >= k, t == k):
                basis, _ = np.linalg.qr(np.stack([np.ones(steps), t, column * 1.0], 1))
                left = season - basis @ (basis.T @ season)
                assert np.linalg.eigvalsh(left.T @ left)[0] >= ABSENT_SEASON * steps


@pytest.mark.parametrize(
    "wrong", [{"lengths": ()}, {"lengths": (20,)}, {"lengths": (33,)}, {"motion_lengths": (28,)},
              {"seed": -1}, {"dims": ()}, {"dims": (0,)}, {"dims": (9,)}]
)  # fmt: skip
def test_settings_out_of_range_are_refused(wrong: dict):
    with pytest.raises(ConfigError, match="out of range"):
        GeneratorConfig(**wrong)


@pytest.mark.usefixtures("unchecked_shapes")
def test_unknown_kinds_and_splits_are_refused():
    with pytest.raises(UnknownNameError, match="'trend'"):
        GeneratorConfig(kinds=("trnd",))
    with pytest.raises(UnknownNameError, match="held_out"):
        SeriesGenerator(GeneratorConfig(), "heldout")  # type: ignore[arg-type]


def test_waves_keep_to_the_weakest_effects_that_evidence_counts_on():
    rng = np.random.default_rng(0)
    for _ in range(300):
        w = draw_wave(rng, "train", 32)
        assert w.rise == 0 or abs(w.rise) >= 1.5
        assert w.period == 0 or w.amplitude >= 0.6
        least = {"none": 0, "rise": 1.5, "drop": 1.5, "spike": 2.5, "dip": 2.5}[w.change]
        assert abs(w.change_height) >= least
        assert (w.change in ("rise", "spike")) == (w.change_height > 0)
