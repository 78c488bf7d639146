"""How long an import takes: one request, in milliseconds."""

import json
from dataclasses import dataclass

from bench.client import Client
from bench.environment import Environment, Server
from bench.samples import Sample
from devtools.http_client import request
from mylist.seeding.synthetic_data import title_id, title_type

SHORT_IMPORT, LONG_IMPORT = "import of 1,000 lines", "import of 4,000 lines"


@dataclass(frozen=True, slots=True)
class ImportLatency:
    """Imports a short list and a long one, each for another user in each round.

    Attributes:
        server: where.
        lines: how many the two have.
    """

    server: Server
    lines: tuple[int, int] = (1000, 4000)

    @property
    def references(self) -> dict[str, str | None]:
        """The rows, each with the one that it is compared with."""
        return {SHORT_IMPORT: None, LONG_IMPORT: SHORT_IMPORT}

    def measure(self, environment: Environment, number: int) -> dict[str, Sample]:
        """Measure one round."""
        with Client(environment.url(self.server), timeout_s=60) as client:
            return {
                name: _import(client, f"import-{number}-{lines}", lines)
                for name, lines in zip((SHORT_IMPORT, LONG_IMPORT), self.lines, strict=True)
            }


def _import(client: Client, user: str, lines: int) -> Sample:
    titles = range(1, lines + 1)
    items = ({"contentId": title_id(each), "contentType": title_type(each)} for each in titles)
    body = "".join(json.dumps(item) + "\n" for item in items).encode()
    headers = {"user-id": user, "content-type": "application/x-ndjson"}
    took = client.measure(request("POST", "/api/mylist/import", headers, body), status=200)
    return Sample(p50=took * 1000)
