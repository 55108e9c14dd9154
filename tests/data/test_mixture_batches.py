"""Batches of a mixture: arrays and masks that say what the samples say, in stripes for workers."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.mixtures import OTHER, SIZES, Numbered, lengths, mix

from vla_data.errors import ConfigError, DataError
from vla_data.mixture import DatasetShare, Mixture, MixtureBatches, MixtureConfig, WindowConfig, mixture_norms
from vla_data.mixture.batches import Batch, resize
from vla_data.mixture.index import index_episodes
from vla_data.normalize import Normalizer
from vla_data.types import ArrayImages

A = Numbered("a", lengths(1, 20))
LEGS = Numbered("legs", lengths(2, 7), robot=OTHER, cameras=("wrist",))


def equal(a: Batch, b: Batch) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


@settings(max_examples=15)
@given(st.integers(1, 9), st.sampled_from([1, 2, 4, 8, 16, 32]), st.integers(0, 3))
def test_batches_take_every_position_once(size: int, stripes: int, block: int):
    batches = MixtureBatches(mix(A), size, stripes=stripes)
    numbers = range(block * stripes, (block + 1) * stripes)
    taken = sorted(p for j in numbers for p in batches.positions(j))
    assert taken == list(range(block * stripes * size, (block + 1) * stripes * size))
    assert all(p % stripes == j % stripes for j in numbers for p in batches.positions(j))


def test_a_batch_holds_what_its_samples_hold():
    mixture = mix(A, LEGS, history=2, action_horizon=4, embedding="union", image_size=(12, 16))
    batch = MixtureBatches(mixture, 24)[1]
    assert {k: v.shape[1:] for k, v in batch.items() if k != "instruction"} == {
        "action": (4, 5),
        "action_mask": (4, 5),
        "state": (2, 3),
        "state_mask": (3,),
        "history_mask": (2,),
        "dataset": (),
        "position": (),
        **{f"image/{role}": (2, 12, 16, 3) for role in SIZES},
        **{f"image_mask/{role}": (2,) for role in SIZES},
    }
    assert set(batch["dataset"]) == {0, 1}
    for row, position in enumerate(batch["position"]):
        sample = mixture[position]
        places = mixture.action_columns.places[sample.dataset]
        inside = sample.action_mask
        filled = batch["action"][row][np.ix_(inside, places)]
        np.testing.assert_array_equal(filled, sample.chunk.actions[inside])
        np.testing.assert_array_equal(
            batch["action_mask"][row], inside[:, None] & np.isin(np.arange(5), places)
        )
        assert (batch["action"][row][~batch["action_mask"][row]] == 0).all()
        assert (batch["state"][row][:, ~batch["state_mask"][row]] == 0).all()
        assert batch["instruction"][row] == sample.window.latest.instruction
        assert batch["image_mask/primary"][row].all() == (sample.dataset == 0)
        assert batch["image_mask/wrist"][row].all()
        if sample.dataset == 0:
            seen = np.stack([o.images["primary"] for o in sample.window.observations])
            np.testing.assert_array_equal(batch["image/primary"][row], seen)
        else:
            assert not batch["image/primary"][row].any()


def test_numbers_are_normalised_by_their_own_data_set():
    mixture = mix(A, Numbered("b", (90,) * 3), action_horizon=2)
    norms = mixture_norms(mixture)
    plain, normed = MixtureBatches(mixture, 32)[0], MixtureBatches(mixture, 32, norms=norms, mode="minmax")[0]
    for row, d in enumerate(plain["dataset"]):
        expected = Normalizer(norms[d].action, "minmax").normalize(plain["action"][row])
        mask = plain["action_mask"][row]
        np.testing.assert_array_equal(normed["action"][row][mask], expected[mask])
        assert (normed["action"][row][~mask] == 0).all()
    assert np.abs(normed["state"]).max() <= 1


def test_black_frames_are_masked():
    black = ArrayImages(np.zeros((5, 12, 16, 3), np.uint8))
    images = {"primary": black, "wrist": ArrayImages(np.ones((5, 8, 8, 3), np.uint8))}
    batch = MixtureBatches(mix(Numbered("dark", (5,), changes={"images": images})), 4)[0]
    assert not batch["image_mask/primary"].any()
    assert batch["image_mask/wrist"].all()


@dataclass(frozen=True, eq=False)
class Torn:
    """Frames of which some cannot be decoded."""

    frames: np.ndarray

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> np.ndarray:
        if index % 2:
            raise DataError("a frame is damaged", where=f"frame {index}")
        return self.frames[index]


@pytest.mark.usefixtures("unchecked_shapes")  # the checker would look at the damaged frame itself
def test_frames_that_cannot_be_decoded_are_told_or_masked_and_counted():
    torn = Numbered("torn", (6,), changes={"images": {"primary": Torn(np.ones((6, 4, 4, 3), np.uint8))}})
    strict = MixtureBatches(mix(torn, cameras=("primary",)), 6, stripes=1)
    with pytest.raises(DataError, match="a frame is damaged"):
        strict[0]
    config = MixtureConfig((DatasetShare("x", skip=True),), WindowConfig())
    kind = MixtureBatches(Mixture(config, [torn], [index_episodes(torn)]), 6, stripes=1)
    assert kind[0]["image_mask/primary"].sum() == 3
    assert kind.masked == 3


def test_sizes_must_be_one_or_named():
    with pytest.raises(ConfigError, match="no one size") as caught:
        MixtureBatches(mix(A, cameras=("front",)), 4)
    assert "no such camera" in str(caught.value.got)
    larger = {r: ArrayImages(np.ones((5, 2 * h, 2 * w, 3), np.uint8)) for r, (h, w) in SIZES.items()}
    other = Numbered("large", (5,), changes={"images": larger})
    with pytest.raises(ConfigError, match="no one size"):
        MixtureBatches(mix(A, other), 4)
    batch = MixtureBatches(mix(A, other, image_size=(6, 8)), 4)[0]
    assert batch["image/primary"].shape == (4, 1, 6, 8, 3)


def test_resizing_averages_what_it_leaves_out():
    image = np.zeros((8, 8, 3), np.uint8)
    image[::2] = 200
    small = resize(image, (2, 2))
    assert small.shape == (2, 2, 3)
    assert abs(int(small[0, 0, 0]) - 100) < 10


def test_batches_are_the_same_in_any_order_and_process():
    batches = MixtureBatches(mix(A), 5, norms=mixture_norms(mix(A)))
    forward = [batches[j] for j in range(6)]
    again = pickle.loads(pickle.dumps(batches))
    assert again.digest == batches.digest
    for j in (5, 0, 3):
        assert equal(again[j], forward[j])


def test_digests_tell_streams_apart():
    mixture = mix(A)
    digests = {
        MixtureBatches(mixture, 4).digest,
        MixtureBatches(mixture, 5).digest,
        MixtureBatches(mixture, 4, stripes=1).digest,
        MixtureBatches(mixture, 4, norms=mixture_norms(mixture)).digest,
        MixtureBatches(mix(A, seed=1), 4).digest,
        MixtureBatches(mix(replace(A, lengths=(*A.lengths[:-1], 50))), 4).digest,
    }
    assert len(digests) == 6


def test_what_makes_no_sense_is_refused():
    mixture = mix(A)
    for cut in ({"stripes": 5}, {"norms": []}):
        with pytest.raises(ConfigError):
            MixtureBatches(mixture, 4, **cut)  # type: ignore[arg-type]
    with pytest.raises(ConfigError):
        MixtureBatches(mixture, 0)
    with pytest.raises(IndexError):
        MixtureBatches(mixture, 4)[-1]
    with pytest.raises(IndexError):
        mixture[-1]
