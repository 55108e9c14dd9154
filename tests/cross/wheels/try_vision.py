"""vla-vision without its AGPL extra and without the siblings beside it: images to features."""

from __future__ import annotations

import torch
from _wheel import check_absent, check_wheel, import_all

from vla_vision import ImageEncoder, ImageEncoderConfig

check_wheel("vla-vision")
check_absent("ultralytics", "vla_ts", "vla_model", "vla_cli", "tensorflow", "mujoco")
import_all("vla_vision")

encoder = ImageEncoder(ImageEncoderConfig())
features = encoder(torch.zeros(2, 3, 64, 64, dtype=torch.uint8), torch.zeros(2, 64))
assert features.shape == (2, encoder.feature_dim)
assert features.isfinite().all()
features.sum().backward()
