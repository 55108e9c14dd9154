"""vla-vision: the video encoder."""

__version__ = "0.1.0"
