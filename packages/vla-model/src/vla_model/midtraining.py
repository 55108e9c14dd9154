"""The training between language and a robot: one policy on a mixture of data sets, whatever their robots.

Notable features:
- samples by `vla_data.mixture`: weighted, resumable, masked where a data set lacks a camera or a dimension
- every data set's own robot stands in its prompt, every number is normalised by its own statistics
- each augmentation is a switch; sub-steps become checklists
- `vla model finetune --start RUN` goes on from the weights, with what fits the new robot
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vla_data.augment import AugmentConfig
from vla_data.augment.cameras import CameraWarp
from vla_data.augment.colours import ColourJitter
from vla_data.augment.recipes import augmented
from vla_data.augment.series import MaskSpans
from vla_data.augment.steps import ImageNoise, StateDropout
from vla_data.charts import Line, LineChart
from vla_data.errors import ConfigError
from vla_data.fit import FitConfig, FitResult, fit
from vla_data.mixture import Mixture, MixtureBatches, MixtureConfig, mixture_norms
from vla_data.protocols import EpisodeReader, OnProgress, no_progress
from vla_data.report import Code, Section, Table
from vla_data.types import CameraInput, Episode, InputSpec
from vla_model.lm.tokenizer import Tokenizer
from vla_model.policies.shapes import PolicyShapes
from vla_model.policies.texts import PromptTexts
from vla_model.policies.vla import VlaConfig, VlaNetwork
from vla_model.prompt.episodes import PromptParts, episode_checklist, with_checklist
from vla_model.start import save_start

HEARD = 200  # episodes of each data set whose instructions the tokenizer is trained on
KEPT = 100_000  # prompts whose tokens are kept


@dataclass(frozen=True)
class Switches:
    """What is changed on the way, anew at each pass over an episode.

    Args:
        camera: crop, shift, zoom and roll; colours: brightness, contrast, hue; noise: of pixels.
        mask: spans in which a sensor is silent; dropout: states that are missing.
        substeps: sub-steps are told as a checklist.
    """

    camera: bool = True
    colours: bool = True
    noise: bool = True
    mask: bool = False
    dropout: bool = False
    substeps: bool = True

    def recipe(self) -> AugmentConfig | None:
        """Of all that is switched on; None for no change."""
        whole = (
            *((CameraWarp(crop=0.9, shift=0.02, zoom=0.05, roll=3.0),) if self.camera else ()),
            *((ColourJitter(),) if self.colours else ()),
            *((MaskSpans(),) if self.mask else ()),
        )
        step = (
            *((StateDropout(whole=0.02),) if self.dropout else ()),
            *((ImageNoise(std=3.0),) if self.noise else ()),
        )
        return AugmentConfig(whole, step) if whole or step else None


@dataclass(frozen=True)
class MidtrainConfig:
    """How a policy is trained on a mixture.

    Args:
        policy: the network; its head answers with numbers (`continuous` or `flow`).
        switches: changes to episodes.
        fit: optimiser, schedule, steps, samples of a batch.
    """

    policy: VlaConfig = field(
        default_factory=lambda: VlaConfig(head="continuous", text_tokens=256, parts=PromptParts())
    )
    switches: Switches = field(default_factory=Switches)
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(
            steps=5000, batch_size=64, learning_rate=1e-3, warmup_steps=100, ema_decay=0.998
        )
    )

    def __post_init__(self) -> None:
        policy = self.policy
        parts = policy.parts
        untold = policy.looks or parts.past_steps or parts.depth or parts.velocity
        if policy.head not in ("continuous", "flow") or untold:
            raise ConfigError(
                "a policy cannot be trained on a mixture like this",
                where="policy",
                expected="head continuous or flow; no looks, past actions, depth or velocity",
                got=f"head {policy.head}, looks {list(policy.looks)}, past_steps {parts.past_steps}, "
                f"depth {parts.depth}, velocity {parts.velocity}",
            )


def _debug() -> MidtrainConfig:
    base = MidtrainConfig()
    fit_config = replace(base.fit, steps=4, batch_size=4, warmup_steps=1, log_every=1, checkpoint_every=2)
    return replace(base, policy=replace(base.policy, depth=1, width=32, heads=2, channels=16), fit=fit_config)


PRESETS: dict[str, Callable[[], MidtrainConfig]] = {"default": MidtrainConfig, "debug": _debug}


@dataclass(frozen=True)
class Changes:
    """A mixture's `transform`: the switches, carried out on an episode."""

    switches: Switches

    def __call__(self, episode: Episode, seed: int) -> Episode:
        listed = episode_checklist(episode) if self.switches.substeps else ()
        if listed:
            said = [with_checklist(w, listed) for w in (episode.instruction, *episode.paraphrases)]
            episode = replace(episode, instruction=said[0], paraphrases=tuple(said[1:]))
        recipe = self.switches.recipe()
        return augmented(episode, recipe, index=seed) if recipe else episode


