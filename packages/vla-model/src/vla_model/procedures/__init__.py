"""Procedural knowledge: tasks in made-up households, checklists that do them, a verifier of any checklist."""
