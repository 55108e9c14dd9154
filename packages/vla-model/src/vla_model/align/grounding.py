"""What a model is taught to say at the things themselves while it learns to answer.

An answer teaches little as long as the model neither finds the thing that a question names nor knows what to
read off it: each is worth nothing without the other. So halfway up the language model every thing is asked
directly which part of the question names it (as MDETR aligns words with boxes, Kamath et al. 2021,
arXiv:2104.12763), and where it is and how fast; one layer further up, the later of two that are named says
how the first differs from the second. Labels teach that; nothing of it is used or kept afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from vla_model.align.network import VIDEO, SceneModel
from vla_model.align.questions import ASIDE, DEEPER, FASTER, TENTH, Facts, Question
from vla_model.lm.gpt import IGNORED, rms_norm

ROLES = 3  # not named, named, named second
BINS = (21, 31, 10)  # tenths of a metre right of the axis (−1 … 1) and ahead (0 … 3), tenths of m/s
OFFSET = (10, 0, 0)
MARGINS = np.array((ASIDE, DEEPER, FASTER))  # right, ahead, speed: below these two things do not differ


class Taught(nn.Module):
    """A scene model with what it is taught beside answers; a module for `vla_data.fit`.

    Args:
        model: of which alone something is kept.
        named, placed, compared: weights of the three losses beside that of the answers.
    """

    def __init__(self, model: SceneModel, named: float, placed: float, compared: float) -> None:
        super().__init__()
        self.model, self.weights = model, (named, placed, compared)
        width = model.gpt.config.width
        self.role = nn.Linear(width, ROLES)
        self.place = nn.Linear(width, sum(BINS))
        self.more = nn.Linear(width, 2 * len(MARGINS))

    def training_loss(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A batch of `SceneBatches`."""
        seen = self.model.encoder(batch)
        asked = batch["scene"]
        tokens = batch["tokens"][:, :-1]
        layers: list[Tensor] = []
        logits = self.model.logits(self.model.given(seen)[asked], tokens, layers)
        loss = F.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten(), ignore_index=IGNORED)
        said = batch["targets"] != IGNORED
        right = (logits.argmax(-1) == batch["targets"])[said].float().mean()
        middle = (len(layers) - 1) // 2
        further = max(middle, len(layers) - 2)
        things, later = (_at_things(layers[i], tokens) for i in (middle, further))
        kinds = torch.where(seen.mask, seen.kinds, -1)[asked]
        beside = {
            "named": self._named(things, kinds, batch["named"]),
            "placed": self._placed(things, kinds, batch["facts"][asked]),
            "compared": self._compared(later, kinds, batch["named"], batch["compared"]),
        }
        total = loss + sum(w * told for w, told in zip(self.weights, beside.values(), strict=True))
        told = {"answers": loss, **beside, "token_accuracy": right}
        return {"loss": total, **{name: value.detach() for name, value in told.items()}}

    def _named(self, things: Tensor, kinds: Tensor, named: Tensor) -> Tensor:
        targets = torch.where(kinds >= 0, of_kind(named, kinds, 0), IGNORED)
        return _mean_loss(self.role(things), targets)

    def _placed(self, things: Tensor, kinds: Tensor, facts: Tensor) -> Tensor:
        alone = (kinds[:, :, None] == kinds[:, None, :]).sum(dim=-1) == 1
        losses = []
        for number, logits in enumerate(self.place(things).split(BINS, dim=-1)):
            targets = of_kind(facts[..., number], kinds, IGNORED)
            losses.append(_mean_loss(logits, torch.where(alone, targets, IGNORED)))
        return torch.stack(losses).mean()

    def _compared(self, things: Tensor, kinds: Tensor, named: Tensor, compared: Tensor) -> Tensor:
        """At the later of the two that are named, where each is seen once."""
        roles = of_kind(named, kinds, 0)
        pair = ((roles == 1).sum(dim=1) == 1) & ((roles == 2).sum(dim=1) == 1)
        order = torch.arange(roles.shape[1], device=roles.device)
        later = torch.where(roles > 0, order, 0).argmax(dim=1)
        logits = self.more(things[torch.arange(len(things), device=things.device), later])
        targets = torch.where(pair[:, None], compared, IGNORED)
        return _mean_loss(logits.reshape(len(things), len(MARGINS), 2), targets)

    def optimizer_groups(self) -> list[dict]:
        """Those of the language model, its embedding at a third of its rate, and the rest beside."""
        inside, embedding, head = self.model.gpt.optimizer_groups()
        own = {id(p) for p in self.model.gpt.parameters()}
        rest = [p for p in self.parameters() if id(p) not in own]
        return [inside, {**embedding, "rate": embedding["rate"] / 3}, head, {"params": rest, "rate": 0.2}]


