"""Bearer tokens that identify users, and the keys that they are verified with."""
