"""Samples of a mixture: cut right, masked right, from robots that are never mixed unasked, damage counted."""

from __future__ import annotations

import os
import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.mixtures import OTHER, ROBOT, SIZES, Numbered, lengths, mix, write_numbered

from vla_data.chunks import chunk_actions
from vla_data.errors import ConfigError, DataError, SpecMismatchError, UnknownNameError
from vla_data.formats.index_cache import load
from vla_data.mixture import (
    DatasetShare,
    Mixture,
    MixtureConfig,
    MixtureSample,
    WindowConfig,
    load_mixture,
    mixture_norms,
)
from vla_data.mixture import index as index_module
from vla_data.mixture.index import index_episodes
from vla_data.mixture.presets import PRESETS
from vla_data.normalize import NormStats
from vla_data.openx.catalog import catalog
from vla_data.types import ArrayImages

A = Numbered("a", lengths(1, 20))
B = Numbered("b", lengths(2, 7))


def numbers(sample: MixtureSample) -> tuple[int, int]:
    """Episode and step, as the first action says."""
    return divmod(int(sample.chunk.actions[0, 0]), 1000)


def same(a: MixtureSample, b: MixtureSample) -> bool:
    return content(a) == content(b)


def content(sample: MixtureSample) -> tuple[object, ...]:
    """Everything a sample holds, in values that compare."""
    seen = [
        (o.time, o.instruction, o.state.tobytes(), {k: v.tobytes() for k, v in o.images.items()})
        for o in sample.window.observations
    ]
    arrays = (sample.window.past_actions, sample.chunk.actions, sample.history_mask, sample.action_mask)
    rest = (sample.dataset, sample.name, sample.episode, sample.episode_id, sample.step, sample.position)
    return (seen, [a.tobytes() for a in arrays], *rest)


@given(st.integers(0, 5000), st.integers(1, 4), st.integers(1, 15))
def test_a_window_shows_the_steps_around_its_own_and_masks_what_is_outside(position, history, horizon):
    mixture = mix(A, B, history=history, action_horizon=horizon)
    sample = mixture[position]
    episode, step = numbers(sample)
    source = (A, B)[sample.dataset]
    steps = source.lengths[episode]
    assert (sample.episode, sample.step, sample.episode_id) == (episode, step, f"e{episode}")
    ahead = np.arange(step, step + horizon)
    np.testing.assert_array_equal(sample.action_mask, ahead < steps)
    np.testing.assert_array_equal(sample.chunk.actions, chunk_actions(source[episode].action, horizon)[step])
    assert sample.chunk.spec == ROBOT.action
    back = np.arange(step - history + 1, step + 1)
    np.testing.assert_array_equal(sample.history_mask, back >= 0)
    for observation, at in zip(sample.window.observations, back.clip(0), strict=True):
        assert observation.state[0] == 1000 * episode + at
        assert observation.time == pytest.approx(at / 10)
        assert set(observation.images) == set(SIZES)
        assert tuple(observation.images["wrist"][0, 0, :2]) == (episode % 256, 1 + at % 255)
    past = sample.window.past_actions
    assert past.shape == (history - 1, ROBOT.action.dim)
    for row, at in zip(past, back[:-1], strict=True):
        assert (row == (1000 * episode + at if at >= 0 else 0)).all()


def test_every_wording_is_said():
    said = Counter(mix(Numbered("a", (8,)))[p].window.latest.instruction for p in range(300))
    assert set(said) == {"do 0", "please do 0", "now do 0"}
    assert min(said.values()) > 60
    first = mix(Numbered("a", (8,)), paraphrases=False)
    assert {first[p].window.latest.instruction for p in range(30)} == {"do 0"}


def test_any_position_at_once_and_the_same_in_another_process_or_after_others():
    mixture = mix(A, B, weights=(3, 1))
    forward = [mixture[p] for p in range(200)]
    again = pickle.loads(pickle.dumps(mixture))
    for p in (199, 3, 77, 3):
        assert same(again[p], forward[p])
        assert same(mixture[p], forward[p])
    assert len(again.cache) <= 3


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 3), st.integers(1, 400), st.integers(1, 3))
def test_ranks_and_workers_share_out_an_epoch_without_gap_or_double(ranks, workers, epoch, samples, more):
    mixture = mix(A, epoch_samples=samples)
    parts = [
        mixture.positions(epoch, rank=r, ranks=ranks, worker=w, workers=workers)
        for r in range(ranks)
        for w in range(workers)
    ]
    assert sorted(p for part in parts for p in part) == list(range(epoch * samples, (epoch + 1) * samples))
    one = mixture.positions(epoch, rank=0, ranks=ranks)
    many = [mixture.positions(epoch, ranks=ranks, worker=w, workers=more) for w in range(more)]
    assert sorted(p for part in many for p in part) == list(one)


