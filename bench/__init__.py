"""How fast the service is, against the limit of what it stands on."""
