"""Lags, masks, lost readings, recipes, and whole data sets augmented."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.episodes import assert_same, make_episode, write_dataset

from vla_data import open_episodes
from vla_data.augment import (
    PRESETS,
    AugmentConfig,
    ColourJitter,
    ImageNoise,
    LagShift,
    MaskSpans,
    StateDropout,
    augment_dataset,
    augmented,
)
from vla_data.augment.datasets import draw_preview
from vla_data.augment.series import shifted
from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError, DataError
from vla_data.images import EncodedImages, encode
from vla_data.rewriting import CopyConfig
from vla_data.types import ArrayImages, Episode, SubStep


def counting(steps: int) -> Episode:
    """An episode whose every array says which step it is of."""
    count = np.arange(steps)
    frames = np.broadcast_to(count[:, None, None, None], (steps, 24, 32, 3)).astype(np.uint8)
    return make_episode(
        steps=steps,
        action=np.repeat(count[:, None], 4, axis=1).astype(np.float32),
        state=np.repeat(count[:, None], 5, axis=1).astype(np.float32),
        time=count / 10,
        images={"front": ArrayImages(frames)},
        depth={"front": np.broadcast_to(count[:, None, None], (steps, 24, 32)).astype(np.float32)},
        series={"phase": count, "observation/joints": count + 0.5, "pose/front": count},
        substeps=(SubStep(0, 2, "a"), SubStep(2, steps, "b")),
        cameras={},
    )


@given(st.integers(3, 20), st.integers(0, 6), st.integers(0, 6), st.integers(0, 6))
def test_a_lag_puts_what_was_then_beside_what_is_now(
    steps: int, state: int, images: int, action: int
) -> None:
    first = max(state, images, action)
    if first > steps - 2:
        return
    late = shifted(counting(steps), state, images, action)
    now = np.arange(first, steps)
    assert len(late) == steps - first
    assert late.action[:, 0].tolist() == (now - action).tolist()
    assert late.state[:, 0].tolist() == (now - state).tolist()
    assert [int(late.images["front"][i][0, 0, 0]) for i in range(len(late))] == (now - images).tolist()
    assert late.depth["front"][:, 0, 0].tolist() == (now - images).tolist()
    assert late.series["pose/front"].tolist() == (now - images).tolist()
    assert late.series["observation/joints"].tolist() == (now - state + 0.5).tolist()
    assert late.series["phase"].tolist() == (now - action).tolist()
    assert late.time[0] == 0
    np.testing.assert_allclose(np.diff(late.time), 0.1)
    for step in late.substeps:
        assert late.series["phase"][step.start : step.stop].max() < 2 or step.text == "b"
    assert sum(s.stop - s.start for s in late.substeps) == len(late)


def test_lags_are_drawn_in_their_range_and_never_eat_the_episode() -> None:
    change = LagShift(state=(0, 3), images=(2, 4), action=(0, 0))
    seen = set()
    for seed in range(60):
        late = change(counting(30), np.random.default_rng(seed))
        seen.add(
            (
                int(late.action[0, 0] - late.state[0, 0]),
                int(late.action[0, 0] - late.images["front"][0][0, 0, 0]),
            )
        )
    assert seen == {(s, i) for s in range(4) for i in (2, 3, 4)}
    assert len(change(counting(3), np.random.default_rng(0))) == 2
    assert len(change(counting(1), np.random.default_rng(0))) == 1


def test_encoded_frames_stay_encoded_under_a_lag() -> None:
    rng = np.random.default_rng(0)
    frames = [encode(rng.integers(0, 256, (8, 8, 3), np.uint8), "png") for _ in range(6)]
    episode = replace(counting(6), images={"front": EncodedImages(frames)}, depth={}, series={})
    late = shifted(episode, 0, 2, 0).images["front"]
    assert isinstance(late, EncodedImages)
    assert list(late.frames) == frames[:4]


@pytest.mark.parametrize("fill", ["hold", "zero"])
def test_masked_spans_are_held_or_zero_and_marked(fill: str) -> None:
    episode = counting(40)
    change = MaskSpans(("state", "phase", "unknown"), spans=(2, 2), length=(3, 5), fill=fill)  # type: ignore[arg-type]
    changed = change(episode, np.random.default_rng(3))
    assert set(changed.series) - set(episode.series) == {"mask/state", "mask/phase"}
    for name, new, old in (
        ("state", changed.state[:, 0], episode.state[:, 0]),
        ("phase", changed.series["phase"], episode.series["phase"]),
    ):
        mask = changed.series[f"mask/{name}"]
        assert 3 <= mask.sum() <= 10
        assert not mask[0]
        np.testing.assert_array_equal(new[~mask], old[~mask])
        last = np.maximum.accumulate(np.where(mask, 0, np.arange(40)))
        np.testing.assert_array_equal(new[mask], old[last][mask] if fill == "hold" else 0)
        assert new.dtype == old.dtype
    np.testing.assert_array_equal(episode.state, counting(40).state)


def test_lost_readings_are_lost_step_by_step() -> None:
    episode = replace(counting(400), state=np.ones((400, 5), np.float32))
    whole = augmented(episode, AugmentConfig(each_step=(StateDropout(whole=0.25),))).state
    lost = (whole == 0).all(axis=1)
    assert set(np.unique(whole)) == {0.0, 1.0}
    assert ((whole == 0).any(axis=1) == lost).all()
    assert 60 < lost.sum() < 140
    single = augmented(episode, AugmentConfig(each_step=(StateDropout(whole=0.0, each=0.25),))).state
    assert 400 < (single == 0).sum() < 600
    assert single.dtype == np.float32


def test_noise_differs_from_frame_to_frame_and_not_from_look_to_look() -> None:
    episode = replace(counting(3), images={"front": ArrayImages(np.full((3, 24, 32, 3), 100, np.uint8))})
    frames = augmented(episode, AugmentConfig(each_step=(ImageNoise(std=5.0),))).images["front"]
    assert not np.array_equal(frames[0], frames[1])
    np.testing.assert_array_equal(frames[2], frames[-1])
    assert frames[0].std() == pytest.approx(5.0, rel=0.1)


@dataclass
class Watched:
    """Frames that note which of them were looked at."""

    frames: ArrayImages
    looked: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> np.ndarray:
        self.looked.append(index)
        return self.frames[index]


def test_images_are_not_looked_at_before_somebody_does() -> None:
    episode = make_episode(steps=12, depth={}, series={})
    watched = {n: Watched(f) for n, f in episode.images.items()}  # type: ignore[arg-type]
    config = replace(PRESETS["default"](), seed=1)
    changed = augmented(replace(episode, images=watched), config)  # type: ignore[arg-type]
    assert all(w.looked == [] for w in watched.values())
    assert changed.images["front"][3].shape == (24, 32, 3)
    assert len(watched["front"].looked) == 1
    assert watched["wrist"].looked == []


def test_seed_index_and_copy_tell_all() -> None:
    episode, config = make_episode(steps=20), PRESETS["default"]()
    again = [augmented(episode, config, index=3, copy=1) for _ in range(2)]
    assert_same(again[0], again[1])
    for other in (
        augmented(episode, config, index=3, copy=2),
        augmented(episode, config, index=4, copy=1),
        augmented(episode, replace(config, seed=9), index=3, copy=1),
    ):
        assert not np.array_equal(other.images["wrist"][0], again[0].images["wrist"][0])
    assert again[0].id == "episode-0+1"
    assert again[0].metadata["augmented_from"] == "episode-0"


def test_changes_of_the_other_kind_are_refused() -> None:
    """By name in a file; types say the same to whoever writes Python."""
    for name, kind in (("episode", "state_dropout"), ("each_step", "warp")):
        with pytest.raises(ConfigError, match=name):
            from_dict(AugmentConfig, {name: [{"kind": kind}]})


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (AugmentConfig, {"copies": 0}),
        (AugmentConfig, {"seed": -1}),
        (LagShift, {"state": (2, 1)}),
        (MaskSpans, {"length": (0, 1)}),
        (StateDropout, {"each": 2.0}),
    ],
)
def test_what_cannot_be_drawn_is_refused(kind: type, values: dict) -> None:
    with pytest.raises(ConfigError):
        from_dict(kind, values)


@pytest.mark.parametrize("preset", PRESETS)
def test_recipes_come_back_from_their_files(preset: str) -> None:
    config = PRESETS[preset]()
    assert from_dict(AugmentConfig, json.loads(json.dumps(to_dict(config)))) == config
    assert config.episode or config.each_step


def test_a_recipe_in_a_file_needs_its_kinds_and_no_more() -> None:
    config = from_dict(AugmentConfig, {"episode": [{"kind": "colour", "hue": 1.0}, {"kind": "lag"}]})
    assert config.episode == (ColourJitter(hue=1.0), LagShift())


def test_a_data_set_with_copies(tmp_path: Path) -> None:
    episodes = [make_episode(seed=i, steps=10) for i in range(3)]
    source = write_dataset(tmp_path / "made_up" / "1.0.0", episodes)
    config = replace(PRESETS["default"](), copies=2)
    shown = tmp_path / "grid.png"
    summary = augment_dataset(str(source), tmp_path / "out", config, CopyConfig(), preview=shown)
    reader = open_episodes(summary["directory"])
    assert (summary["episodes"], summary["copies"], len(reader)) == (9, 2, 9)
    assert [reader[i].id for i in range(3)] == ["episode-0", "episode-0+0", "episode-0+1"]
    original = reader[0]
    assert not original.series["mask/state"].any()
    assert_same(
        replace(original, series={k: v for k, v in original.series.items() if k != "mask/state"}), episodes[0]
    )
    for index in range(3):
        assert_same(reader[3 * index + 2], augmented(episodes[index], config, index=index, copy=1))
    assert shown.read_bytes().startswith(b"\x89PNG")
    alone = augment_dataset(
        str(source), tmp_path / "alone", replace(config, original=False), CopyConfig(workers=1)
    )
    assert alone["episodes"] == 6


def test_a_preview_shows_the_original_beside_the_copies() -> None:
    red = ArrayImages(np.full((6, 32, 32, 3), (200, 30, 30), np.uint8))
    episode = make_episode(steps=6, images={"front": red}, depth={}, cameras={}, series={})
    sheet = draw_preview(episode, replace(PRESETS["images"](), copies=2))
    assert sheet.shape[1] > 3 * 160
    assert (sheet == (200, 30, 30)).all(axis=2).sum() >= 2 * 160 * 160
    with pytest.raises(DataError):
        draw_preview(replace(episode, images={}), PRESETS["images"]())
