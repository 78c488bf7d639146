"""The benchmark of the service, beside the limits of the libraries and servers that it uses."""