def test_an_epoch_of_one_data_set_is_every_step_once():
    mixture = mix(A)
    assert len(mixture) == sum(A.lengths)
    found = Counter(numbers(sample) for sample in mixture)
    assert found == Counter((e, t) for e, n in enumerate(A.lengths) for t in range(n))


def test_rows_say_shares_and_laps():
    first, second = mix(A, B, weights=(3, 1), epoch_samples=1000).rows
    assert (first.share, second.share) == (0.75, 0.25)
    assert (first.episodes, first.steps) == (20, sum(A.lengths))
    assert first.laps == pytest.approx(750 / sum(A.lengths))


def test_weights_by_size_and_temperature():
    small, large = Numbered("small", (5,) * 10), Numbered("large", (5,) * 90)

    def share(**options: Any) -> float:
        return mix(small, large, weighting="size", **options).rows[0].share

    assert share() == pytest.approx(0.1, abs=1e-3)
    assert share(temperature=2.0) == pytest.approx(0.25, abs=1e-3)
    assert share(temperature=1e9) == pytest.approx(0.5, abs=1e-3)
    assert share(weights=(9, 1)) == pytest.approx(0.5, abs=1e-3)


def test_a_camera_goes_by_its_role_and_may_be_missing():
    blind = Numbered("blind", (4,) * 3, cameras=("wrist",))
    mixture = mix(blind)
    assert set(mixture[0].window.latest.images) == {"wrist"}
    renamed = MixtureConfig((DatasetShare("x", cameras={"primary": "wrist"}),), WindowConfig())
    frame = Mixture(renamed, [blind])[0].window.latest.images["primary"]
    assert frame.shape == (*SIZES["wrist"], 3)


def test_a_sample_keeps_no_episode_alive(tmp_path: Path):
    """Its frames are copies: what it takes to keep is a few small images, pickled or not."""
    path = write_numbered(tmp_path, "made", [200, 200])
    mixture = Mixture.open(MixtureConfig((DatasetShare(str(path)),), WindowConfig(1, 3, ("primary",))))
    frames = mixture[0].window.latest.images.frames["primary"].frames  # type: ignore[attr-defined]
    assert isinstance(frames[0], bytes)
    assert len(pickle.dumps(mixture[0])) < 10_000


def test_the_cache_stays_within_its_bytes_and_changes_nothing():
    whole, tight = mix(A), mix(A, cache_bytes=20_000)
    for p in range(300):
        assert same(whole[p], tight[p])
        assert tight.cache.nbytes <= 20_000 or len(tight.cache) == 1
    assert tight.cache.nbytes == sum(e.nbytes for e in tight.cache._held.values())
    assert tight.cache.misses > whole.cache.misses == len(A)


def test_robots_that_differ_are_refused_unless_the_config_says_what_to_do():
    other = Numbered("other", (5,) * 4, robot=OTHER)
    with pytest.raises(SpecMismatchError, match="action") as caught:
        mix(A, other)
    assert "union" in str(caught.value.next_step)
    state = replace(ROBOT, state=OTHER.state)
    with pytest.raises(SpecMismatchError, match="states"):
        mix(A, Numbered("other", (5,), robot=state))
    slow = replace(ROBOT, action=replace(ROBOT.action, control_hz=5.0))
    with pytest.raises(SpecMismatchError, match="control_hz"):
        mix(A, Numbered("slow", (5,), robot=slow))
    with pytest.raises(SpecMismatchError, match="guess"):
        mix(A, Numbered("guessed", (5,), rate_assumed=True))
    assert len(mix(Numbered("guessed", (5,), rate_assumed=True))) == 5  # alone it is mixed with nothing


