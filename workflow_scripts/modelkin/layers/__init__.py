"""How alike two views are, layer by layer."""
