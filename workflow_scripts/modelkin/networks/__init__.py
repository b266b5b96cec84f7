"""What a model is: its network, wrapper, weights, card and components, and where it comes from."""
