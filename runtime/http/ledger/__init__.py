"""What is kept of answers that have gone out: latencies, hooks told, the access log."""
