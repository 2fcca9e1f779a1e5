"""The migrations say what the models say."""

from django.core.management import call_command


def test_no_migration_is_missing(db, capsys):
    # Here rather than among the linters, since Django asks the database for its history.
    call_command("makemigrations", "--check", "--dry-run")
    assert "No changes detected" in capsys.readouterr().out
