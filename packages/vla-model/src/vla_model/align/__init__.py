"""Aligning encoders with the language model: questions about scenes, and the training that answers them."""
