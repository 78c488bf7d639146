"""The REST API: decode a request, call the rules, encode the answer."""
