"""What images there are: datasets, probes and images in memory."""
