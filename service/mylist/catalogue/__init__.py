"""The catalogue: movies and shows as ready-made JSON, kept per process."""
