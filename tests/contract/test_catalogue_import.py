"""A running service shows the titles that `mylist catalogue import` adds, changes and withdraws."""

import json
import subprocess
import sys
from typing import Any

from devtools.service_process import environment
from devtools.waiting import wait_until
from tests.conftest import PATIENT, Serve
from tests.contract.conftest import PATIENCE, User, connect

ALIEN, HEAT = "65a0c0ffee65a0c0ffee65a0", "65a0c0ffee65a0c0ffee65a1"


def movie(content_id: str, title: str, **fields: Any) -> dict[str, Any]:
    return {"id": content_id, "contentType": "movie", "title": title, **fields}


def test_a_running_service_shows_the_titles_that_an_import_adds_changes_and_withdraws(
    serve: Serve, mongodb_uri: str, user_id: str
) -> None:
    def bring(*titles: dict[str, Any], options: tuple[str, ...] = ()) -> None:
        command = [sys.executable, "-m", "mylist", "catalogue", "import", "-", *options]
        given = "".join(json.dumps(title) + "\n" for title in titles).encode()
        settings = environment({"MONGODB_URI": mongodb_uri, **PATIENT})
        subprocess.run(command, input=given, env=settings, check=True, stdout=subprocess.DEVNULL)

    with connect(serve(CATALOGUE_TTL="1")) as client:
        user = User(client, user_id)
        assert user.add(ALIEN).status_code == 404
        heat = movie(HEAT, "Heat", releaseDate="1995-12-15")
        bring(movie(ALIEN, "Alien", genres=["Horror"], releaseYear=1979, externalIds={"imdb": "tt0078748"}), heat)
        assert user.add(ALIEN).status_code == 201
        assert user.add(HEAT).status_code == 201
        [_, alien] = user.items().json()["data"]["items"]
        assert alien["content"] == {
            "id": ALIEN,
            "title": "Alien",
            "genres": ["Horror"],
            "releaseYear": 1979,
            "externalIds": {"imdb": "tt0078748"},
        }
        assert user.contents("?sort=releaseDate&order=asc") == [ALIEN, HEAT]

        bring(movie(ALIEN, "Alien", genres=["Classic"], releaseYear=1999))
        wait_until(lambda: user.contents("?sort=releaseDate&order=asc") == [HEAT, ALIEN], within=PATIENCE)
        wait_until(lambda: user.items("?genre=classic").status_code == 200, within=PATIENCE)
        assert user.contents("?genre=classic") == [ALIEN]

        bring(heat, options=("--withdraw-missing", "--withdraw-up-to", "50"))
        wait_until(lambda: user.items().json()["data"]["items"][1]["content"] is None, within=PATIENCE)
        assert user.stats().json()["data"]["total"] == 2
