"""vla-cli: the one command."""

__version__ = "0.1.0"
