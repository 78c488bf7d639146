"""The catalogue: movies and shows as rendered JSON, cached in the process."""
