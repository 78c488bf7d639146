"""Where the lists are in Redis: one server, a Sentinel group or a Redis Cluster."""
