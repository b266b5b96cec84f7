"""How images are changed: one descent behind inversion and attacks."""
