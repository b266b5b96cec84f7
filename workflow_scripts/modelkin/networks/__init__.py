"""What a model is: its network, what that is made of, and where it can be cut."""
