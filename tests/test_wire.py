"""What every address has in common: origins, bodies, errors, CORS, the API's description."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.management import call_command

from tests.conftest import Api

ORIGIN = "http://localhost:3000"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3001"])
def test_a_page_of_another_site_changes_nothing(api: Api, origin: str) -> None:
    project = api.create()
    path = f"/projects/{project['id']}/"
    assert api("DELETE", path, origin=origin).status_code == 403
    assert api("POST", f"{path}restore/", origin=origin).json()["code"] == "foreign-origin"
    assert api("GET", path, origin=origin).status_code == 200


@pytest.mark.parametrize("origin", [ORIGIN, "http://testserver"])
def test_the_editors_own_pages_change_what_they_like(api: Api, origin: str) -> None:
    assert api("POST", "/projects/", {"name": "Film"}, origin=origin).status_code == 201


def test_a_browser_may_send_and_read_what_saving_needs(api: Api) -> None:
    asked = "authorization,content-type,if-match,if-none-match,idempotency-key,prefer,range"
    preflight = api(
        "OPTIONS",
        "/projects/",
        origin=ORIGIN,
        access_control_request_method="PUT",
        access_control_request_headers=f"{asked},x-client-id,x-request-id",
    )
    assert preflight["Access-Control-Allow-Origin"] == ORIGIN
    allowed = preflight["Access-Control-Allow-Headers"]
    assert {name.strip() for name in allowed.split(",")} >= {*asked.split(","), "x-client-id"}
    exposed = api("GET", "/projects/", origin=ORIGIN)["Access-Control-Expose-Headers"]
    assert {name.strip() for name in exposed.split(",")} >= {
        "ETag", "Location", "Retry-After", "X-Request-ID", "Age", "X-Snipix-Stale",
        "Preference-Applied", "Content-Range", "RateLimit", "RateLimit-Policy",
    }  # fmt: skip


def test_a_body_in_chunks_is_refused(api: Api) -> None:
    response = api("POST", "/projects/", {"name": "x"}, transfer_encoding="chunked")
    assert (response.status_code, response.json()["code"]) == (411, "length-required")


def test_an_unknown_address_is_a_problem_document_and_no_redirect(api: Api) -> None:
    response = api("GET", "/nothing")
    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")


def test_a_host_that_isnt_ours_is_refused(api: Api) -> None:
    response = api("GET", "/projects/", host="evil.example")
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")


def test_what_isnt_acceptable_is_refused(api: Api) -> None:
    assert api("GET", "/projects/", accept="image/png").status_code == 406


def test_people_get_pages_and_scripts_get_json(api: Api) -> None:
    project = api.create()
    page = api("GET", f"/projects/{project['id']}/", accept="text/html")
    assert page["Content-Type"].startswith("text/html")
    assert project["name"] in page.content.decode()
    assert "If-Match" in page.content.decode()
    assert api("GET", "/projects/", accept="text/html").status_code == 200
    assert api("GET", f"/projects/{project['id']}/timeline/", accept="text/html").status_code == 200
    refused = api("GET", "/projects/nope/", accept="text/html")
    assert (refused.status_code, refused["Content-Type"][:9]) == (404, "text/html")


def test_the_documentation_needs_no_internet(api: Api) -> None:
    for path in ("docs", "redoc"):
        page = api.client.get(f"/api/{path}/").content.decode()
        links = [part.split('"')[0] for part in page.replace("'", '"').split('="')[1:]]
        assert not [link for link in links if urlsplit(link).netloc]


def test_the_api_is_described_as_it_was_agreed(db: None, tmp_path: Path) -> None:
    """The description is a promise: change docs/openapi.json on purpose, by `make openapi`."""
    made = tmp_path / "openapi.json"
    call_command("spectacular", "--validate", "--fail-on-warn", "--format", "openapi-json",
                 "--file", str(made))  # fmt: skip
    kept = Path(__file__).parent.parent / "docs" / "openapi.json"
    assert json.loads(made.read_text()) == json.loads(kept.read_text())
