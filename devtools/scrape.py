"""Reading a service's metrics, as a scraper does."""

import httpx
from prometheus_client.parser import text_string_to_metric_families as parse

from devtools.service_process import NO_TLS, Service


class Metrics:
    """One scrape."""

    def __init__(self, service: Service) -> None:
        self.text = httpx.get(f"{service.url}/metrics", trust_env=False, verify=NO_TLS).raise_for_status().text
        self.families = {family.name: family for family in parse(self.text)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """The sum of all samples of a name with these labels, and perhaps others."""
        return sum(
            sample.value for sample in self.samples if sample.name == name and labels.items() <= sample.labels.items()
        )
