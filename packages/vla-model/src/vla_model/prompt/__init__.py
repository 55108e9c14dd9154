"""What a model is told and what it answers: one typed structure, as text and as tokens."""
