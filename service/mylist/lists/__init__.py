"""The use cases: reading a list, changing it, following its changes, importing it. Stores are behind `ports`."""
