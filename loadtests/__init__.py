"""The load test: simulated people use the service, and thresholds decide whether it passes."""
