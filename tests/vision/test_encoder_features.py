"""Features of frames: units and frames are right, identities keep their rows, what is missing is 0."""

import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.vision.encoder_cases import (
    CLASSES,
    blocks,
    percept,
    seen_episode,
    small_features,
    tracks,
    velocities,
)
from tests.vision.labelled import FAR, FOCAL, HEIGHT, POSE, WIDTH

from vla_data.config import from_dict, to_dict
from vla_data.errors import ConfigError, DataError
from vla_data.objects import in_camera
from vla_vision.encoder.channels import dense_depth, dense_flow, dense_rgb
from vla_vision.encoder.config import PRESETS, EncoderConfig, FeatureConfig
from vla_vision.encoder.extractor import FeatureExtractor, short_look
from vla_vision.encoder.features import from_arrays, stack
from vla_vision.encoder.slots import Slots
from vla_vision.encoder.truth import class_truth
from vla_vision.perception.config import PRESETS as LOOPS
from vla_vision.perception.sight import Sight, SightConfig
from vla_vision.types import DepthMap, Detections

SIZES = st.integers(3, 40)


def test_features_are_made_without_torch():
    code = (
        "import sys; from vla_vision.encoder import FeatureExtractor, EncoderConfig, "
        "FeatureStore, extract_features; from vla_vision.perception import SightConfig; "
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@given(
    box=st.tuples(*[st.floats(-50, 300) for _ in range(4)]),
    size=st.tuples(st.integers(8, 300), st.integers(8, 300)),
)
def test_boxes_go_round_as_shares_of_the_frame(box: tuple[float, ...], size: tuple[int, int]):
    height, width = size
    found = tracks([1], np.array([box], np.float32))
    frame = percept(1, found, image=np.zeros((height, width, 3), np.uint8))
    row = FeatureExtractor(small_features()).update(frame).objects
    np.testing.assert_allclose(row.boxes[0] * [width, height, width, height], box, atol=1e-3)


@given(rate=st.floats(1, 200), speed=st.floats(-30, 30))
def test_motion_and_flow_are_frame_widths_a_second_whatever_the_rate(rate: float, speed: float):
    extractor = FeatureExtractor(small_features())
    moving = replace(tracks([1]), velocities=np.array([[speed, 0]], np.float32))
    flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
    flow[..., 1] = speed
    first = extractor.update(percept(1, moving, rate, flow=flow))
    assert not first.flow_known
    assert not first.flow.any()
    assert not first.objects.motion.any()
    second = extractor.update(percept(2, moving, rate, flow=flow))
    assert second.flow_known
    np.testing.assert_allclose(second.objects.motion[0], [speed * rate / WIDTH, 0], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(second.flow[..., 1], speed * rate / HEIGHT, rtol=3e-3, atol=1e-3)


@given(height=SIZES, width=SIZES, new=st.tuples(SIZES, SIZES), value=st.floats(0.1, 15))
def test_dense_channels_keep_what_is_the_same_everywhere(
    height: int, width: int, new: tuple[int, int], value: float
):
    level = int(value * 10)
    rgb = dense_rgb(np.full((height, width, 3), level, np.uint8), *new)
    assert rgb.shape == (*new, 3)
    assert (rgb == level).all()
    depth = dense_depth(DepthMap(np.full((height, width), value, np.float32), "metric"), *new, 20.0)
    np.testing.assert_allclose(depth, value, rtol=1e-3)
    flow = dense_flow(np.full((height, width, 2), value, np.float32), 0.5, *new)
    np.testing.assert_allclose(flow[..., 0], 2 * value / width, rtol=2e-3)
    np.testing.assert_allclose(flow[..., 1], 2 * value / height, rtol=2e-3)


def test_depth_is_not_mixed_across_an_edge_and_unknown_is_zero():
    values = np.full((10, 10), 1.0, np.float32)
    values[:, 5:] = 9.0
    values[0, :5] = [0, -1, np.nan, np.inf, 25]
    depth = dense_depth(DepthMap(values, "metric"), 10, 10, 20.0)
    assert set(np.unique(depth).tolist()) == {0.0, 1.0, 9.0}
    assert (depth[0, :5] == 0).all()
    assert not dense_depth(DepthMap(values, "relative"), 4, 4, 20.0).any()
    assert not dense_depth(None, 4, 4, 20.0).any()


def test_flow_that_is_not_finite_or_too_fast_does_no_harm():
    flow = np.full((8, 8, 2), 1e9, np.float32)
    flow[0] = np.nan
    assert np.isfinite(dense_flow(flow, 1e-3, 8, 8)).all()


def test_an_identity_keeps_its_row_through_a_gap_and_no_one_takes_it():
    slots = Slots(3, hold=1.0)
    score = np.array([0.9, 0.8], np.float32)
    assert slots.assign(0.0, np.array([7, 8]), score).tolist() == [0, 1]
    assert slots.assign(0.5, np.array([8]), score[:1]).tolist() == [1]
    assert slots.assign(0.9, np.array([9, 8]), score).tolist() == [2, 1]
    assert slots.assign(1.0, np.array([8, 7]), score).tolist() == [1, 0]
    assert slots.assign(2.5, np.array([4]), score[:1]).tolist() == [0]  # all others were away for too long
    slots.reset()
    assert slots.assign(0.0, np.array([5]), score[:1]).tolist() == [0]


def test_scarce_rows_go_to_the_best_and_to_those_in_sight():
    slots = Slots(2, hold=10.0)
    three = np.array([0.2, 0.9, 0.8], np.float32)
    assert slots.assign(0.0, np.array([1, 2, 3]), three).tolist() == [-1, 0, 1]
    assert slots.assign(0.1, np.array([1, 3]), three[:2]).tolist() == [0, 1]  # 2 is away: its row is taken
    assert slots.assign(0.2, np.array([1, 2, 3]), three).tolist() == [0, -1, 1]


@given(seed=st.integers(0, 10_000))
def test_a_row_never_holds_two_and_a_seen_identity_never_moves(seed: int):
    rng = np.random.default_rng(seed)
    slots, before = Slots(4, hold=0.5), {}
    for step in range(40):
        ids = np.sort(rng.permutation(8)[: rng.integers(0, 7)]) + 1
        rows = slots.assign(step * 0.1, ids, rng.random(len(ids)).astype(np.float32))
        used = rows[rows >= 0].tolist()
        assert len(set(used)) == len(used)
        assert (rows >= 0).sum() >= min(len(ids), 4)
        now = dict(zip(ids.tolist(), rows.tolist(), strict=True))
        for ident in now.keys() & before.keys():
            if before[ident] >= 0:
                assert now[ident] == before[ident]
        before = now


def test_rows_follow_the_tracks_and_a_gap_leaves_the_row_empty():
    extractor = FeatureExtractor(small_features())
    frames = [extractor.update(percept(i + 1, tracks(ids))) for i, ids in enumerate(([3, 5], [5], [5, 3]))]
    clip = stack(frames).objects
    assert clip.ids.tolist() == [[3, 5, 0, 0], [0, 5, 0, 0], [3, 5, 0, 0]]
    assert clip.valid.tolist() == [
        [True, True, False, False],
        [False, True, False, False],
        [True, True, False, False],
    ]
    assert clip.slots.tolist() == [[0, 1, 2, 3]] * 3
    assert clip.kinds[0].tolist() == [0, 2, 0, 0]
    assert not clip.boxes[1, 0].any()


def test_objects_without_a_row_are_counted():
    extractor = FeatureExtractor(small_features())
    table = extractor.update(percept(1, tracks([1, 2, 3, 4, 5, 6]))).objects
    assert table.valid.all()
    assert extractor.left_out == 2


def test_classes_are_matched_by_name():
    names = ("mug", "spoon", "gripper")
    table = FeatureExtractor(small_features()).update(percept(1, tracks([0, 1, 2], names=names))).objects
    assert table.kinds[:3].tolist() == [CLASSES.index("mug"), len(CLASSES), CLASSES.index("gripper")]


def test_places_in_the_camera_and_in_the_world():
    pose = np.array(POSE)
    extractor = FeatureExtractor(small_features())
    world = velocities([1, 2], "world")
    world.covariances[:, 0, 0] = 0.5**2  # uncertain along the world's x
    frame = extractor.update(percept(1, tracks([1, 2, 3]), velocities=world, pose=pose))
    table = frame.objects
    assert frame.in_world
    assert table.placed.tolist() == [True, True, False, False]
    np.testing.assert_allclose(table.world_position[:2], world.positions, rtol=1e-6)
    back = table.position[:2] @ pose[:3, :3].T + pose[:3, 3]
    np.testing.assert_allclose(back, world.positions, atol=1e-6)
    np.testing.assert_allclose(table.velocity[:2] @ pose[:3, :3].T, world.velocities, atol=1e-6)
    np.testing.assert_allclose(table.world_position_std[0], [0.5, 0.02, 0.02], rtol=1e-5)
    np.testing.assert_allclose(table.position_std[0], [0.5, 0.02, 0.02], rtol=1e-5)  # its x is the world's
    own = FeatureExtractor(small_features()).update(percept(1, tracks([1, 2]), velocities=velocities([1, 2])))
    assert not own.in_world
    assert not own.objects.world_position.any()
    np.testing.assert_allclose(own.objects.position[:2], world.positions, rtol=1e-6)


def test_looks_last_through_a_gap_and_keep_their_angles():
    rng = np.random.default_rng(0)
    looks = rng.normal(size=(2, 300)).astype(np.float32)
    looks /= np.linalg.norm(looks, axis=1, keepdims=True)
    boxes = tracks([1, 2]).boxes
    found = Detections(boxes, np.ones(2, np.float32), np.zeros(2, np.int64), CLASSES, None, looks)
    extractor = FeatureExtractor(small_features())
    first = extractor.update(percept(1, tracks([1, 2]), detections=found)).objects
    coasting = extractor.update(percept(2, tracks([1, 2], seen=False))).objects
    assert not coasting.seen.any()
    np.testing.assert_array_equal(first.looks, coasting.looks)
    long = np.stack([short_look(look, 2048) for look in looks]).astype(np.float32)
    np.testing.assert_allclose(long @ long.T, looks @ looks.T, atol=0.08)
    np.testing.assert_array_equal(short_look(looks[0], 300), looks[0].astype(np.float16))


def test_missing_depth_is_zero_everywhere():
    extractor = FeatureExtractor(small_features())
    relative = DepthMap(np.ones((HEIGHT, WIDTH), np.float32), "relative")
    frames = [
        percept(1, tracks([1]), depth=None, depths=None),
        percept(2, tracks([1]), depth=relative, depths=np.array([0.7])),
        percept(3, tracks([1]), depths=np.array([np.nan])),
    ]
    for frame in frames:
        features = extractor.update(frame)
        assert features.objects.depths[0] == 0
        assert bool(features.depth.any()) == (frame.index == 3)


def test_time_must_go_on_and_a_picture_be_there():
    extractor = FeatureExtractor(small_features())
    extractor.update(percept(2, tracks([1])))
    for bad in (
        percept(1, tracks([1])),
        percept(3, tracks([1]), image=None),
        percept(3, tracks([1]), time=np.nan),
    ):
        with pytest.raises(DataError, match="cannot be turned into features"):
            extractor.update(bad)
    extractor.reset()
    assert extractor.update(percept(1, tracks([1]))).time == 0


def test_features_travel():
    features = FeatureExtractor(small_features()).update(percept(1, tracks([1, 2])))
    again = pickle.loads(pickle.dumps(features))
    for name, array in features.arrays().items():
        np.testing.assert_array_equal(array, again.arrays()[name])
    arrays = features.arrays()
    del arrays["objects.looks"]
    with pytest.raises(DataError, match=r"objects\.looks"):
        from_arrays(arrays)
    clip = stack([features, features, features])
    assert clip[1:].rgb.shape == (2, 32, 32, 3)
    assert clip.fits(small_features())
    assert not clip.fits(small_features(rows=5))


def test_an_episode_is_seen_as_it_is():
    """Boxes of the labels, tracked, lifted by the true depth: where the simulator says they are."""
    episode = seen_episode()
    calm = LOOPS["default"]()  # the blocks move in whole pixels, which is noise
    sight = Sight(SightConfig(detector="labels", look="none", loop=calm), CLASSES)
    extractor = FeatureExtractor(small_features())
    frames = [extractor.update(percept) for percept in sight.look(sight.source(episode, "front"))]
    clip, position = stack(frames), in_camera(episode, "front")[0]
    assert clip.in_world.all()
    np.testing.assert_allclose(clip.depth, FAR, rtol=1e-3)
    truth = class_truth(episode, "front", CLASSES)
    assert truth is not None
    for kind, row in (("gripper", 0), ("mug", 1), ("block", 2)):
        k = CLASSES.index(kind)
        rows = clip.objects.valid[-1] & (clip.objects.kinds[-1] == k)
        assert rows.sum() == 1, kind
        np.testing.assert_allclose(clip.objects.position[-1][rows][0], position[-1, row], atol=0.02)
        np.testing.assert_allclose(truth.position[-1, k], position[-1, row], atol=1e-6)
    moving = clip.objects.kinds[-1] == CLASSES.index("gripper")
    expected = FAR / FOCAL * episode.robot.action.control_hz
    np.testing.assert_allclose(
        clip.objects.velocity[-1][moving & clip.objects.valid[-1]][0], [expected, expected / 2, 0], atol=0.1
    )


def test_depth_comes_from_where_it_was_asked_for():
    with_depth, without = seen_episode(), seen_episode(depth=False)
    for choice, episode, known in (
        (None, with_depth, True),
        (None, without, False),
        ("none", with_depth, False),
        ("sensor", with_depth, True),
    ):
        sight = Sight(SightConfig(depth=choice))
        seen = next(iter(sight.look(sight.source(episode, "front"))))
        first = FeatureExtractor(small_features()).update(seen)
        assert bool(first.depth.any()) == known, choice
        assert not first.objects.valid.any()  # nobody looks for objects
    with pytest.raises(ConfigError, match="no depth"):
        Sight(SightConfig(depth="sensor")).source(without, "front")


def test_truth_names_the_object_of_which_most_is_seen():
    source = blocks(1)
    truth = class_truth(source[0], "front", ("mug", "spoon"))
    assert truth is not None
    assert truth.visible[:, 0].all()
    assert not truth.visible[:, 1].any()
    assert class_truth(source[0], "back", ("mug",)) is None


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_travel_through_json(name: str):
    config = PRESETS[name]()
    assert from_dict(EncoderConfig, to_dict(config)) == config
    assert config.tokens_per_frame == config.features.rows + config.patch_tokens


@pytest.mark.parametrize(
    "wrong",
    [
        {"cell": 12},
        {"cell": 64, "features": FeatureConfig(height=96, width=64)},
        {"dim": 40, "heads": 3},
        {"channels": ()},
        {"channels": ("rgb", "rgb")},
        {"history": 0},
    ],
)
def test_encoders_that_cannot_be_built_are_refused(wrong: dict[str, object]):
    with pytest.raises(ConfigError, match="cannot be built"):
        EncoderConfig(**wrong)  # type: ignore[arg-type]


def test_frames_that_cannot_be_kept_are_refused():
    for wrong in ({"rows": 0}, {"hold": 0.0}, {"max_depth": float("nan")}, {"class_names": ("a", "a")}):
        with pytest.raises(ConfigError, match="cannot be kept"):
            FeatureConfig(**wrong)  # type: ignore[arg-type]
