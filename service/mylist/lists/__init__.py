"""The use cases: read a list, change it, follow its changes, import it. `ports` has the interfaces of the stores."""
