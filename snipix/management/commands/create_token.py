"""`manage.py create_token USER`"""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from snipix import times
from snipix.accounts import Token
from snipix.commands import OperatorCommand, whole_number

MAX_DAYS = 36_500


class Command(OperatorCommand):
    """Thin shell around `snipix.accounts.Token`."""

    help = (
        "Make a bearer token for a user and print it: the only time that it can be read. Each run "
        "makes another one; those that aren't needed any more are revoked on the admin site."
    )
    example = "create_token alice --name laptop --days 90"
    needs_whole_database = True

    repeating = (
        "No token was printed. If one was made all the same, nobody can read it: revoke it on the "
        "admin site. Run it again for another."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the user's name")
        parser.add_argument("--name", default="", help="what the token is for")
        parser.add_argument(
            "--days",
            metavar="DAYS",
            type=whole_number(1, MAX_DAYS),
            help="it expires after so many days; leave it out for no end",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']!r}; see createsuperuser.")
        days = options["days"]
        expires_at = None if days is None else times.now() + timedelta(days=days)
        try:
            secret = Token.issue(user, options["name"], expires_at)
        except ValidationError as error:
            raise CommandError(f"--name: {' '.join(error.messages)}") from error
        found = {
            "user": user.username,
            "name": options["name"],
            "expires_at": expires_at and times.write(expires_at),
            "token": secret,
        }
        # Also with --verbosity 0: who asks for a token wants to read it.
        self.report(found, {**options, "verbosity": 1}, lambda _: [secret])
