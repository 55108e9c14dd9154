"""The training loop on small modules; exact resume has a file of its own."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.data.fit_cases import CONFIG, Capricious, batches
from torch import Tensor, nn

from vla_data.config import from_dict, to_dict
from vla_data.errors import CheckpointError, ConfigError
from vla_data.fit import DivergedError, FitConfig, fit, load_weights, save_weights
from vla_data.fit.hardware import peak_flops
from vla_data.fit.state import pack, unpack
from vla_data.protocols import Progress, no_progress

LINE = FitConfig(steps=150, learning_rate=0.05, weight_decay=0.0, device="cpu", threads=1, log_every=10)


class Line(nn.Module):
    """y = weight · x."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))

    def training_loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        error = (batch["x"] @ self.weight - batch["y"]).abs().mean()
        return {"loss": error * batch.get("poison", torch.ones(())), "error": error.detach()}


TRUTH = torch.tensor([1.0, -2.0, 0.5])


def line_batch(step: int) -> dict[str, Tensor]:
    x = torch.from_numpy(np.random.default_rng(step).normal(size=(32, 3)).astype(np.float32))
    return {"x": x, "y": x @ TRUTH}


def test_it_learns_and_leaves_its_record(tmp_path: Path):
    reports: list[Progress] = []
    module = Line()
    result = fit(module, line_batch, LINE, tmp_path, reports.append, stage="a line")
    torch.testing.assert_close(module.weight.data, TRUTH, atol=0.02, rtol=0)
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.csv"]
    assert result.resumed_from is None
    assert [(r.stage, r.done, r.total) for r in reports] == [("a line", s, 150) for s in range(10, 151, 10)]
    assert set(reports[-1].metrics) == {"loss", "error", "learning_rate"}
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(r["step"]) for r in rows] == list(range(10, 151, 10))
    assert [float(r["error"]) for r in rows] == [v for _, v in result.history["error"]]


def test_it_equals_a_plain_loop(tmp_path: Path):
    """The same optimiser and schedule by hand, with and without clipping."""
    config = replace(LINE, steps=20, gradient_clip=0.5)
    module, plain = Line(), Line()
    fit(module, line_batch, config, tmp_path, no_progress)
    optimizer = torch.optim.AdamW(plain.parameters(), config.learning_rate, config.betas, weight_decay=0.0)
    for step in range(config.steps):
        optimizer.param_groups[0]["lr"] = config.learning_rate * config.rate_at(step)
        optimizer.zero_grad()
        plain.training_loss(line_batch(step))["loss"].backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
        optimizer.step()
    torch.testing.assert_close(module.weight.data, plain.weight.data, atol=1e-6, rtol=1e-5)


def test_weight_decay_spares_vectors(tmp_path: Path):
    class Still(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.matrix, self.bias = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))

        def training_loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {"loss": 0.0 * (self.matrix.sum() + self.bias.sum())}

    module = Still()
    fit(module, line_batch, replace(LINE, steps=5, weight_decay=0.5), tmp_path, no_progress)
    assert (module.matrix < 1).all()
    assert (module.bias == 1).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_named_by_step(value: float, tmp_path: Path):
    def poisoned(step: int) -> dict[str, Tensor]:
        return line_batch(step) | {"poison": torch.tensor(value if step == 16 else 1.0)}

    module = Line()
    with pytest.raises(DivergedError, match="step 17"):
        fit(module, poisoned, replace(LINE, checkpoint_every=5), tmp_path, no_progress)
    result = fit(Line(), line_batch, replace(LINE, checkpoint_every=5), tmp_path, no_progress)
    assert result.resumed_from == 15
    assert all(np.isfinite(v) for _, v in result.history["loss"])


def test_weights_that_are_not_finite_are_never_saved(tmp_path: Path):
    """A finite loss whose gradient is not: the square root at zero."""

    class Root(Line):
        def training_loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
            return {"loss": (self.weight * 0).square().sum().sqrt()}

    config = replace(LINE, checkpoint_every=1, gradient_clip=None)
    with pytest.raises(DivergedError, match="weight holds NaN"):
        fit(Root(), line_batch, config, tmp_path, no_progress)
    assert not (tmp_path / ".resume" / "last.safetensors").exists()


def test_the_process_around_it_is_left_as_it_was(tmp_path: Path):
    torch.set_num_threads(2)
    torch.manual_seed(3)
    np.random.seed(3)
    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    drawn = torch.get_rng_state()
    fit(Line(), line_batch, LINE, tmp_path, no_progress)
    assert torch.get_num_threads() == 2
    assert not torch.are_deterministic_algorithms_enabled()
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert torch.equal(torch.get_rng_state(), drawn)
    assert np.random.random() == np.random.RandomState(3).random()