def of_kind(
    table: Int64[Tensor, "b classes"], kinds: Int64[Tensor, "b n"], none: int
) -> Int64[Tensor, "b n"]:
    """What a table holds for the class of each thing; `none` where it has no class."""
    if not table.shape[1]:
        return torch.full_like(kinds, none)
    known = (kinds >= 0) & (kinds < table.shape[1])
    return torch.where(known, table.gather(1, kinds.clamp(0, table.shape[1] - 1)), none)


def named_table(
    questions: Sequence[Question], class_names: Sequence[str]
) -> Int64[Tensor, "questions classes"]:
    """The part that things of each class play in each question: 0 none, 1 named, 2 named second."""
    table = np.zeros((len(questions), len(class_names)), np.int64)
    for row, question in enumerate(questions):
        for role, names in ((1, question.first), (2, question.second)):
            table[row, [c for c, name in enumerate(class_names) if name in names]] = role
    return torch.from_numpy(table)


def compared_table(questions: Sequence[Question], facts: Sequence[Facts]) -> Int64[Tensor, "questions 3"]:
    """Whether the thing named first is further right, further ahead, faster than the one named second: 1, 0;
    `IGNORED` where they do not differ clearly or are not two.

    Args:
        facts: of the scene of each question.
    """
    table = np.full((len(questions), len(MARGINS)), IGNORED, np.int64)
    for row, (question, scene) in enumerate(zip(questions, facts, strict=True)):
        names = (*question.first, *question.second)
        if len(question.first) == len(question.second) == 1 and all(scene.names.count(n) == 1 for n in names):
            one, other = (scene.names.index(name) for name in names)
            values = np.stack([scene.position[:, 0], scene.position[:, 2], scene.speed], axis=-1)
            more = values[one] - values[other]
            table[row] = np.where(np.abs(more) >= MARGINS, more > 0, IGNORED)
    return torch.from_numpy(table)


def facts_table(facts: Sequence[Facts], class_names: Sequence[str]) -> Int64[Tensor, "scenes classes 3"]:
    """Bins of place and speed of the thing of each class; `IGNORED` where there is none, or several."""
    table = np.full((len(facts), len(class_names), len(BINS)), IGNORED, np.int64)
    for row, scene in enumerate(facts):
        for column, name in enumerate(class_names):
            if scene.names.count(name) == 1:
                thing = scene.names.index(name)
                x, _, z = scene.position[thing]
                tenths = np.round(np.array([x, z, scene.speed[thing]]) / TENTH).astype(int) + OFFSET
                table[row, column] = np.clip(tenths, 0, np.array(BINS) - 1)
    return torch.from_numpy(table)


def _at_things(layer: Float[Tensor, "b t d"], tokens: Int64[Tensor, "b t"]) -> Float[Tensor, "b n d"]:
    """What a layer says at the marks of the video."""
    marks = rms_norm(layer[tokens == VIDEO])
    return marks.reshape(len(tokens), -1, marks.shape[-1])


def _mean_loss(logits: Float[Tensor, "b n c"], targets: Int64[Tensor, "b n"]) -> Float[Tensor, ""]:
    """Over what has a target; 0 where nothing has."""
    summed = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum")
    return summed / (targets != IGNORED).sum().clamp(min=1)
