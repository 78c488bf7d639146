"""Helpers of the tests, the benchmark and the load test: the service as a process, servers, proxies, HTTP, ports."""
