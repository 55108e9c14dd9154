"""Sizes of the language model, derived from one dial. No torch is imported here."""

from __future__ import annotations

from dataclasses import dataclass

from vla_data.errors import ConfigError

HEAD_DIM = 64
TOKENS_PER_PARAMETER = 20  # Hoffmann et al. 2022, arXiv:2203.15556


@dataclass(frozen=True)
class GPTConfig:
    """A decoder-only transformer.

    Args:
        vocab_size: tokens.
        depth: layers; width and heads follow from it with `at_depth`.
        width: of the residual stream.
        heads: of attention; the width divides by them, and each head's width is even.
        context: most tokens in a sequence.

    Raises:
        ConfigError: the numbers do not fit together.
    """

    vocab_size: int = 4096
    depth: int = 4
    width: int = 256
    heads: int = 4
    context: int = 512

    def __post_init__(self) -> None:
        positive = min(self.vocab_size, self.depth, self.width, self.heads, self.context) >= 1
        if not positive or self.width % self.heads or (self.width // self.heads) % 2:
            raise ConfigError(
                "a language model cannot be built like this",
                where="GPTConfig",
                expected="positive numbers; heads of equal, even width",
                got=f"vocabulary {self.vocab_size}, depth {self.depth}, width {self.width}, "
                f"{self.heads} heads, context {self.context}",
            )

    @classmethod
    def at_depth(cls, depth: int, vocab_size: int, context: int = 512) -> GPTConfig:
        """Width 64 a layer, heads 64 wide."""
        return cls(vocab_size, depth, HEAD_DIM * depth, depth, context)

    @property
    def matrix_parameters(self) -> int:
        """Parameters of the layers: attention 4 × width², feed-forward 8 × width²."""
        return self.depth * 12 * self.width**2

    @property
    def parameters(self) -> int:
        """Layers, embedding and output; norms have none."""
        return self.matrix_parameters + 2 * self.vocab_size * self.width

    @property
    def flops_per_token(self) -> int:
        """Of a training step: 6 a weight that multiplies, and attention over the whole context."""
        multiplied = self.matrix_parameters + self.vocab_size * self.width
        return 6 * multiplied + 12 * self.depth * self.width * self.context

    @property
    def horizon(self) -> int:
        """Tokens worth training on: `TOKENS_PER_PARAMETER` for every weight that multiplies."""
        return TOKENS_PER_PARAMETER * (self.matrix_parameters + self.vocab_size * self.width)
