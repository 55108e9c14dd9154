"""Tokens of a running video: the last K frames are kept and encoded anew with each one."""

from __future__ import annotations

from collections import deque

import torch

from vla_data.errors import CheckpointError
from vla_data.fit.hardware import torch_threads
from vla_vision.encoder.features import FrameFeatures, stack
from vla_vision.encoder.tokens import Tokens, to_batch
from vla_vision.encoder.video_encoder import VideoEncoder


class TokenStream:
    """Encodes one video frame by frame, without gradients; `reset` begins another.

    Before there are K frames the first one stands for those that are missing, as in training.
    """

    def __init__(self, encoder: VideoEncoder, device: str = "cpu") -> None:
        self.encoder, self.device = encoder.to(device).eval(), device
        self._frames: deque[FrameFeatures] = deque(maxlen=encoder.config.history)

    def reset(self) -> None:
        """Forget what was seen."""
        self._frames.clear()

    @torch.inference_mode()
    def update(self, features: FrameFeatures) -> Tokens:
        """Tokens now, of a batch of one.

        Raises:
            CheckpointError: the features are of another size than the encoder takes.
        """
        wanted = self.encoder.config.features
        if not features.fits(wanted):
            raise CheckpointError(
                "features are not of the encoder's size",
                where="TokenStream",
                expected=f"{wanted.height}×{wanted.width}, {wanted.rows} rows, looks of {wanted.look_dim}",
                got=f"{features.rgb.shape[0]}×{features.rgb.shape[1]}, "
                f"{features.objects.looks.shape[0]} rows, looks of {features.objects.looks.shape[1]}",
                next_step="extract features with the encoder's own configuration",
            )
        self._frames.append(features)
        missing = self.encoder.config.history - len(self._frames)
        window = stack([self._frames[0]] * missing + list(self._frames))
        with torch_threads(1):  # a frame at a time
            return self.encoder(to_batch(stack([window]), self.device))
