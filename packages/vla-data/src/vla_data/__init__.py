"""vla-data: contracts of the suite, and everything that yields episodes or moves a robot."""

__version__ = "0.1.0"
