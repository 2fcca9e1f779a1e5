"""What looks for leaks finds them."""

from pathlib import Path

from tests.secrecy import CONTENT, TRACEBACKS, Log, leaks


def test_a_leak_is_told_with_its_line() -> None:
    lines = ["all is well", f"saved {CONTENT}", f"again {CONTENT}"]
    assert leaks(lines, [CONTENT, "s3cr3t", *TRACEBACKS]) == [f"{CONTENT} in saved {CONTENT}"]


def test_a_log_is_read_on_also_when_it_was_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "web.log"
    path.write_text("one\n")
    log = Log(path)
    assert log.unread() == ["one\n"]
    with path.open("a") as file:
        file.write("two\n")
    path.rename(tmp_path / "web.old.log")
    path.write_text("three\n")
    assert (log.unread(), log.unread()) == (["two\n", "three\n"], [])
    log.close()
