"""The tracker: who keeps which identity, and what it does with bad input."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from tests.vision.scenes import box, found, texture

from vla_data.errors import ConfigError, DataError
from vla_vision.tracking.config import PRESETS, TrackerConfig
from vla_vision.tracking.tracker import Tracker
from vla_vision.types import Detections, Tracks

RED, BLUE = [1.0, 0.0, 0.1], [0.0, 1.0, 0.1]


def follow(frames: list[Detections], config: TrackerConfig | None = None) -> list[Tracks]:
    tracker = Tracker(config, (480, 640))
    return [tracker.update(frame) for frame in frames]


def whose(tracks: Tracks, index: int) -> int:
    """Identity of the detection of this index; 0 for none."""
    rows = np.flatnonzero(tracks.detections == index)
    return int(tracks.ids[rows[0]]) if len(rows) else 0


def test_two_that_pass_each_other_keep_their_identities():
    frames = [found([box(100 + 6 * t, 200), box(460 - 6 * t, 240)]) for t in range(60)]
    seen = follow(frames)
    assert {whose(t, 0) for t in seen} == {1}
    assert {whose(t, 1) for t in seen} == {2}
    np.testing.assert_allclose(seen[-1].velocities, [[6, 0], [-6, 0]], atol=0.3)
    np.testing.assert_allclose(seen[-1].boxes, frames[-1].boxes, atol=3)


def test_the_same_frames_give_the_same_tracks_and_reset_forgets():
    rng = np.random.default_rng(0)
    frames = [
        found(rng.uniform(0, 300, (12, 2)).repeat(2, 1)[:, [0, 2, 1, 3]] + [0, 0, 40, 80]) for _ in range(30)
    ]
    tracker = Tracker(size=(480, 640))
    first = [tracker.update(f) for f in frames]
    tracker.reset()
    again = [tracker.update(f) for f in frames]
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.ids, b.ids)
        np.testing.assert_array_equal(a.boxes, b.boxes)


def test_the_order_of_detections_does_not_matter():
    rng = np.random.default_rng(1)
    starts, steps = rng.uniform(60, 400, (8, 2)), rng.uniform(-3, 3, (8, 2))
    plain, mixed = Tracker(), Tracker()
    groups: dict[int, set[int]] = {}
    for t in range(40):
        boxes = [box(*(s + t * v)) for s, v in zip(starts, steps, strict=True)]
        order = rng.permutation(8)
        a, b = plain.update(found(boxes)), mixed.update(found(np.array(boxes)[order]))
        for i in range(8):
            groups.setdefault(whose(a, i), set()).add(whose(b, int(np.flatnonzero(order == i)[0])))
    assert all(len(others) == 1 for others in groups.values())


def test_a_track_must_be_confirmed_except_in_the_first_frame():
    config = replace(PRESETS["default"](), confirm_hits=3)
    frames = [found([box(100, 100)])] + [found([box(100, 100), box(300, 200)])] * 3
    assert [t.ids.tolist() for t in follow(frames, config)] == [[1], [1], [1], [1, 2]]
    flicker = [found([box(100, 100)]), found([box(100, 100), box(300, 200)]), *[found([box(100, 100)])] * 3]
    assert all(t.ids.tolist() == [1] for t in follow(flicker, config))


def test_low_scores_continue_a_track_and_begin_none():
    frames = [found([box(100 + 3 * t, 100)], 0.9 if t < 5 else 0.3) for t in range(15)]
    assert {whose(t, 0) for t in follow(frames)} == {1}
    assert all(len(t) == 0 for t in follow([found([box(100, 100)], 0.3)] * 5))


def test_a_track_survives_a_gap_and_ends_when_it_is_too_long():
    config = PRESETS["default"]()

    def ids_after(gap: int) -> list[int]:
        before = [found([box(100 + 4 * t, 100)]) for t in range(10)]
        after = [found([box(100 + 4 * (10 + gap + t), 100)]) for t in range(4)]
        return follow([*before, *[found([])] * gap, *after], config)[-1].ids.tolist()

    assert ids_after(8) == [1]
    assert ids_after(config.max_lost + 5) == [2]


def test_predicted_boxes_are_marked_and_end():
    config = replace(PRESETS["default"](), coast=2)
    seen = follow([*[found([box(100 + 5 * t, 100)]) for t in range(8)], *[found([])] * 5], config)
    assert [t.detections.tolist() for t in seen[7:]] == [[0], [-1], [-1], [], [], []]
    assert seen[9].boxes[0].mean() > seen[7].boxes[0].mean()


def hidden_meeting(embeddings: bool) -> list[Tracks]:
    """Two walk towards each other, are hidden, turn round and come out on the side they went in."""
    frames = []
    for t in range(60):
        left, right = (200 + 5 * t, 440 - 5 * t) if t < 30 else (200 + 5 * (60 - t), 440 - 5 * (60 - t))
        boxes = [box(left, 200), box(right, 200)]
        looks = [RED, BLUE]
        if 18 <= t < 42:
            boxes, looks = [], []
        frames.append(found(boxes, embeddings=np.reshape(looks, (-1, 3)) if embeddings else None))
    return follow(frames)


def test_looks_bring_back_the_right_identity_after_hiding():
    seen = hidden_meeting(embeddings=True)
    assert [whose(seen[-1], i) for i in (0, 1)] == [whose(seen[0], i) for i in (0, 1)]
    blind = hidden_meeting(embeddings=False)
    assert [whose(blind[-1], i) for i in (0, 1)] != [1, 2]


def test_a_thing_that_looks_like_another_is_not_taken_for_it():
    frames = [found([box(100 + 2 * t, 200)], embeddings=[RED]) for t in range(20)]
    frames += [found([], embeddings=np.zeros((0, 3)))] * 10
    frames += [found([box(185 + 2 * t, 200)], embeddings=[BLUE]) for t in range(4)]
    assert 1 not in follow(frames)[-1].ids


def test_a_jolting_camera_is_taken_out():
    scene = texture(0, 480, 1200)
    left = np.random.default_rng(3).integers(100, 300, 25)
    frames = [scene[:, x : x + 640] for x in left]
    shown = [found([box(560 - x, 200, 30, 40), box(640 - x, 330, 30, 40)]) for x in left]

    def identities(config: TrackerConfig, images: bool) -> set[int]:
        tracker = Tracker(config)
        pairs = zip(shown, frames, strict=True)
        return {int(i) for d, f in pairs for i in tracker.update(d, f if images else None).ids}

    still = PRESETS["fixed-camera"]()
    assert identities(PRESETS["default"](), images=True) == {1, 2}
    assert identities(still, images=True) == identities(still, images=False) != {1, 2}


def test_a_camera_that_shows_nothing_to_follow_counts_as_still():
    black = np.zeros((480, 640, 3), np.uint8)
    tracker = Tracker()
    seen = [tracker.update(found([box(100 + 2 * t, 100)]), black) for t in range(5)]
    assert [t.ids.tolist() for t in seen] == [[1]] * 5


def test_bad_detections_are_left_out_and_counted():
    nan, inf = float("nan"), float("inf")
    boxes = [
        box(100, 100),
        [nan, 0, 10, 10],
        [0, 0, inf, 10],
        [900, 10, 950, 60],
        [50, 50, 50.2, 90],
        [60, 50, 40, 90],
        [-20, 300, 40, 380],
    ]
    tracker = Tracker(size=(480, 640))
    tracks = tracker.update(found([*boxes, box(300, 300)], [*[0.9] * 7, nan]))
    assert tracks.detections.tolist() == [0, 6]
    assert tracks.boxes[1].tolist() == pytest.approx([0, 300, 40, 380])
    assert tracker.refused.counts() == {"not_finite": 3, "outside": 1, "too_small": 2, "clipped": 1}


def test_ten_thousand_detections_are_bounded_and_said(caplog: pytest.LogCaptureFixture):
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 3000, (10_000, 2))
    many = found(np.concatenate([low, low + 20], axis=1), rng.uniform(0.7, 1, 10_000))
    config = replace(PRESETS["default"](), max_detections=200)
    tracker = Tracker(config, (4000, 4000))
    with caplog.at_level(logging.WARNING):
        tracks = [tracker.update(many) for _ in range(3)][-1]
    assert 0 < len(tracks) <= 200
    assert tracker.refused.over_limit == 3 * 9_800
    assert len([r for r in caplog.records if "max_detections" in r.message]) == 1
    best = np.argsort(-many.scores, kind="stable")[:200]
    assert set(tracks.detections.tolist()) <= set(best.tolist())


def test_frames_that_change_in_size_are_an_error():
    tracker = Tracker()
    tracker.update(found([box(50, 50)]), np.zeros((480, 640, 3), np.uint8))
    with pytest.raises(DataError, match="size of frames changes") as caught:
        tracker.update(found([box(50, 50)]), np.zeros((240, 320, 3), np.uint8))
    assert (caught.value.expected, caught.value.got) == ("640×480 pixels", "320×240")
    tracker.reset()
    assert len(tracker.update(found([box(50, 50)]), np.zeros((240, 320, 3), np.uint8))) == 1


def test_embeddings_that_change_in_width_are_an_error():
    tracker = Tracker()
    tracker.update(found([box(50, 50)], embeddings=[RED]))
    with pytest.raises(DataError, match="width of embeddings"):
        tracker.update(found([box(50, 50)], embeddings=[[1.0, 0.0]]))


def test_embeddings_of_nan_match_by_overlap():
    frames = [found([box(100, 100)], embeddings=[[float("nan")] * 3 if t == 3 else RED]) for t in range(6)]
    assert [t.ids.tolist() for t in follow(frames)] == [[1]] * 6


def test_no_detection_at_all_is_fine():
    assert [len(t) for t in follow([found([])] * 3)] == [0, 0, 0]
    assert Tracker().update(Detections.empty(("cup",))).class_names == ("cup",)


@pytest.mark.parametrize(
    "wrong", [{"low_score": 0.8}, {"new_score": 0.2}, {"confirm_hits": 0}, {"max_detections": 0}]
)
def test_settings_that_contradict_each_other(wrong: dict[str, float]):
    with pytest.raises(ConfigError):
        replace(PRESETS["default"](), **wrong)


def test_arrays_of_different_lengths_are_no_frame(unchecked_shapes: None):
    with pytest.raises(DataError, match="belong together"):
        Detections(np.zeros((2, 4), np.float32), np.zeros(3, np.float32), np.zeros(2, np.int64))
