"""Lists of the admin site that an index serves, however many documents there are.

Django's own would sort in memory (the ORM computes fields before it sorts), count everything, load
documents of a megabyte to show their names, and ask for the user of every row.
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from bson import ObjectId
from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import User
from django.core.exceptions import EmptyResultSet, ValidationError
from django.core.paginator import InvalidPage, Page, Paginator
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django_mongodb_backend.queryset import RawQuerySet

from snipix.mongo import connection

MOST = 2_000
"""Documents that can be paged through: an offset costs more with every page. Then search."""


def user_names(ids: Iterable[Any]) -> dict[str, str]:
    """The names of users, by id as text: one plain query instead of a join."""
    keys = [ObjectId(key) for key in set(map(str, ids)) if ObjectId.is_valid(key)]
    found = User.objects.filter(pk__in=keys).values_list("pk", "username") if keys else ()
    return {str(key): name for key, name in found}


def user_id_of(name: str) -> str | None:
    """The id of the user who has this name."""
    key = User.objects.filter(username=name).values_list("pk", flat=True).first()
    return None if key is None else str(key)


class IndexedPages(Paginator):
    """Pages of a query in the order of an index, without its `heavy` fields."""

    def __init__(
        self, queryset: models.QuerySet[Any], per_page: int, *, heavy: Sequence[str] = ()
    ) -> None:
        super().__init__(queryset, per_page)
        self.queryset = queryset
        self.model = queryset.model
        self.heavy = heavy

    @cached_property
    def match(self) -> dict[str, Any] | None:
        """The query as a MongoDB filter; None for one that finds nothing by its nature."""
        compiler: Any = self.queryset.query.get_compiler(connection.alias)
        try:
            compiler.pre_sql_setup()
            found: dict[str, Any] = compiler.build_query().match_mql
        except EmptyResultSet:
            return None
        return found

    @cached_property
    def count(self) -> int:
        """How many there are: MOST, if there are more."""
        if self.match is None:
            return 0
        collection = connection.get_collection(self.model._meta.db_table)
        counted = [{"$match": self.match}, {"$limit": MOST}, {"$count": "documents"}]
        return sum(each["documents"] for each in collection.aggregate(counted))

    @property
    def is_cut(self) -> bool:
        return self.count >= MOST

    def page(self, number: Any) -> Page:
        number = self.validate_number(number)
        return Page(self._documents((number - 1) * self.per_page), number, self)

    def _documents(self, first: int) -> list[Any]:
        if not self.count:
            return []
        pipeline: list[dict[str, Any]] = [
            {"$match": self.match},
            {"$sort": dict(map(self._direction, self.queryset.query.order_by))},
            {"$skip": first},
            {"$limit": self.per_page},
        ]
        if self.heavy:
            pipeline.append({"$project": {self._column(name): 0 for name in self.heavy}})
        return list(RawQuerySet(pipeline, model=self.model, using=connection.alias))

    def _direction(self, order: Any) -> tuple[str, int]:
        return self._column(order.removeprefix("-")), -1 if order.startswith("-") else 1

    def _column(self, name: str) -> str:
        field = self.model._meta.pk if name == "pk" else self.model._meta.get_field(name)
        return str(field.column)


class IndexedChangeList(ChangeList):
    """A list in the one order that its admin declares, with the users' names at hand."""

    model_admin: "IndexedAdmin"

    def get_ordering(self, request: HttpRequest, queryset: Any) -> list[Any]:
        return list(self.model_admin.get_ordering(request))

    def get_results(self, request: HttpRequest) -> None:
        pages = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)
        try:
            self.result_list = pages.page(self.page_num).object_list
        except InvalidPage as error:
            raise IncorrectLookupParameters from error
        self.paginator = pages
        self.result_count = pages.count
        # Equal numbers aren't shown; to a search the list says how many it has found.
        self.full_result_count = None if self.query else pages.count
        self.show_admin_actions = True
        self.can_show_all = False
        self.multi_page = pages.num_pages > 1
        self._name_users()

    def _name_users(self) -> None:
        field = self.model_admin.user_field
        names = user_names(getattr(row, field) for row in self.result_list)
        for row in self.result_list:
            row.user_names = names


class PoliteActions(admin.ModelAdmin):
    """Actions on ids that are none answer with a message."""

    def response_action(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        try:
            return super().response_action(request, *args, **kwargs)
        except ValidationError:
            self.message_user(request, "What was selected isn't there.", messages.ERROR)
            return None


class IndexedAdmin(PoliteActions):
    """What all our admins have in common: fast lists, and ids of any kind in addresses."""

    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    search_fields = ("project_id",)
    search_help_text = "A project's id, in full."
    change_list_template = "admin/indexed_list.html"
    ordering: ClassVar[Any] = ("-pk",)
    indexed: Sequence[str] = ("project_id",)
    """Fields that addresses may filter by."""
    heavy: Sequence[str] = ()
    """Fields that lists don't load."""
    user_field = "user_id"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return IndexedChangeList

    def get_paginator(
        self,
        request: HttpRequest,
        queryset: Any,
        per_page: int,
        orphans: int = 0,
        allow_empty_first_page: bool = True,
    ) -> IndexedPages:
        return IndexedPages(queryset, per_page, heavy=self.heavy)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup in self.indexed

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        term = search_term.strip()
        return (self.find(queryset, term) if term else queryset), False

    def find(self, queryset: models.QuerySet[Any], term: str) -> models.QuerySet[Any]:
        """What a person searches for, by an index."""
        return queryset.filter(project_id=term)

    @admin.display(description="by")
    def who(self, row: Any) -> str:
        key = str(getattr(row, self.user_field))
        names = row.user_names if hasattr(row, "user_names") else user_names([key])
        return names.get(key, key)


class ReadOnly:
    """Nobody changes them here, whatever rights they have. (A mixin for admins.)"""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
