"""How long an import takes: one request, in milliseconds."""

import json
from dataclasses import dataclass

from bench.client import Client
from bench.environment import Environment, Server
from bench.samples import Sample
from devtools.http_client import request
from mylist.seeding.synthetic_data import title_id, title_type

SHORT_IMPORT, LONG_IMPORT, LONGEST_IMPORT = (f"import of {lines} lines" for lines in ("1,000", "4,000", "5,000"))


@dataclass(frozen=True, slots=True)
class ImportLatency:
    """Imports a short list, a long one and the longest, each in one request for another user in each round.

    Attributes:
        server: where.
        lines: how many they have.
    """

    server: Server
    lines: tuple[int, int, int] = (1000, 4000, 5000)

    @property
    def references(self) -> dict[str, str | None]:
        """The rows, each with its reference row."""
        return {SHORT_IMPORT: None, LONG_IMPORT: SHORT_IMPORT, LONGEST_IMPORT: SHORT_IMPORT}

    def measure(self, environment: Environment, number: int) -> dict[str, Sample]:
        """Measure one round."""
        with Client(environment.url(self.server), timeout_s=60) as client:
            return {
                name: _import(client, f"import-{number}-{lines}", lines)
                for name, lines in zip(self.references, self.lines, strict=True)
            }


def _import(client: Client, user: str, lines: int) -> Sample:
    titles = range(1, lines + 1)
    items = ({"contentId": title_id(each), "contentType": title_type(each)} for each in titles)
    body = "".join(json.dumps(item) + "\n" for item in items).encode()
    headers = {"user-id": user, "content-type": "application/x-ndjson"}
    took = client.measure(request("POST", "/api/mylist/import", headers, body), status=200)
    return Sample(p50=took * 1000)
