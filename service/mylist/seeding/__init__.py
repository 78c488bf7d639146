"""Data to try the service with: the documented sample, and synthetic data of any size."""