def test_an_interrupt_stays_an_interrupt(tmp_path: Path):
    def interrupt(progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(Line(), line_batch, LINE, tmp_path, interrupt)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_termination_is_not_taken_for_success(tmp_path: Path):
    def terminate(progress: Progress) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit) as caught:
        fit(Line(), line_batch, LINE, tmp_path, terminate)
    assert caught.value.code == 128 + signal.SIGTERM


def test_it_runs_outside_the_main_thread(tmp_path: Path):
    module = Line()
    thread = threading.Thread(target=lambda: fit(module, line_batch, LINE, tmp_path, no_progress))
    thread.start()
    thread.join()
    torch.testing.assert_close(module.weight.data, TRUTH, atol=0.02, rtol=0)


def test_frozen_parts_and_their_mode_are_left_alone(tmp_path: Path):
    module = Capricious()
    module.norm.eval()
    module.into.weight.requires_grad_(False)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    fit(module, batches, CONFIG, tmp_path, no_progress, validate=lambda m: {"v": 0.0}, validate_every=2)
    assert not module.norm.training
    assert module.drop.training
    assert torch.equal(module.norm.running_mean, before["norm.running_mean"])  # type: ignore[arg-type]
    assert torch.equal(module.into.weight, before["into.weight"])
    assert not torch.equal(module.into.bias, before["into.bias"])


def test_bfloat16_computes_low_and_keeps_weights_whole(tmp_path: Path):
    seen: list[torch.dtype] = []

    class Low(Line):
        def training_loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
            seen.append((batch["x"] @ self.weight).dtype)
            return super().training_loss(batch)

    module = Low()
    fit(module, line_batch, replace(LINE, precision="bf16-mixed", steps=5), tmp_path, no_progress)
    assert set(seen) == {torch.bfloat16}
    assert module.weight.dtype == torch.float32
    assert (module.weight.sign() == TRUTH.sign()).all()


@pytest.mark.parametrize(("known", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_precision_follows_what_the_processor_knows(
    known: bool, expected: torch.dtype, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: known, raising=False)
    seen: set[torch.dtype] = set()

    class Told(Line):
        def training_loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
            seen.add((batch["x"] @ self.weight).dtype)
            return super().training_loss(batch)

    fit(Told(), line_batch, replace(LINE, precision="auto", device="cpu", steps=2), tmp_path, no_progress)
    assert seen == {expected}


def test_a_missing_gpu_is_a_configuration_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="no CUDA device"):
        fit(Line(), line_batch, replace(LINE, device="cuda"), tmp_path, no_progress)


@pytest.mark.gpu
def test_the_gpu_trains_and_the_module_comes_back(tmp_path: Path):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    module = Capricious()
    fit(module, batches, replace(CONFIG, device="cuda", precision="bf16-mixed"), tmp_path, no_progress)
    assert module.into.weight.device.type == "cpu"
    assert torch.isfinite(module.into.weight).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("ema_decay", 1.0),
        ("gradient_clip", 0.0),
        ("threads", 0),
        ("betas", (0.9, 1.0)),
        ("log_every", 0),
        ("seed", -1),
    ],
)
def test_settings_out_of_range_are_named(name: str, value: object):
    with pytest.raises(ConfigError, match=name):
        from_dict(FitConfig, to_dict(FitConfig()) | {name: value})


@given(st.integers(1, 300), st.integers(0, 50), st.sampled_from(["cosine", "constant"]))
def test_the_schedule_rises_then_only_falls(steps: int, warmup: int, schedule: str):
    config = from_dict(FitConfig, {"steps": steps, "warmup_steps": warmup, "schedule": schedule})
    rates = [config.rate_at(step) for step in range(steps)]
    assert all(0 < r <= 1 for r in rates)
    assert all(a < b for a, b in pairwise(rates[:warmup]))
    rest = rates[warmup:]
    assert all(a >= b for a, b in pairwise(rest))
    if rest:
        assert rest[0] == 1


