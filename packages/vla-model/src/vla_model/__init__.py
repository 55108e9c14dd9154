"""vla-model: a small vision-language-action model."""

__version__ = "0.1.0"
