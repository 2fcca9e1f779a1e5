"""What the system checks say of wrong settings, and that they never repeat a secret."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from dotenv import dotenv_values

from snipix import checks, local
from snipix.local.processes import ROOT
from tests.watched import WatchedWeb

GOOD = "mongodb://snipix:s3cr3t@db.example.com/"
PRODUCTION = "# === Production"


@pytest.fixture(autouse=True)
def _sound(settings: Any) -> None:
    """Settings without a fault, whatever the test run itself is given."""
    settings.ALLOWED_HOSTS = ["localhost"]
    settings.SECRET_KEY = "k" * checks.SECRET_KEY_LENGTH
    settings.MONGODB_URI = GOOD
    settings.REDIS_URL = "redis://localhost:6379/0"


def _found(*, deploy: bool = False) -> set[str]:
    messages = run_checks(tags=[checks.TAG], include_deployment_checks=deploy)
    for message in messages:
        assert message.hint
        assert "s3cr3t" not in str(message)
    return {message.id.removeprefix("snipix.") for message in messages if message.id}


def _check(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return _run("manage.py", "check", *arguments, **env)


def _run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    # Empty means the default, and keeps a developer's .env out.
    unset = dict.fromkeys(_uncommented(_example()[0]), "")
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | unset | env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_sound_settings_are_silent() -> None:
    assert not _found(deploy=True)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DEBUG", "s3cr3t", "DEBUG expects true or false."),
        ("PAGE_SIZE", "s3cr3t", "PAGE_SIZE expects a whole number of at least 1."),
        ("CACHE_TTL", "-5", "CACHE_TTL expects a whole number of at least 1."),
        ("REDIS_TIMEOUT", "nan", "REDIS_TIMEOUT expects a number of seconds of at least 0.01."),
        ("LOG_FORMAT", "s3cr3t", "LOG_FORMAT expects one of: json, console."),
        ("WEB_CONCURRENCY", "0", "WEB_CONCURRENCY expects a whole number of at least 1."),
    ],
)
def test_what_cannot_be_read_is_named_with_what_is_expected(
    name: str, value: str, expected: str
) -> None:
    done = _check(**{name: value})

    assert done.returncode == 1
    assert f"(snipix.E001) {expected}" in done.stderr
    assert "s3cr3t" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("MONGODB_URI", "", "E002"),
        ("SECRET_KEY", "unset", "E003"),
        ("SECRET_KEY", "s3cr3t" * 8, "E003"),
        ("MONGODB_MIN_POOL_SIZE", 21, "E008"),
        ("PAGE_SIZE", 201, "E009"),
        ("AUDIT_RETENTION_DAYS", 29, "E010"),
        ("MAX_BODY_BYTES", 16 * 1024 * 1024, "E011"),
        ("MONGODB_DATABASE", "a.b", "E012"),
        ("MONGODB_DATABASE", "admin", "E012"),
        ("REDIS_URL", "http://:s3cr3t@localhost", "E013"),
        ("REDIS_URL", "redis://:s3cr3t@localhost:port/0", "E013"),
        ("CORS_ALLOWED_ORIGINS", ["*"], "E014"),
        ("CORS_ALLOWED_ORIGINS", ["https://editor.example.com/"], "E014"),
        ("CORS_ALLOWED_ORIGINS", ["https://editor.example.com", "editor.example.com"], "E014"),
        ("CORS_ALLOWED_ORIGINS", ["https://alice:s3cr3t@editor.example.com"], "E014"),
        ("CORS_ALLOWED_ORIGINS", ["https://editor.example.com:port"], "E014"),
        ("ALLOWED_HOSTS", ["*"], "W001 W002 W003"),
        ("ALLOWED_HOSTS", ["localhost", "api.example.com"], "W002 W003"),
        ("SECURE_SSL_REDIRECT", True, "W004"),
        ("SECURE_PROXY_SSL_HEADER", ("HTTP_X_FORWARDED_PROTO", "https"), "W007"),
        ("LIMITS", {"reads": 0, "changes": 119}, "W008"),
        ("LIMITS", {"reads": 599, "changes": 120}, "W008"),
        ("WEB_THREADS", 21, "W005"),
        ("REDIS_URL", "", "W006"),
    ],
)
def test_a_wrong_setting_is_found(settings: Any, name: str, value: object, found: str) -> None:
    setattr(settings, name, value)

    assert _found(deploy=True) == set(found.split())


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb+srv://alice:s3cr3t@cluster0.abcde.mongodb.net/?retryWrites=true&w=majority",
        "mongodb+srv://alice:s3cr3t@cluster0.abcde.mongodb.net/?srvMaxHosts=2",
        "mongodb+srv://alice:s3cr3t%40word@cluster0.abcde.mongodb.net",
        "mongodb://a.example.com,b.example.com:27018/snipix?replicaSet=rs0&tls=true",
        "mongodb://[::1]:27017/?directConnection=true&readPreference=primary",
        "mongodb://localhost/?w=majority&journal=true&readConcernLevel=majority",
    ],
)
def test_a_good_uri_is_accepted_without_asking_the_network(settings: Any, uri: str) -> None:
    settings.MONGODB_URI = uri

    assert not _found()


@pytest.mark.parametrize(
    "uri",
    [
        "s3cr3t",
        "http://alice:s3cr3t@db.example.com/",
        "mongodb://",
        "mongodb+srv://alice:<s3cr3t>@cluster0.abcde.mongodb.net/",
        "mongodb+srv://alice:s3cr3t@cluster0.abcde.mongodb.net:27017/",
        "mongodb+srv://alice:s3cr3t@a.mongodb.net,b.mongodb.net/",
        "mongodb://alice:s3cr3t@word:x@db.example.com/",
        "mongodb://alice:s3c/r3t@db.example.com/",
        "mongodb://db.example.com:s3cr3t/",
        "mongodb://db.example.com/?retryWrite=s3cr3t",
        "mongodb://db.example.com/?tls=s3cr3t",
    ],
)
def test_a_malformed_uri_is_found_and_not_repeated(settings: Any, uri: str) -> None:
    settings.MONGODB_URI = uri

    assert _found() == {"E004"}


@pytest.mark.parametrize(
    ("option", "found"),
    [
        ("readPreference=secondary", "E005"),
        ("readPreference=secondaryPreferred", "E005"),
        ("readpreference=nearest", "E005"),
        ("readPreference=primaryPreferred", "E005"),
        ("w=0", "E006"),
        ("w=1", "E006"),
        ("w=2", "E006"),
        ("w=eu", "E006"),
        ("journal=false", "E006"),
        ("w=majority&journal=false", "E006"),
        ("readConcernLevel=local", "E007"),
        ("readConcernLevel=available", "E007"),
        ("w=1&readPreference=nearest&readConcernLevel=local", "E005 E006 E007"),
    ],
)
@pytest.mark.parametrize("scheme", ["mongodb", "mongodb+srv"])
def test_a_uri_that_promises_less_is_found(
    settings: Any, scheme: str, option: str, found: str
) -> None:
    settings.MONGODB_URI = f"{scheme}://alice:s3cr3t@db.example.com/?{option}"

    assert _found() == set(found.split())


def test_debugging_in_public_is_an_error(settings: Any) -> None:
    settings.DEBUG = True
    assert not _found()

    settings.ALLOWED_HOSTS = ["api.example.com"]
    assert _found() == {"E015", "W002"}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]", "a.localhost"])
def test_a_name_of_this_machine_is_not_public(settings: Any, host: str) -> None:
    settings.ALLOWED_HOSTS = [host]

    assert not _found(deploy=True)


@pytest.mark.parametrize("host", [".example.com", "192.168.1.5", "0.0.0.0", "localhost.com"])
def test_every_other_name_counts_as_public(settings: Any, host: str) -> None:
    settings.ALLOWED_HOSTS = [host]

    assert "W002" in _found()


def test_accounts_may_be_public(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["api.example.com"]
    settings.SNIPIX_AUTH = "accounts"
    settings.METRICS_TOKEN = "s3cr3t"

    assert not _found(deploy=True)


def test_a_fresh_clone_passes_the_checks_of_every_command() -> None:
    done = _check()

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_the_database_is_checked_when_asked_for() -> None:
    uri = os.environ["MONGODB_URI"]

    assert _check("--database", "default", MONGODB_URI=uri).returncode == 0
    done = _check("--database", "default", MONGODB_URI="mongodb://a:s3cr3t@127.0.0.1:1/")
    assert done.returncode == 1
    assert "(snipix.E017) MongoDB can't be reached." in done.stderr
    assert "s3cr3t" not in done.stderr


def test_wrong_settings_keep_gunicorn_from_starting(tmp_path: Path) -> None:
    env = {**os.environ, "SECRET_KEY": "s3cr3t", "PAGE_SIZE": "1000"}
    running = WatchedWeb(tmp_path, env=env)
    with pytest.raises(local.LocalError, match="didn't start"):
        running.start()

    assert "snipix.E003" in running.printed()
    assert "snipix.E009" in running.printed()
    assert "s3cr3t" not in running.printed()


# --- .env.example ----------------------------------------------------------------------------


def _example() -> tuple[str, str]:
    defaults, _, production = (ROOT / ".env.example").read_text().partition(PRODUCTION)
    return defaults, production


def _uncommented(text: str) -> dict[str, str]:
    lines = (line.removeprefix("#") for line in text.splitlines() if re.match("#[A-Z]", line))
    return {
        name: value or ""
        for name, value in dotenv_values(stream=StringIO("\n".join(lines))).items()
    }


def test_the_example_documents_every_variable() -> None:
    read = set[str]()
    for path in ("snipix/settings.py", "snipix/gunicorn.py"):
        source = (ROOT / path).read_text()
        read |= set(re.findall(r'\benv(?:ironment)?\.[a-z]+\(\s*"([A-Z_]+)"', source))
        read |= set(re.findall(r'os\.environ\.get\("([A-Z_]+)"', source))

    assert len(read) > 30
    assert set(_uncommented(_example()[0])) == read


def test_the_example_tells_the_true_defaults(tmp_path: Path) -> None:
    defaults = _uncommented(_example()[0])
    defaults.pop("PROMETHEUS_MULTIPROC_DIR")

    assert _effective(tmp_path, **defaults) == _effective(tmp_path)


def _effective(folder: Path, **env: str) -> dict[str, Any]:
    """All settings, of gunicorn too, as a process with these variables sees them."""
    program = """
import json
from snipix import gunicorn, settings
found = {name: value for name, value in vars(settings).items() if name.isupper()}
found |= {name: getattr(gunicorn, name) for name in ("bind", "forwarded_allow_ips")}
print(json.dumps(found, default=lambda value: type(value).__name__))
"""
    done = _run("-c", program, TMPDIR=str(folder), **env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_production_example_is_accepted() -> None:
    defaults, production = (_uncommented(text) for text in _example())
    assert set(production) < set(defaults)
    assert production["MONGODB_URI"].startswith("mongodb+srv://")
    assert production["REDIS_URL"].startswith("rediss://")
    # What it leaves empty is a secret that everyone has to make.
    filled = {name: value or secrets.token_urlsafe(50) for name, value in production.items()}

    done = _check("--deploy", "--fail-level", "WARNING", **filled)

    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout


def test_the_production_example_asks_for_its_secrets() -> None:
    done = _check("--deploy", **_uncommented(_example()[1]))

    assert {"snipix.E003", "snipix.W003"} <= set(re.findall(r"snipix\.[EW]\d+", done.stderr))
