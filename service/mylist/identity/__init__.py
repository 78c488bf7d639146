"""Who asks: what a user may be called, and bearer tokens that say who it is."""
