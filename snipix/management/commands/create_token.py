"""`manage.py create_token USER`"""

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from snipix.accounts import Token
from snipix.times import now

MAX_DAYS = 36_500


class Command(BaseCommand):
    help = "Make a bearer token for a user and print it: the only time that it can be read."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", help="the user's name")
        parser.add_argument("--name", default="", help="what the token is for")
        parser.add_argument("--days", type=int, help="it expires after so many days")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']!r}; see createsuperuser.")
        days = options["days"]
        if days is not None and not 1 <= days <= MAX_DAYS:
            raise CommandError(f"--days must be from 1 to {MAX_DAYS:,}; leave it out for no end.")
        expires_at = None if days is None else now() + timedelta(days=days)
        self.stdout.write(Token.issue(user, options["name"], expires_at))
