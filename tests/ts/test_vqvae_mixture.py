"""One codec for several robots."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.ts.conftest import SPEC, Reaching, reach
from tests.ts.series import reaching

from vla_data.errors import ConfigError, SpecMismatchError, UnknownNameError
from vla_data.protocols import no_progress
from vla_data.types import ActionDim, ActionSpec
from vla_ts import Trajectories, fit_vqvae, load_codec
from vla_ts.fit import PRESETS, FitVqvaeConfig
from vla_ts.training import train_vqvae
from vla_ts.vqvae import VqVaeCodec

TURN = ActionDim("yaw", "rotation", "delta", "base", "rad", 0.02)
OTHER = ActionSpec((SPEC.dims[3], SPEC.dims[0], TURN), 80.0, "euler_xyz", gripper_closes=1)


def turning(count: int = 12, hz: float = 80.0) -> Trajectories:
    """A robot with fewer dimensions, in another order, with one the first has not."""
    episodes = [reach(np.random.default_rng(500 + i)) for i in range(count)]
    return Trajectories("turning", replace(OTHER, control_hz=hz), tuple(e[:, [3, 0, 2]] for e in episodes))


def config(**changes: object) -> FitVqvaeConfig:
    base = PRESETS["debug"]()
    fit = replace(base.fit, steps=40, device="cpu", threads=1)
    return replace(base, action_horizon=8, codebook_size=64, fit=fit, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> VqVaeCodec:
    out = tmp_path_factory.mktemp("mixture")
    return train_vqvae([reaching(12), turning()], config(), out, no_progress)[0]


def error(codec: VqVaeCodec, data: Trajectories) -> float:
    chunks = data.chunks(8)
    decoded = codec.decode(codec.encode(chunks))
    assert decoded.shape == chunks.shape
    return float(np.square((decoded - chunks) / np.array(codec.norm_stats.std)).mean())


def test_it_codes_the_motion_of_each_robot(shared: VqVaeCodec):
    assert shared.embodiments == ("reaching", "turning")
    assert error(shared, reaching(4, first=70)) < 0.15
    assert error(shared.of_embodiment("turning"), turning(4)) < 0.15


def test_robots_are_found_by_what_their_actions_mean(shared: VqVaeCodec, tmp_path: Path):
    shared.save(tmp_path)
    assert load_codec(tmp_path).spec == SPEC
    assert load_codec(tmp_path, OTHER, "test").spec == OTHER
    assert load_codec(tmp_path, SPEC, "test").spec == SPEC
    with pytest.raises(SpecMismatchError, match="my data"):
        load_codec(tmp_path, replace(OTHER, gripper_closes=-1), "my data")
    with pytest.raises(SpecMismatchError):
        shared.require_spec(OTHER, "test")


def test_an_unknown_embodiment_is_named(shared: VqVaeCodec, tmp_path: Path):
    with pytest.raises(UnknownNameError, match="turning"):
        shared.of_embodiment("turnin")
    alone, _ = train_vqvae(reaching(3), config(), tmp_path, no_progress)
    assert alone.embodiments == ()
    with pytest.raises(UnknownNameError):
        alone.of_embodiment("reaching")


def test_saved_and_loaded_it_still_serves_both(shared: VqVaeCodec, tmp_path: Path):
    shared.of_embodiment("turning").save(tmp_path)
    loaded = load_codec(tmp_path)
    assert isinstance(loaded, VqVaeCodec)
    assert loaded.spec == OTHER  # the one it was saved as
    for name, data in (("reaching", reaching(2, first=40)), ("turning", turning(2))):
        chunks = data.chunks(8)
        codes = shared.of_embodiment(name).encode(chunks)
        np.testing.assert_array_equal(loaded.of_embodiment(name).encode(chunks), codes)


def test_what_a_robot_lacks_costs_it_nothing(shared: VqVaeCodec):
    """Whatever the network says in columns a robot has not, it does not hear."""
    codes = np.random.default_rng(0).integers(0, 64, (50, 3))
    for name, width in (("reaching", 4), ("turning", 3)):
        decoded = shared.of_embodiment(name).decode(codes)
        assert decoded.shape == (50, 8, width)
        assert np.isfinite(decoded).all()


def test_other_control_rates_need_one_clock(tmp_path: Path):
    with pytest.raises(ConfigError, match="control rates") as caught:
        train_vqvae([reaching(3), turning(3, hz=20.0)], config(), tmp_path, no_progress)
    assert "--hz" in str(caught.value)


def test_a_run_brings_sources_to_one_clock_and_measures_each(tmp_path: Path):
    slow = replace(
        Reaching(4), name="slow", robot=replace(Reaching().robot, action=replace(SPEC, control_hz=40.0))
    )
    summary, sections = fit_vqvae([Reaching(4), slow, Reaching(3)], config(hz=40.0), tmp_path, no_progress)
    assert list(summary["embodiments"]) == ["reaching", "slow", "reaching-2"]
    assert [s.title for s in sections][1] == "Action codec: slow"
    codec = load_codec(tmp_path)
    assert isinstance(codec, VqVaeCodec)
    assert {codec.of_embodiment(name).spec.control_hz for name in codec.embodiments} == {40.0}


def test_shares_say_how_often_each_source_is_drawn(tmp_path: Path):
    from vla_ts.chunk_batches import ChunkBatches
    from vla_ts.padding import DimLayout
    from vla_ts.vqvae import Embodiment

    data = [reaching(3), turning(12)]
    members = [Embodiment(d.spec, d.stats()) for d in data]
    layout = DimLayout.of([d.spec for d in data])
    by_size = ChunkBatches(data, members, layout, config())(0)["who"].float().mean()
    shared = ChunkBatches(data, members, layout, config(shares=(3.0, 1.0)))(0)["who"].float().mean()
    assert by_size > 0.7
    assert 0.2 < shared < 0.3
    with pytest.raises(ConfigError, match="share"):
        train_vqvae(data, config(shares=(1.0,)), tmp_path, no_progress)
