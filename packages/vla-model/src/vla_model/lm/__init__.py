"""A small language model, trained from nothing."""
