"""The script of `helm test` on a real service: it passes if lists work, fails if they do not, and leaves no data."""

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from devtools.service_process import Service
from tests.chart.rendering import CHART, rendered_case
from tests.conftest import Serve
from tests.identity_provider import RSA_KEY, SECRET, pem

Run = Callable[..., subprocess.CompletedProcess[str]]
Documents = Database[dict[str, Any]]


@pytest.fixture
def run(mongodb_uri: str) -> Run:
    def run(service: Service, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(CHART / "files" / "tests" / "list.py")],
            env=os.environ | {"API": service.url, "MONGODB_URI": mongodb_uri, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def test_the_script_passes_on_a_working_service_and_leaves_no_data(
    service: Service, run: Run, database: Documents
) -> None:
    ended = run(service)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-1] == "passed"
    assert "POST /api/mylist/add: 201" in ended.stdout
    assert "DELETE /api/mylist/remove/" in ended.stdout
    assert database["movies"].count_documents({}) == 0
    assert database["mylist"].count_documents({}) == 0


@pytest.mark.parametrize(
    "claims", [{}, {"JWT_AUDIENCE": "a", "JWT_ISSUER": "b", "JWT_USER_CLAIM": "c"}, {"JWT_PROFILE_CLAIM": "p"}], ids=str
)
def test_the_script_signs_a_token_if_it_has_the_secret(serve: Serve, run: Run, claims: dict[str, str]) -> None:
    settings = {"AUTH_MODE": "jwt", "JWT_SECRET": SECRET, **claims}
    ended = run(serve(**settings), **settings)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "POST /api/mylist/add: 201" in ended.stdout
    assert SECRET not in ended.stdout


def test_the_script_expects_a_401_if_it_cannot_sign_a_token(serve: Serve, service: Service, run: Run) -> None:
    settings = {"AUTH_MODE": "jwt", "JWT_PUBLIC_KEY": pem(RSA_KEY)}
    ended = run(serve(**settings), **settings)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[-2:] == [
        "GET /api/mylist/items: 401",
        "passed, except the checks that need a token",
    ]
    assert run(service, **settings).returncode == 1


def test_the_script_uses_the_given_title(service: Service, run: Run, database: Documents) -> None:
    shows = database["tvshows"]
    show = shows.insert_one({"title": "Of the catalogue", "genres": []}).inserted_id

    ended = run(service, CONTENT_ID=str(show), CONTENT_TYPE="tvshow", MONGODB_URI="mongodb://nowhere.invalid/x")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert str(show) in ended.stdout
    assert shows.count_documents({}) == 1


def test_the_script_fails_if_the_given_title_does_not_exist(service: Service, run: Run) -> None:
    ended = run(service, CONTENT_ID="0123456789abcdef01234567")

    assert ended.returncode == 1
    assert f"failed: POST {service.url}/api/mylist/add: 404, not 201: " in ended.stdout


def test_the_script_fails_and_cleans_up_if_the_service_uses_another_database(
    serve: Serve, mongodb_uri: str, run: Run, database: Documents
) -> None:
    other = serve(MONGODB_URI=f"{mongodb_uri.partition('?')[0]}-other")

    ended = run(other)

    assert ended.returncode == 1
    assert database["movies"].count_documents({}) == 0


def test_the_test_pod_runs_the_script_as_a_hook() -> None:
    pod = rendered_case("default").one("Pod", "mylist-test")
    [container] = pod["spec"]["containers"]
    script = rendered_case("default").one("ConfigMap", "mylist-test")
    variables = {each["name"]: each for each in container["env"]}

    assert script["data"]["list.py"].strip() == (CHART / "files" / "tests" / "list.py").read_text().strip()
    assert container["command"] == ["python", "/tests/list.py"]
    assert variables["API"]["value"] == "http://mylist.ott:80"
    assert "MONGODB_PASSWORD" in variables
    for each in (pod, script):
        assert each["metadata"]["annotations"]["helm.sh/hook"] == "test"
    weights = [int(each["metadata"]["annotations"].get("helm.sh/hook-weight", "0")) for each in (script, pod)]
    assert weights[0] < weights[1]


def test_the_seed_job_runs_mylist_seed_with_the_given_sizes() -> None:
    [job] = rendered_case("everything").of_kind("Job")
    [container] = job["spec"]["template"]["spec"]["containers"]

    assert container["command"] == ["mylist", "seed"]
    assert container["args"] == ["--users=1000000", "--titles=2000", "--items=50"]
    [sample] = rendered_case("external").of_kind("Job")
    assert "args" not in sample["spec"]["template"]["spec"]["containers"][0]
    assert sample["metadata"]["name"] != job["metadata"]["name"].replace("ott-", "")


def test_every_pod_that_reads_the_settings_also_gets_the_token_secret() -> None:
    rendered = rendered_case("everything")
    [job], [pod] = rendered.of_kind("Job"), rendered.of_kind("Pod")

    for spec in (job["spec"]["template"]["spec"], pod["spec"], rendered.deployment()["spec"]["template"]["spec"]):
        assert "JWT_SECRET" in {each["name"] for each in spec["containers"][0]["env"]}
