"""How weights are changed: training, evaluation and distillation."""
