"""How fast modelkin is: each row is a ratio against a peer or a limit, taken side by side in one process."""
