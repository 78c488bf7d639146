"""The settings, and the formats of complex settings."""