def midtrain(
    mix: MixtureConfig, config: MidtrainConfig, out: Path, on_progress: OnProgress = no_progress
) -> tuple[dict[str, Any], list[Section]]:
    """Train and write `out/start`, from which `finetune` can go on.

    Args:
        mix: what is mixed; its window says what a sample shows, its embedding how robots share columns.
        out: run directory; an interrupted training resumes from it.

    Returns:
        A summary of plain values, and the sections of the run's page.

    Raises:
        DataError, SpecMismatchError, ConfigError: as `Mixture.open` and `MixtureBatches`.
    """
    switches = config.switches
    if not config.policy.parts.checklist:
        switches = replace(switches, substeps=False)
    mixture = Mixture.open(mix, transform=Changes(switches), on_progress=on_progress)
    batches = MixtureBatches(
        mixture,
        config.fit.batch_size,
        norms=mixture_norms(mixture, on_progress=on_progress),
        mode="gaussian",
    )
    texts = _texts(mixture, batches, config.policy, switches)
    shapes = _shapes(mixture, batches, texts[0])
    torch.manual_seed(config.fit.seed)
    network = VlaNetwork(config.policy, shapes)
    result = fit(network, _Tensors(batches, texts), config.fit, out, on_progress)
    save_start(out / "start", network.cpu(), texts[0].tokenizer, mix.window.cameras)
    return _describe(network, mixture, result, config, texts)


class _Tensors:
    """Batch number → what the network takes, with a mask of the actions that are there."""

    def __init__(self, batches: MixtureBatches, texts: list[PromptTexts]) -> None:
        self.batches, self.texts = batches, texts
        self.roles = batches.mixture.config.window.cameras
        self._tokens: dict[tuple[int, str], np.ndarray] = {}

    def __call__(self, number: int) -> Mapping[str, Tensor]:
        batch = self.batches[number]
        pictures = np.stack([batch[f"image/{role}"] for role in self.roles], axis=2)
        said = zip(batch["dataset"].tolist(), batch["instruction"], strict=True)
        arrays = {
            "images": pictures.transpose(0, 1, 2, 5, 3, 4),
            "state": batch["state"][:, -1],
            "text": np.stack([self._told(*one) for one in said]),
            "target": batch["action"],
            "mask": batch["action_mask"],
        }
        return {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}

    def _told(self, dataset: int, instruction: str) -> np.ndarray:
        key = dataset, instruction
        if key not in self._tokens:
            if len(self._tokens) >= KEPT:
                self._tokens.clear()
            self._tokens[key] = self.texts[dataset].encode([instruction])[0]
        return self._tokens[key]


def _texts(
    mixture: Mixture, batches: MixtureBatches, policy: VlaConfig, switches: Switches
) -> list[PromptTexts]:
    """The prompts of each data set, by one tokenizer."""
    window = mixture.config.window
    sizes = {role: batches.sizes[role] for role in window.cameras}
    cameras = tuple(CameraInput(role, *size) for role, size in sizes.items())
    specs = [InputSpec(s.robot, cameras, window.action_horizon, window.history) for s in mixture.sources]
    change = Changes(Switches(camera=False, colours=False, noise=False, substeps=switches.substeps))
    single = []
    for spec, source, index in zip(specs, mixture.sources, mixture.indices, strict=True):
        read = source.read_series if isinstance(source, EpisodeReader) else source.__getitem__
        heard = [change(read(int(i)), 0) for i in index.episodes[:HEARD]]
        wordings = list(dict.fromkeys(w for e in heard for w in (e.instruction, *e.paraphrases)))
        single.append((spec, wordings))
    pieces = [t for spec, said in single for t in PromptTexts.pieces(said, spec, policy.parts)]
    tokenizer = Tokenizer.train(pieces, policy.vocab_size, 0)
    return [PromptTexts(tokenizer, spec, policy.parts, policy.text_tokens) for spec in specs]


def _shapes(mixture: Mixture, batches: MixtureBatches, texts: PromptTexts) -> PolicyShapes:
    window = mixture.config.window
    sizes = {batches.sizes[role] for role in window.cameras}
    if len(sizes) != 1 or window.history != 1:
        raise ConfigError(
            "a mixture's window does not fit the policy",
            where="window",
            expected="history 1, and cameras of one size (image_size = [64, 64])",
            got=f"history {window.history}, sizes {sorted(sizes)}",
        )
    (height, width) = sizes.pop()
    return PolicyShapes(
        len(window.cameras),
        height,
        width,
        len(mixture.state_columns.names),
        texts.size,
        window.action_horizon,
        len(mixture.action_columns.names),
        text_length=texts.length,
    )


def _describe(
    network: VlaNetwork,
    mixture: Mixture,
    result: FitResult,
    config: MidtrainConfig,
    texts: list[PromptTexts],
) -> tuple[dict[str, Any], list[Section]]:
    history = result.history["loss"]
    summary: dict[str, Any] = {
        "parameters": sum(p.numel() for p in network.parameters()),
        "data_sets": len(mixture.sources),
        "samples": config.fit.steps * config.fit.batch_size,
        "steps": config.fit.steps,
        "action_columns": ", ".join(mixture.action_columns.names),
        "loss": round(history[-1][1], 5),
    }
    rows = tuple(
        (k.replace("_", " "), f"{v:,}" if isinstance(v, int) else str(v)) for k, v in summary.items()
    )
    shares = tuple((r.name, f"{100 * r.share:.1f}%", f"{r.episodes:,}", f"{r.steps:,}") for r in mixture.rows)
    steps, values = zip(*history, strict=True)
    chart = LineChart("Loss", (Line("loss", tuple(map(float, steps)), values),), x_label="step")
    told = [Code(t.shown("do what is asked")) for t in texts]
    mixed = Table(("data set", "share", "episodes", "steps"), shares)
    return summary, [Section("Mid-training", (Table(("", "value"), rows), mixed, chart, *told))]
