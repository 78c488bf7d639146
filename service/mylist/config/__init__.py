"""The settings, and the formats of those that are more than a word or a number."""
