"""Data to try the service with: the documented sample, and load sets of any size."""
