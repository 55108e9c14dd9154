"""vla-ts: robot time series to codes and back."""

__version__ = "0.1.0"