def test_union_shares_a_column_only_where_the_meaning_is_the_same():
    mixture = mix(A, Numbered("other", (5,) * 4, robot=OTHER), embedding="union")
    action, state = mixture.action_columns, mixture.state_columns
    assert [p.tolist() for p in action.places] == [[0, 1, 2, 3], [0, 4]]
    assert [p.tolist() for p in state.places] == [[0, 1], [1, 2, 0]]
    np.testing.assert_array_equal(action.mask(1), [True, False, False, False, True])
    spread = action.spread(np.array([[7, 8]], np.float32), 1)
    np.testing.assert_array_equal(spread, [[7, 0, 0, 0, 8]])
    slow = replace(ROBOT, action=replace(ROBOT.action, control_hz=5.0))
    per_step = mix(A, Numbered("slow", (5,), robot=slow), embedding="union").action_columns
    assert [p.tolist() for p in per_step.places] == [[0, 1, 2, 3], [4, 5, 6, 3]]  # the gripper is absolute
    guessed = mix(A, Numbered("guessed", (5,), rate_assumed=True), embedding="union").action_columns
    assert guessed.dim == 8


def test_pad_aligns_left():
    mixture = mix(A, Numbered("other", (5,) * 4, robot=OTHER), embedding="pad")
    assert [p.tolist() for p in mixture.action_columns.places] == [[0, 1, 2, 3], [0, 1]]
    assert mixture.action_columns.names == ("x", "column 1", "z", "gripper")


def test_damaged_episodes_are_told_or_counted_and_their_samples_come_from_others():
    broken = Numbered("broken", (6,) * 8, damaged=frozenset({2, 5}))
    with pytest.raises(DataError, match="damaged"):
        Mixture(MixtureConfig((DatasetShare("x"),)), [broken])
    indexed = Numbered("whole", broken.lengths)
    strict = Mixture(MixtureConfig((DatasetShare("x"),)), [broken], [index_episodes(indexed)])
    with pytest.raises(DataError, match="damaged"):
        list(strict)
    kind = Mixture(MixtureConfig((DatasetShare("x", skip=True),)), [broken], [index_episodes(indexed)])
    found = {numbers(sample)[0] for sample in kind}
    assert found == set(range(8)) - {2, 5}
    assert len(kind.damaged) == 2
    again = pickle.loads(pickle.dumps(kind))
    assert all(same(again[p], kind[p]) for p in range(48))


def test_a_data_set_without_a_usable_episode_is_refused():
    empty = Numbered("empty", (3, 3), damaged=frozenset({0, 1}))
    nothing = Mixture(
        MixtureConfig((DatasetShare("x", skip=True),)), [empty], [index_episodes(Numbered("e", (3, 3)))]
    )
    with pytest.raises(DataError, match="no episode"):
        nothing[0]
    with pytest.raises(DataError, match="too short"):
        mix(Numbered("short", (5, 1)))
    with pytest.raises(DataError, match="not finite"):
        mix(Numbered("nan", (5,), changes={"action": np.full((5, 4), np.nan, np.float32)}))


def test_an_episode_that_changed_since_is_told():
    index = index_episodes(Numbered("a", (5, 6)))
    mixture = Mixture(MixtureConfig((DatasetShare("x"),)), [Numbered("a", (5, 7))], [index])
    with pytest.raises(DataError, match="another length"):
        list(mixture)


def shout(episode, seed):
    """A transform: says the seed in the state."""
    return replace(episode, state=np.full_like(episode.state, seed % 1000))