def test_nothing_heavy_is_imported_before_it_is_needed(root: Path):
    code = (
        "import sys, vla_data.fit, vla_ts, vla_ts.fit\n"
        "heavy = {'torch', 'lightning', 'safetensors', 'vector_quantize_pytorch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "import vla_data.fit.loop, vla_ts.vqvae\n"
        "late = {'lightning', 'vector_quantize_pytorch', 'einops'} & set(sys.modules)\n"
        "assert not late, late\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root)


# Weights in files


def tied() -> nn.Module:
    module = Capricious()
    module.register_buffer("part", torch.arange(12.0).reshape(3, 4)[:, 1:3])
    return module


def test_weights_round_trip_tied_and_strided(tmp_path: Path):
    module, other = tied(), tied()
    with torch.no_grad():
        for tensor in [*module.parameters(), module.norm.running_mean]:  # type: ignore[union-attr]
            tensor.normal_()
    save_weights(module, tmp_path / "w.safetensors")
    load_weights(other, tmp_path / "w.safetensors")
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
    assert other.out.weight is other.into.weight  # type: ignore[union-attr]
    stored = 4 * (36 + 6 + 4 * 6 + 6) + 8  # the tied matrix once, one int64 counter
    assert (tmp_path / "w.safetensors").stat().st_size < stored + 1500


def test_weights_that_do_not_fit_are_refused_and_change_nothing(tmp_path: Path):
    path = tmp_path / "w.safetensors"
    save_weights(nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), path)
    module = nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(2))
    before = {k: v.clone() for k, v in module.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_weights(module, path)
    assert "0.weight [4, 3] instead of [5, 3]" in str(caught.value)
    save_weights(nn.Linear(3, 5), path)
    with pytest.raises(CheckpointError) as caught:
        load_weights(module, path)
    assert "missing 0.weight" in str(caught.value)
    assert "unexpected weight" in str(caught.value)
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())


def test_a_damaged_or_missing_file_is_a_checkpoint_error(tmp_path: Path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(CheckpointError, match="no file"):
        load_weights(Line(), path)
    save_weights(Line(), path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_weights(Line(), path)


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
NESTED = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(st.text() | st.integers() | st.sampled_from(["$tensor", "$dict"]), inner)
    ),
    max_leaves=20,
)


@given(NESTED)
def test_any_nested_state_comes_back_as_it_was(value: object):
    tensors: dict[str, Tensor] = {}
    again = unpack(json.loads(json.dumps(pack({"value": value}, tensors))), tensors)
    assert again == {"value": value}
    assert repr(again) == repr({"value": value})


class Plane(nn.Module):
    """A plane through points; its loss is a mean over the batch."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.plane = nn.Linear(3, 1)

    def training_loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        loss = (self.plane(batch["x"])[:, 0] - batch["x"].sum(-1)).square().mean()
        return {"loss": loss, "size": torch.tensor(float(len(batch["x"])))}


def points(size: int) -> Callable[[int], dict[str, Tensor]]:
    """Batches of `size` points, of which each step's are the same whatever the size."""
    table = torch.from_numpy(np.random.default_rng(0).normal(size=(96, 3)).astype(np.float32))
    return lambda number: {"x": table[(number * size) % 96 :][:size]}


def test_small_batches_added_up_are_one_large_batch(tmp_path: Path):
    whole, parts = Plane(), Plane()
    config = FitConfig(steps=6, learning_rate=0.05, warmup_steps=0, ema_decay=0.8, threads=1, log_every=1)
    one = fit(whole, points(12), config, tmp_path / "one", no_progress)
    many = fit(parts, points(4), replace(config, accumulate=3), tmp_path / "many", no_progress)
    torch.testing.assert_close(parts.plane.weight, whole.plane.weight)
    for (a, x), (b, y) in zip(one.history["loss"], many.history["loss"], strict=True):
        assert a == b
        assert x == pytest.approx(y, rel=1e-5)
    assert many.history["size"][0] == (1, 4.0)


def test_an_interrupted_accumulation_goes_on_to_the_same_weights(tmp_path: Path):
    config = FitConfig(
        steps=7, learning_rate=0.05, warmup_steps=0, threads=1, log_every=1, checkpoint_every=2, accumulate=3
    )
    whole, again = Plane(), Plane()
    fit(whole, points(4), config, tmp_path / "whole", no_progress)

    def stop(progress: Progress) -> None:
        if progress.done == 5:
            raise KeyError

    with pytest.raises(KeyError):
        fit(Plane(), points(4), config, tmp_path / "again", stop)
    result = fit(again, points(4), config, tmp_path / "again", no_progress)
    assert result.resumed_from == 4
    assert torch.equal(again.plane.weight, whole.plane.weight)


def test_the_best_a_device_could_do_is_measured_or_looked_up(monkeypatch: pytest.MonkeyPatch):
    measured, origin = peak_flops("cpu", threads=1)
    assert 1e8 < measured < 1e14
    assert origin == "product of two large matrices"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H100 80GB HBM3")
    assert peak_flops("cuda") == (989e12, "data sheet, H100")
