"""The video encoder: features of frames → tokens that a language model reads."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from vla_data.types import CameraInput, InputSpec, RobotSpec
from vla_vision.encoder.config import EncoderConfig
from vla_vision.encoder.object_encoder import ObjectEncoder
from vla_vision.encoder.patch_encoder import PatchEncoder
from vla_vision.encoder.tokens import Batch, Tokens, join


class VideoEncoder(nn.Module):
    """Tokens of objects, of patches, or both; batched and differentiable.

    Takes tensors by the names of `FrameFeatures.arrays`, each [B, K, …] with K = `config.history` frames,
    oldest first. See docs/vision.md, "Tokens", for what a token means.
    """

    def __init__(self, config: EncoderConfig | None = None) -> None:
        super().__init__()
        self.config = config or EncoderConfig()
        self.objects = ObjectEncoder(self.config) if self.config.has_objects else None
        self.patches = PatchEncoder(self.config) if self.config.has_patches else None

    @property
    def tokens_per_frame(self) -> int:
        """Tokens of one call."""
        return self.config.tokens_per_frame

    def forward(self, batch: Batch) -> Tokens:
        """Tokens of B windows."""
        parts = [self.objects(batch)] if self.objects is not None else []
        if self.patches is not None:
            parts.append(self.patches(batch)[0])
        return join(parts)

    def attention(self, batch: Batch) -> Float[Tensor, "b s k rows columns"] | None:
        """Where each patch token looks; sums to 1 over frames and places. None without patch tokens."""
        return None if self.patches is None else self.patches(batch)[1]

    def input_spec(
        self,
        robot: RobotSpec,
        cameras: Sequence[str],
        action_horizon: int,
        size: tuple[int, int] | None = None,
    ) -> InputSpec:
        """What a policy on these tokens needs to see.

        Args:
            cameras: each is perceived and encoded by itself, with the same weights.
            size: (height, width) of the frames that perception looks at; None stands for the encoder's own
                size, which is too small for most detectors.
        """
        features = self.config.features
        height, width = size or (features.height, features.width)
        seen = tuple(CameraInput(name, height, width) for name in cameras)
        return InputSpec(robot, seen, action_horizon, history=self.config.history)
