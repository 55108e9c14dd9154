"""The training behind `vla vision train-encoder`: episodes in, an encoder and what its tokens hold out.

Notable features:
- no label is needed: tokens must suffice to make colours, depth and flow of this frame and of a later one
- perception runs once; its features are stored in the run (`features/`) and serve any later training
- windows are a pure function of the step, so that training resumes to the same weights
- measured on held-out episodes beside the mean picture of each camera
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vla_data.errors import DataError
from vla_data.fit import fit
from vla_data.protocols import EpisodeSource, OnProgress, no_progress
from vla_data.report import Section
from vla_data.usable import Skipped
from vla_vision.encoder.checkpoint import SUBDIRECTORY, EncoderRecord, save_encoder
from vla_vision.encoder.clips import Clip, FeatureStore
from vla_vision.encoder.evaluation import evaluate
from vla_vision.encoder.extraction import extract_features
from vla_vision.encoder.heads import LabelHead, RowHead
from vla_vision.encoder.pages import describe
from vla_vision.encoder.reconstruction import Reconstructor, picture_losses
from vla_vision.encoder.tokens import Batch, Tokens
from vla_vision.encoder.train_config import TrainEncoderConfig
from vla_vision.encoder.video_encoder import VideoEncoder
from vla_vision.encoder.windows import WindowBatches, WindowTable

FEATURES = "features"


class EncoderTraining(nn.Module):
    """An encoder and what it is trained with: a decoder, and heads that are thrown away like it."""

    def __init__(self, config: TrainEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = VideoEncoder(config.encoder)
        self.pictures = Reconstructor(config.encoder, config.decoder)
        self.rows = RowHead(config.encoder) if config.encoder.has_objects and config.loss.rows else None
        self.labels = LabelHead(config.encoder, config.decoder) if config.loss.labels else None

    def training_loss(self, batch: Batch) -> dict[str, Tensor]:
        """A batch of `WindowBatches`."""
        tokens, loss = self.encoder(batch), self.config.loss
        parts: dict[str, Tensor] = {}
        if self.rows is not None:
            objects = tokens.values[:, : self.config.encoder.features.rows]
            parts["rows"] = self.rows.loss(objects, batch)
        if self.config.encoder.parts == "both":
            tokens = hide(tokens, batch["hidden"], self.config.encoder.features.rows)
        parts |= picture_losses(self.make(tokens, batch), batch, loss)
        if self.labels is not None:
            parts["labels"] = self.labels.loss(tokens, batch)
        total = torch.stack([getattr(loss, name) * value for name, value in parts.items()]).sum()
        return {"loss": total, **{name: value.detach() for name, value in parts.items()}}

    def make(self, tokens: Tokens, batch: Batch) -> Tensor:
        """Pictures of this frame and of the later one, [B, 2, 6, H, W]."""
        gap = batch["gap"].float()
        return self.pictures(tokens, torch.stack([torch.zeros_like(gap), gap], dim=1))


def hide(tokens: Tokens, hidden: Tensor, rows: int) -> Tokens:
    """Tokens with those of objects (`hidden` 1) or of patches (2) left out; 0 leaves all."""
    is_object = torch.arange(tokens.mask.shape[1], device=hidden.device) < rows
    gone = torch.where(hidden[:, None] == 1, is_object, (hidden[:, None] == 2) & ~is_object)
    return replace(tokens, mask=tokens.mask & ~gone)


def train_encoder(
    source: EpisodeSource,
    config: TrainEncoderConfig,
    out: Path,
    on_progress: OnProgress = no_progress,
    *,
    workers: int | None = 1,
    skip_corrupt: bool = False,
) -> tuple[dict[str, Any], list[Section]]:
    """Perceive the episodes, train an encoder on them, write it to `out/encoder` and measure it.

    Args:
        workers: processes that perceive; None for one a core.

    Returns:
        A summary of plain values, and the sections of the run's page.

    Raises:
        DataError: there are no images, too few episodes, or labels are to be learnt and there are none; or
            an episode is damaged and `skip_corrupt` is off.
        CheckpointError: weights of the detector or depth network cannot be read.
        DivergedError: the loss became NaN or infinite.
    """
    skipped: list[Skipped] = []
    store = extract_features(
        source,
        config.extract,
        out / FEATURES,
        on_progress,
        workers=workers,
        skip_corrupt=skip_corrupt,
        skipped=skipped,
    )
    config = replace(config, encoder=replace(config.encoder, features=store.config))
    training, learnt, held, result = fit_encoder(store, config, out, on_progress, source.name)
    record = EncoderRecord(config.encoder, config.sight, (source.name,))
    save_encoder(out / SUBDIRECTORY, training.encoder, record)
    counts = {"skipped_episodes": len(skipped), "seconds_training": round(result.seconds, 1)}
    scores = evaluate(training, learnt, held)
    return describe(training, scores, (store, learnt, held), result.history, counts, out)


def fit_encoder(
    clips: Sequence[Clip], config: TrainEncoderConfig, out: Path, on_progress: OnProgress, name: str = "clips"
) -> tuple[EncoderTraining, list[Clip], list[Clip], Any]:
    """Train on stored features; the module, training clips, held-out clips, and how the loop went.

    Raises:
        DataError: fewer than two episodes, or labels are wanted and not there.
    """
    learnt, held = split_clips(clips, config, name)
    torch.manual_seed(config.fit.seed)
    training = EncoderTraining(config)
    table = WindowTable.of(learnt, config.ahead)
    if config.loss.labels and not table.labelled:
        raise DataError(
            "there are no labels to learn from",
            where=name,
            expected="episodes with boxes and velocities of their objects",
            next_step="set loss.labels=0, or make labelled ones: vla data generate metaworld --labels",
        )
    batches = WindowBatches(table, config)
    result = fit(training, batches, config.fit, out, on_progress, stage="train-encoder")
    training.eval()
    return training, learnt, held, result


def split_clips(
    clips: Sequence[Clip], config: TrainEncoderConfig, name: str
) -> tuple[list[Clip], list[Clip]]:
    """Clips of training and of held-out episodes, drawn with the configuration's seed.

    Raises:
        DataError: there are fewer than two episodes.
    """
    infos = clips.clips if isinstance(clips, FeatureStore) else [c.info for c in clips]
    episodes = np.unique([info.episode for info in infos])
    if len(episodes) < 2:
        raise DataError(
            "there is too little to train an encoder on and measure it",
            where=name,
            expected="two episodes",
            got=str(len(episodes)),
        )
    count = min(len(episodes) - 1, max(1, round(config.holdout * len(episodes))))
    held = set(np.random.default_rng(config.fit.seed).permutation(episodes)[:count].tolist())
    read = [clips[i] for i in range(len(clips))]
    return [c for c in read if c.info.episode not in held], [c for c in read if c.info.episode in held]
