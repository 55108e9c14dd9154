"""The encoder as a network: gradients reach everything, rows are equals, what is missing does no harm."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.data.episodes import ROBOT
from tests.vision.encoder_cases import small_encoder, small_features

from vla_data.errors import CheckpointError
from vla_data.files import read_json, write_json
from vla_data.runs import make_manifest
from vla_vision.encoder.checkpoint import (
    CONFIG,
    WEIGHTS,
    EncoderRecord,
    load_encoder,
    require_same_features,
    save_encoder,
)
from vla_vision.encoder.fake import fake_features
from vla_vision.encoder.inputs import row_inputs, row_width, squash
from vla_vision.encoder.patch_encoder import TokenLearner
from vla_vision.encoder.stream import TokenStream
from vla_vision.encoder.tokens import NO_SLOT, to_batch
from vla_vision.encoder.video_encoder import VideoEncoder
from vla_vision.perception.sight import SightConfig

PARTS = ("objects", "patches", "both")


def encoder_of(**changes: object) -> VideoEncoder:
    torch.manual_seed(0)
    return VideoEncoder(small_encoder(**changes)).eval()


def batch_of(encoder: VideoEncoder, size: int = 3, seed: int = 0) -> dict[str, torch.Tensor]:
    return to_batch(fake_features(encoder.config.features, (size, encoder.config.history), seed))


@pytest.mark.parametrize("parts", PARTS)
@pytest.mark.parametrize("history", [1, 3])
def test_shapes_masks_and_identities(parts: str, history: int):
    encoder = encoder_of(parts=parts, history=history)
    batch = batch_of(encoder)
    tokens = encoder(batch)
    rows, learnt = 4 * (parts != "patches"), 4 * (parts != "objects")
    assert tokens.values.shape == (3, rows + learnt, 32)
    assert encoder.tokens_per_frame == rows + learnt
    valid = batch["objects.valid"][:, -1]
    if rows:
        torch.testing.assert_close(tokens.mask[:, :rows], valid)
        expected = torch.where(valid, batch["objects.slots"][:, -1], NO_SLOT)
        torch.testing.assert_close(tokens.slots[:, :rows], expected)
    assert tokens.mask[:, rows:].all()
    assert (tokens.slots[:, rows:] == NO_SLOT).all()
    assert not tokens.values[~tokens.mask].any()


@pytest.mark.parametrize("parts", PARTS)
def test_gradients_reach_every_parameter(parts: str):
    encoder = encoder_of(parts=parts, history=2).train()
    values = encoder(batch_of(encoder, 8)).values
    (values * torch.randn_like(values)).sum().backward()
    idle = [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert idle == []


@given(seed=st.integers(0, 1000))
def test_swapping_rows_swaps_tokens(seed: int):
    encoder = encoder_of()
    batch = batch_of(encoder, 2, seed)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(4))
    swapped = {n: a[:, :, order] if n.startswith("objects.") else a for n, a in batch.items()}
    with torch.no_grad():
        one, two = encoder(batch), encoder(swapped)
    torch.testing.assert_close(one.values[:, :4][:, order], two.values[:, :4])
    torch.testing.assert_close(one.slots[:, :4][:, order], two.slots[:, :4])
    torch.testing.assert_close(one.values[:, 4:], two.values[:, 4:])


def test_what_an_empty_row_holds_changes_nothing():
    encoder = encoder_of()
    batch = batch_of(encoder)
    empty = ~batch["objects.valid"]
    spoiled = {}
    for name, a in batch.items():
        if name.startswith("objects.") and name != "objects.valid":
            bad = float("nan") if a.is_floating_point() else 77
            where = empty.reshape(*empty.shape, *[1] * (a.dim() - 3))
            a = a.masked_fill(where, True if a.dtype == torch.bool else bad)
        spoiled[name] = a
    for one, two in zip(encoder(batch).values, encoder(spoiled).values, strict=True):
        torch.testing.assert_close(one, two)
        assert torch.isfinite(two).all()


@pytest.mark.parametrize("history", [1, 2])
def test_missing_depth_and_flow_give_other_but_finite_tokens(history: int):
    encoder = encoder_of(history=history)
    batch = batch_of(encoder)
    whole = encoder(batch).values
    for name in ("depth", "flow_known"):
        tokens = encoder(batch | {name: torch.zeros_like(batch[name])})
        assert torch.isfinite(tokens.values).all()
        assert not torch.allclose(tokens.values, whole)
        tokens.values.sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in encoder.parameters() if p.grad is not None)
    hole = batch["depth"].clone()
    hole[..., :5] = torch.tensor([float("nan"), float("inf"), -1.0, 0.0, -float("inf")]).half()
    zeros = batch["depth"].clone()
    zeros[..., :5] = 0
    torch.testing.assert_close(
        encoder(batch | {"depth": hole}).values, encoder(batch | {"depth": zeros}).values
    )
    unknown = batch | {"flow_known": torch.zeros_like(batch["flow_known"])}
    spoiled = unknown | {"flow": torch.full_like(batch["flow"], float("nan"))}
    torch.testing.assert_close(encoder(unknown).values, encoder(spoiled).values)


@pytest.mark.parametrize("channels", [("rgb",), ("depth",), ("flow",), ("rgb", "depth"), ("rgb", "flow")])
def test_a_channel_that_is_switched_off_is_not_seen(channels: tuple[str, ...]):
    encoder = encoder_of(channels=channels, parts="patches")
    batch, other = batch_of(encoder), batch_of(encoder, seed=1)
    assert encoder.patches is not None
    assert set(encoder.patches.stems) == set(channels)
    whole = encoder(batch).values
    for name, arrays in {"rgb": ("rgb",), "depth": ("depth",), "flow": ("flow", "flow_known")}.items():
        changed = encoder(batch | {n: other[n] for n in arrays}).values
        assert torch.equal(changed, whole) == (name not in channels), name


def test_identity_tells_two_equal_objects_apart():
    encoder = encoder_of(parts="objects")
    batch = batch_of(encoder)
    for name in [n for n in batch if n.startswith("objects.")]:
        batch[name] = batch[name][:, :, :1].expand_as(batch[name]).contiguous()
    batch["objects.valid"] = torch.ones_like(batch["objects.valid"])
    batch["objects.slots"] = torch.arange(4).expand_as(batch["objects.slots"]).contiguous()
    values = encoder(batch).values[0].detach()
    assert min(float((values[i] - values[j]).norm()) for i in range(4) for j in range(i)) > 0.01


def test_patch_tokens_do_not_depend_on_objects_nor_on_the_batch():
    encoder = encoder_of()
    batch, other = batch_of(encoder, 4), batch_of(encoder, 4, seed=1)
    with torch.no_grad():
        tokens = encoder(batch).values
        changed = encoder(batch | {n: a for n, a in other.items() if n.startswith("objects.")}).values
        alone = encoder({n: a[2:3] for n, a in batch.items()}).values
    torch.testing.assert_close(tokens[:, 4:], changed[:, 4:])
    torch.testing.assert_close(tokens[2:3], alone, atol=1e-5, rtol=1e-4)


def test_attention_sums_to_one_and_finds_what_it_is_told_to_look_for():
    learner = TokenLearner(16, 3)
    x = torch.randn(2, 10, 16)
    tokens, attention = learner(x)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 3))
    torch.testing.assert_close(tokens, torch.einsum("bsp,bpd->bsd", attention, x))
    encoder = encoder_of(history=2)
    looked = encoder.attention(batch_of(encoder))
    assert looked is not None
    assert looked.shape == (3, 4, 2, 4, 4)
    torch.testing.assert_close(looked.sum((2, 3, 4)), torch.ones(3, 4))
    assert encoder_of(parts="objects").attention({}) is None


def test_squashing_is_linear_near_zero_and_monotonic():
    x = torch.linspace(-50, 50, 1001)
    assert (squash(x, 0.5).diff() > 0).all()
    torch.testing.assert_close(squash(torch.tensor([1e-3]), 0.5), torch.tensor([5e-4]), rtol=1e-4, atol=0)
    assert torch.isfinite(squash(torch.tensor([float("nan"), float("inf")]), 4.0)).all()


def test_row_inputs_have_the_width_they_say():
    features = fake_features(small_features(), (2, 1))
    assert row_inputs(to_batch(features)).shape == (2, 1, 4, row_width(8))


def test_what_a_policy_needs_to_see():
    encoder = encoder_of(history=3)
    spec = encoder.input_spec(ROBOT, ("front", "wrist"), 8, size=(240, 320))
    assert [(c.name, c.height, c.width) for c in spec.cameras] == [("front", 240, 320), ("wrist", 240, 320)]
    window = spec.fake_window()
    assert len(window.observations) == 3
    assert window.latest.images["front"].shape == (240, 320, 3)


def test_a_stream_gives_what_a_batch_gives_and_repeats_the_first_frame():
    encoder = encoder_of(history=3)
    clip = fake_features(encoder.config.features, (5,))
    stream = TokenStream(encoder)
    streamed = [stream.update(clip[t]) for t in range(5)]
    windows = np.maximum(np.arange(5)[:, None] - [2, 1, 0], 0)
    with torch.no_grad():
        together = encoder(to_batch(clip[windows]))
    torch.testing.assert_close(torch.cat([s.values for s in streamed]), together.values, atol=1e-5, rtol=1e-4)
    stream.reset()
    torch.testing.assert_close(stream.update(clip[0]).values, streamed[0].values)
    with pytest.raises(CheckpointError, match="not of the encoder's size"):
        stream.update(fake_features(small_features(rows=5)))


RECORD = EncoderRecord(small_encoder(), SightConfig(detector="runs/detector"), ("blocks",))


def test_a_checkpoint_comes_back(tmp_path: Path):
    encoder = encoder_of()
    save_encoder(tmp_path / "encoder", encoder, RECORD)
    for place in (tmp_path, tmp_path / "encoder"):
        again, record = load_encoder(place)
        assert record == RECORD
        assert not again.training
        for name, tensor in encoder.state_dict().items():
            assert torch.equal(tensor, again.state_dict()[name])


def damaged_weights(directory: Path) -> None:
    path = directory / WEIGHTS
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))


def changed_config(directory: Path) -> None:
    said = read_json(directory / CONFIG)
    said["encoder"]["width"] = 64
    write_json(directory / CONFIG, said)


def another_encoder(directory: Path) -> None:
    """Everything proves itself, but the weights are not of this configuration."""
    changed_config(directory)
    make_manifest(directory, "encoder", {}).save(directory)


def another_layout(directory: Path) -> None:
    write_json(directory / CONFIG, {"encoder": {"wide": 3}})
    make_manifest(directory, "encoder", {}).save(directory)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (damaged_weights, "manifest"),
        (changed_config, "manifest"),
        (another_encoder, "do not fit"),
        (another_layout, "not whole"),
        (lambda d: (d / WEIGHTS).unlink(), "manifest"),
        (lambda d: (d / "manifest.json").unlink(), "not whole"),
        (lambda d: (d / CONFIG).unlink(), "manifest"),
    ],
)
def test_a_damaged_checkpoint_is_refused(tmp_path: Path, fault, said: str):
    save_encoder(tmp_path / "encoder", encoder_of(), RECORD)
    fault(tmp_path / "encoder")
    with pytest.raises(CheckpointError, match=said):
        load_encoder(tmp_path)


def test_stored_features_of_another_encoder_are_refused():
    require_same_features(small_features(), small_features(), "here")
    with pytest.raises(CheckpointError, match="not those of the encoder") as caught:
        require_same_features(small_features(rows=5), small_features(), "here")
    assert "rows 4" in str(caught.value.expected)
