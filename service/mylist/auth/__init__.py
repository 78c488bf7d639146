"""Bearer tokens that identify users, and the keys that verify the tokens."""
