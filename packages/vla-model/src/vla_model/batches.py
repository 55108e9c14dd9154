"""Batches of a policy's training: a pure function of their number."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from vla_data.fit import FitConfig
from vla_data.normalize import Normalizer
from vla_data.protocols import ActionCodec
from vla_model.checkpoint import PolicyStats
from vla_model.policies.shapes import PolicyShapes
from vla_model.policies.texts import Texts
from vla_model.samples import SampleTable
from vla_model.views import drawn_views

VIEW_STREAM = 7


class PolicyBatches:
    """Batch number → tensors (`vla_model.policies.shapes.Batch`), targets among them.

    Args:
        share: samples with the same wordings get the same one.
    """

    def __init__(
        self,
        table: SampleTable,
        stats: PolicyStats,
        texts: Texts,
        codec: ActionCodec | None,
        shapes: PolicyShapes,
        fit_config: FitConfig,
        share: bool,
    ) -> None:
        self.table, self.shapes, self.fit, self.share = table, shapes, fit_config, share
        self.text = texts.encode(table.texts)
        self.state = Normalizer(stats.state).normalize(table.state)
        self.action = Normalizer(stats.action)
        self.target = self.action.normalize(table.chunks) if codec is None else codec.encode(table.chunks)

    def __call__(self, number: int) -> Mapping[str, Tensor]:
        rows, texts = self.table.sample(number, self.fit.batch_size, self.fit.seed, self.share)
        arrays = {
            "images": self.table.seen(rows, self.shapes.history),
            "state": self.state[rows],
            "text": self.text[texts],
            "target": self.target[rows],
        }
        if self.shapes.past:
            arrays["past"] = self.action.normalize(self.table.past(rows, self.shapes.past))
        if self.shapes.depth:
            assert self.table.depth is not None
            arrays["depth"] = self.table.depth[rows]
        if self.shapes.velocity:
            assert self.table.flow is not None
            arrays["flow_known"] = rows > self.table.first[rows]
            arrays["flow"] = self.table.flow[rows]
        if self.shapes.places:
            assert self.table.pixels is not None
            rng = np.random.default_rng((self.fit.seed, VIEW_STREAM, number))
            views = drawn_views(self.table.pixels[rows], rng)
            arrays |= {"view": views.now, "look": views.wanted, "acts": views.sees}
            arrays["images"] = arrays["images"][np.arange(len(rows)), :, views.now][:, :, None]
        return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()}
