"""An upload whose commit nobody has heard of: its files stay, in case the project names them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pymongo.errors import AutoReconnect

from projects.models import Project
from snipix import local
from snipix.local.processes import wait_until
from tests.conftest import Api
from tests.faults import test_commit
from tests.faults.test_commit import Commits
from tests.media.conftest import files, upload
from tests.media.films import film

commits, mongo = test_commit.commits, test_commit.mongo


def test_a_file_that_a_project_may_name_stays(
    mongo: local.Mongo, commits: Commits, media: Path
) -> None:
    api = Api()
    api.create("Film", id="film")

    def lost_with_the_server(send: Callable[[], Any]) -> Any:
        send()
        mongo.kill()
        raise AutoReconnect("connection closed")

    commits.fates = [lost_with_the_server]
    response = upload(api, "film", idempotency_key="k")
    assert (response.status_code, response.json()["code"]) == (503, "outcome-unknown")
    assert len(files(media)) == 2
    mongo.start()
    assert wait_until(test_commit.is_back, seconds=30)
    assert Project.objects.get().version == 2
    assert api("GET", "/projects/film/video/").getvalue() == film()
    assert upload(api, "film", idempotency_key="k").status_code == 201
    assert len(files(media)) == 2
    assert Project.objects.get().version == 2
