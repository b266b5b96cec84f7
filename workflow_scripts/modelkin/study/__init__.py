"""What the user asked for: the config, its schema and checks, and tables from elsewhere."""
