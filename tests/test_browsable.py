"""The API for people: pages of a browser, whose forms send what was edited."""

import html
import json
import re
from typing import Any

import pytest

from tests.conftest import Api

TIMELINE = {"layers": [{"id": "l", "type": "video", "clips": []}], "duration": 5}


class Browser(Api):
    """The same addresses, as a browser asks for them."""

    def __init__(self) -> None:
        super().__init__()
        self.headers = {"Accept": "text/html; q=1.0, */*"}


@pytest.fixture
def browser(db: None) -> Browser:
    return Browser()


def draft(response: Any) -> str | None:
    """What the page's form holds."""
    found = re.search(r'(?s)<textarea name="_content"[^>]*>\n?(.*?)</textarea>', text(response))
    return html.unescape(found[1]).strip() if found else None


def etag(response: Any) -> str:
    """What the page's form sends as If-Match."""
    found = re.search(r'var etag = "(.*)";', text(response))
    assert found
    return json.loads(f'"{found[1]}"')


def text(response: Any) -> str:
    assert response["Content-Type"].startswith("text/html")
    return response.content.decode()


def test_a_projects_form_holds_what_can_be_set(browser: Browser, api: Api) -> None:
    path = f"/projects/{api.create(tags=['<b>'], metadata={'n': 2**60})['id']}/"
    page = browser("GET", path)
    assert json.loads(draft(page) or "") == {
        "name": "Film", "description": "", "status": "active", "metadata": {"n": 2**60},
        "tags": ["<b>"], "duration": None,
    }  # fmt: skip
    assert etag(page).split(".")[:2] == api.etag(path).split(".")[:2], "another version"


def test_what_is_put_can_be_put_again(browser: Browser, api: Api) -> None:
    path = f"/projects/{api.create()['id']}/"
    page = browser("GET", path)
    for name in ("One", "Two"):
        sent = (draft(page) or "").replace(json.loads(draft(page) or "")["name"], name)
        page = browser("PUT", path, raw=sent.encode(), if_match=etag(page))
        assert page.status_code == 200
        assert draft(page) == sent
    assert api("GET", path).json()["name"] == "Two"


def test_a_timeline_can_be_saved_twice(browser: Browser, api: Api) -> None:
    path = f"/projects/{api.create()['id']}/timeline/"
    page = browser("GET", path)
    for duration in (5, 6):
        sent = {**json.loads(draft(page) or ""), **TIMELINE, "duration": duration}
        page = browser("PUT", path, sent, if_match=etag(page))
        assert page.status_code == 200
    assert api("GET", path).json()["duration"] == 6


def test_what_was_refused_isnt_lost(browser: Browser, api: Api) -> None:
    path = f"/projects/{api.create()['id']}/"
    before = etag(browser("GET", path))
    bad = browser("PATCH", path, raw=b'{"nome": "</textarea>"}', if_match=before)
    assert (bad.status_code, draft(bad)) == (400, '{"nome": "</textarea>"}')
    good = browser("PATCH", path, {"name": "Better"}, if_match=etag(bad))
    assert good.status_code == 200
    stale = browser("PATCH", path, raw=b'{"name": "Mine"}', if_match=before)
    assert (stale.status_code, draft(stale)) == (412, '{"name": "Mine"}')


def test_a_list_offers_to_make_a_project(browser: Browser, api: Api) -> None:
    page = browser("GET", "/projects/")
    assert json.loads(draft(page) or "") == {"name": ""}
    page = browser("POST", "/projects/", {"name": "Film"})
    assert (page.status_code, json.loads(draft(page) or "")) == (201, {"name": ""})


def test_where_there_is_nothing_there_is_no_form(browser: Browser) -> None:
    page = browser("GET", "/projects/nothing/")
    assert (page.status_code, draft(page)) == (404, None)


def test_pages_need_no_other_server(browser: Browser, api: Api) -> None:
    pages = [browser("GET", "/projects/"), browser("GET", f"/projects/{api.create()['id']}/")]
    pages += [browser.client.get(path) for path in ("/api/docs/", "/api/redoc/", "/admin/login/")]
    for page in pages:
        assert page.status_code == 200
        assert not re.findall(r'(?:src|href)="(?:https?:)?//(?!testserver)', text(page))
