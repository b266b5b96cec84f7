"""How alike two models are: activations, pairs of models and measures."""
