"""The commands, one module per subject. Thin: heavy imports stand inside the functions."""
