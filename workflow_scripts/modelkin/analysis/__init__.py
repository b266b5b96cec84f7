"""What follows from similarities: clusters, components, ensembles, relations, recommendations."""
