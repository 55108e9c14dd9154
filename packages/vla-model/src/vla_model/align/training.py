"""The training behind `vla model align`: labelled scenes in, a language model that answers about them out.

Notable features:
- the projector first, between an encoder and a language model that stay as they are; then all three
- labels make questions and answers; the model is given tokens of pixels alone
- beside answers it is taught which things a question names and where they are (`grounding`)
- measured on held-out scenes beside the same model with the pictures of another scene, and beside the best
  guess from the words of a question
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from vla_data.errors import DataError
from vla_data.fit import FitResult, fit
from vla_data.protocols import EpisodeSource, OnProgress, no_progress
from vla_data.report import Section
from vla_model.align.checkpoint import SUBDIRECTORY, save_scene_model
from vla_model.align.config import AlignConfig
from vla_model.align.grounding import Taught
from vla_model.align.judging import asked_about, guesses_of, page_of, scores_of, shown_of
from vla_model.align.network import SceneModel, names_of
from vla_model.align.questions import TAUGHT
from vla_model.align.scenes import SceneBatches, Scenes
from vla_model.lm.checkpoint import load_lm
from vla_model.lm.tokenizer import Tokenizer
from vla_vision.encoder.checkpoint import load_encoder
from vla_vision.encoder.clips import Clip
from vla_vision.encoder.extraction import ExtractConfig, extract_features, stored_features
from vla_vision.encoder.training import FEATURES

PROJECTOR = "projector"


def align(
    source: EpisodeSource,
    encoder_dir: Path,
    start: Path,
    config: AlignConfig,
    out: Path,
    on_progress: OnProgress = no_progress,
    *,
    workers: int | None = 1,
) -> tuple[dict[str, Any], list[Section]]:
    """Align an encoder with a language model on labelled scenes; write `out/scene`.

    Args:
        source: labelled episodes.
        encoder_dir: run of `vla vision train-encoder`.
        start: run of `vla model pretrain` or `instruct`.
        workers: processes that perceive; None for one a core.

    Returns:
        A summary of plain values, and the sections of the run's page.

    Raises:
        CheckpointError: encoder or language model cannot be read.
        DataError: there are no labelled scenes, or fewer than two episodes.
    """
    encoder, record = load_encoder(encoder_dir)
    gpt, tokenizer, _ = load_lm(start)
    extract = ExtractConfig(record.encoder.features, record.sight)
    store = stored_features(source, extract, encoder_dir / FEATURES)  # where it was trained on these
    if store is None:
        store = extract_features(source, extract, out / FEATURES, on_progress, workers=workers)
    learnt, held = _split(source, list(store), config)
    torch.manual_seed(config.both.seed)
    model = SceneModel(
        encoder, gpt, config.hidden, names_of(tokenizer, record.encoder.features.class_names), config.blind
    )
    results = _train(model, tokenizer, learnt, config, out, on_progress)
    save_scene_model(out / SUBDIRECTORY, model.eval(), tokenizer, record)
    asked = {kind: asked_about(held, kind, config.judged) for kind in TAUGHT}
    scores = scores_of(model, tokenizer, held, asked, guesses_of(learnt))
    summary: dict[str, Any] = {
        "scenes": len(learnt.facts),
        "held_out_scenes": len(held.facts),
        "parameters": sum(p.numel() for p in model.parameters()),
        "train_seconds": round(sum(r.seconds for r in results.values()), 1),
        **scores,
    }
    return summary, [page_of(summary, results, shown_of(model, tokenizer, held, asked, config.shown))]


def _split(source: EpisodeSource, clips: list[Clip], config: AlignConfig) -> tuple[Scenes, Scenes]:
    episodes = sorted({c.info.episode for c in clips})
    if len(episodes) < 2:
        raise DataError(
            "there is too little to learn from and measure",
            where=source.name,
            expected="two labelled episodes",
            got=str(len(episodes)),
            next_step="make some: vla data generate tabletop --labels --episodes 1000 --out DIR",
        )
    count = min(len(episodes) - 1, max(1, round(config.holdout * len(episodes))))
    held = set(np.random.default_rng(config.both.seed).permutation(episodes)[:count].tolist())
    kept = [c for c in clips if c.info.episode not in held]
    rest = [c for c in clips if c.info.episode in held]
    return Scenes.of(source, kept, config.skip), Scenes.of(source, rest, config.skip)


def _train(
    model: SceneModel,
    tokenizer: Tokenizer,
    scenes: Scenes,
    config: AlignConfig,
    out: Path,
    on_progress: OnProgress,
) -> dict[str, FitResult]:
    """The projector alone, then everything."""
    results = {}
    taught = Taught(model, config.named, config.placed, config.compared)
    inner = (*model.encoder.parameters(), *model.gpt.parameters())
    for name, loop, free in (("projector", config.first, False), ("both", config.both, True)):
        for parameter in inner:
            parameter.requires_grad_(free)
        directory = out if free else out / PROJECTOR
        batches = SceneBatches(scenes, model, tokenizer, config.questions, loop.seed + free, loop.batch_size)
        results[name] = fit(taught.train(), batches, loop, directory, on_progress, stage=f"align {name}")
    return results
