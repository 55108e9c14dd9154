"""vla-vision: the video encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vla_vision.image_encoder import ImageEncoder, ImageEncoderConfig

__version__ = "0.1.0"
__all__ = ["ImageEncoder", "ImageEncoderConfig", "__version__"]


def __getattr__(name: str) -> Any:
    if name in ("ImageEncoder", "ImageEncoderConfig"):
        from vla_vision import image_encoder

        return getattr(image_encoder, name)
    raise AttributeError(f"module 'vla_vision' has no attribute {name!r}")
