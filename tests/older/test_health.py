"""The addresses that monitors of the older backend ask."""

import pytest

from tests.older.client import Older, refused


def test_the_root_says_who_answers(older: Older) -> None:
    response = older("GET", "/")
    assert set(response.json()) == {"message", "version", "docs"}
    assert older("GET", response.json()["docs"]).status_code == 200
    assert "Accept" in response["Vary"]


def test_a_browser_goes_on_to_the_documentation(older: Older) -> None:
    response = older("GET", "/", accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert (response.status_code, response["Location"]) == (302, "/api/docs/")
    assert "Accept" in response["Vary"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_test_address_has_a_message(older: Older, method: str) -> None:
    assert older(method, "/test").json()["message"]


def test_health_is_one_word(older: Older) -> None:
    response = older("GET", "/health")
    assert response.json() == {"status": "healthy"}
    assert "no-store" in response["Cache-Control"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("health", "healthy"),
        ("health/detailed", "healthy"),
        ("status", "healthy"),
        ("metrics", "healthy"),
        ("readiness", "healthy"),
        ("liveness", "alive"),
    ],
)
def test_health_is_told_at_the_top_and_in_the_envelope(
    older: Older, path: str, status: str
) -> None:
    told = older("GET", f"/health/{path}").json()
    assert (told["success"], told["status"], told["data"]["status"]) == (True, status, status)
    is_looked_at = path not in ("health", "liveness")
    assert told["data"]["checks"].get("database") == ("ok" if is_looked_at else None)


def test_probes_of_other_hosts_names_are_answered(older: Older) -> None:
    for path in ("/health", "/health/status", "/health/readiness/"):
        assert older("GET", path, host="10.0.0.7").status_code == 200
    assert older("GET", "/performance/status", host="10.0.0.7").status_code == 400


def test_measuring_goes_on_whatever_is_asked(older: Older) -> None:
    for path in ("metrics", "metrics/detailed", "database", "optimization/suggestions", "status"):
        told = older.data("GET", f"/performance/{path}")
        assert told == {"status": "monitoring", "metrics": "/metrics"}
    assert older.data("POST", "/performance/monitoring/start") == told
    for path in ("monitoring/stop", "metrics/reset"):
        assert "always measures" in refused(older("POST", f"/performance/{path}"), 409)["message"]
