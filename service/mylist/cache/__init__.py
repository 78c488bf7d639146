"""The list cache: one value per user in Redis, fenced so that no acknowledged write is ever hidden."""