def test_a_transform_has_a_seed_for_each_episode_and_pass():
    source = Numbered("a", (5,) * 6)
    config = MixtureConfig((DatasetShare("a"),), WindowConfig(cameras=("primary",)))
    mixture = Mixture(config, [source], transform=shout)
    seeds = {}
    for p in range(60):
        sample = mixture[p]
        seeds.setdefault((p // 30, sample.episode), set()).add(float(sample.window.latest.state[0]))
    assert all(len(found) == 1 for found in seeds.values())
    assert len({min(found) for found in seeds.values()}) > 9
    assert same(pickle.loads(pickle.dumps(mixture))[45], mixture[45])


@pytest.mark.parametrize("how", ["each", "merged"])
def test_statistics_are_those_of_every_step_once(how):
    mixture = mix(A, B, weights=(5, 1))
    found = mixture_norms(mixture, how)
    series = [[s[i].action for i in range(len(s))] for s in (A, B)]
    apart, together = [NormStats.of(s) for s in series], NormStats.of(series[0] + series[1])
    expected = apart if how == "each" else [together, together]
    for norm, wanted in zip(found, expected, strict=True):
        for key in ("mean", "std", "q01", "q99", "min", "max"):
            np.testing.assert_allclose(getattr(norm.action, key), getattr(wanted, key), rtol=1e-6)
        assert norm.action.count == wanted.count


def test_a_file_describes_a_mixture(tmp_path: Path):
    write_numbered(tmp_path, "one", [4, 6, 5])
    write_numbered(tmp_path, "two", [3, 9])
    file = tmp_path / "mix.toml"
    file.write_text(
        'seed = 3\n[window]\nhistory = 2\ncameras = ["primary"]\n'
        '[[dataset]]\nuri = "one"\nweight = 3\n[[dataset]]\nuri = "two"\nname = "second"\n'
    )
    mixture = Mixture.open(load_mixture(file))
    assert [(r.name, r.share, r.episodes, r.steps) for r in mixture.rows] == [
        ("one", 0.75, 3, 15),
        ("second", 0.25, 2, 12),
    ]
    assert mixture[7].window.observations[0].images["primary"].shape == (12, 16, 3)
    assert mixture.open_bytes() >= mixture.first(0).nbytes
    file.write_text('[[dataset]]\nurl = "one"\n')
    with pytest.raises(UnknownNameError, match="url"):
        load_mixture(file)
    file.write_text('[[dataset]]\nuri = "one"\nweight = 0\n')
    with pytest.raises(ConfigError, match="out of range"):
        load_mixture(file)
    file.write_text("seed = 1\n")
    with pytest.raises(ConfigError, match="required key"):
        load_mixture(file)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_names_data_sets_of_the_catalogue(name: str):
    config = load_mixture(name, lambda uri: f"here/{uri}")
    names = [d.uri.removeprefix("here/") for d in config.dataset]
    assert set(names) <= set(catalog())
    assert len(set(names)) == len(names) >= 10
    with pytest.raises(UnknownNameError, match="did you mean 'oxe_magic_soup"):
        load_mixture("oxe_magic_soop")


def look(*arguments: object) -> None:
    raise RuntimeError("looked at an episode")


def test_lengths_are_kept_between_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VLA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(index_module, "MIN_EPISODES", 3)
    monkeypatch.setattr("vla_data.formats.index_cache.SETTLED_SECONDS", 0.0)
    from vla_data import open_episodes

    reader = open_episodes(write_numbered(tmp_path, "one", [4, 6, 5, 7]))
    steps = [4, 5, 6, 7]  # one shard after the other
    assert index_episodes(reader).lengths.tolist() == steps
    monkeypatch.setattr(type(reader), "read_series", look)
    assert index_episodes(reader).lengths.tolist() == steps
    stamp = index_module._stamp(reader)
    assert stamp is not None
    assert load(*stamp) is not None
    os.utime(reader.layout.shards("train")[0], (2, 2))  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="looked"):
        index_episodes(reader)


def test_real_bridge_beside_made_up_data(shared: Path, tmp_path: Path):
    """25 real episodes at 5 Hz and a made-up robot at 10 Hz: refused as one action, mixed as two."""
    bridge = DatasetShare(str(shared / "data/rlds/bridge_dataset/1.0.0"), 2.0)
    made = DatasetShare(str(write_numbered(tmp_path, "made", [9, 8, 7])))
    window = WindowConfig(2, 4, ("primary", "wrist"), image_size=(32, 32))
    with pytest.raises(SpecMismatchError):
        Mixture.open(MixtureConfig((bridge, made), window))
    mixture = Mixture.open(MixtureConfig((bridge, made), window, embedding="union"))
    assert mixture.rows[0].episodes == 25
    assert mixture.action_columns.dim == 7 + ROBOT.action.dim
    seen: Counter[int] = Counter()
    for p in range(0, 600, 7):
        sample = mixture[p]
        seen[sample.dataset] += 1
        source = mixture.sources[sample.dataset]
        expected = chunk_actions(source[sample.episode].action, 4)[sample.step]  # type: ignore[index]
        np.testing.assert_array_equal(sample.chunk.actions, expected)
        frames = source[sample.episode].images["primary"]
        np.testing.assert_array_equal(sample.window.latest.images["primary"], frames[sample.step])
    assert seen[0] > seen[1] > 10
    assert not isinstance(mixture.first(0).images["primary"], ArrayImages)
