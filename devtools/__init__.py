"""What the tests, the benchmark and the load test share: the service as a process, servers, proxies, HTTP, ports."""
