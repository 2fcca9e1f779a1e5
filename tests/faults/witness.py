"""What must be true of what is stored, whatever has been killed: asked from inside and outside."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from django.db.models import QuerySet

from projects.models import Project
from snipix import frames, history, states
from snipix.audit import AuditEntry
from snipix.demo.client import Client
from snipix.documents import Document
from snipix.idempotency import KeptAnswer
from tests.faults.savers import Save
from timelines.models import Timeline
from timelines.state import parse_save, summarise

REPEATS = 2
"""How many acknowledged saves of a project, besides the first, are sent again at the end, to get
the same answer."""


@dataclass
class Findings:
    """Numbers to print, and all that is wrong."""

    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0
    landed: int = 0
    """Saves of unknown outcome that are there."""
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.acknowledged:>5} acknowledged, {self.refused:>5} refused, "
            f"{self.unknown:>3} unknown ({self.landed} landed), "
            f"lost {len(self.lost)}, doubled {len(self.doubled)}"
        )

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.wrong)

    def add(self, other: "Findings") -> None:
        self.acknowledged += other.acknowledged
        self.refused += other.refused
        self.unknown += other.unknown
        self.landed += other.landed
        self.lost += other.lost
        self.doubled += other.doubled
        self.wrong += other.wrong


def examine(project_id: str, saves: Sequence[Save], client: Client) -> Findings:
    """Compare what was sent to one project, and answered, with what is stored and read."""
    findings = Findings()
    project = Project.everything.get(project_id=project_id)
    timeline = Timeline.of(project)
    there: set[str] = set()
    has_timeline = bool(timeline.version) or any(save.kind == timeline.kind for save in saves)
    for document in (project, timeline) if has_timeline else (project,):
        if not _is_whole(document, findings):
            return findings
        sent = [save for save in saves if save.kind == document.kind]
        there |= _examine_saves(document, sent, findings)
    _examine_answers(project, saves, there, findings)
    if timeline.version and project.timeline_state != _summary(timeline):
        findings.wrong.append(f"{project_id}: the summary isn't that of the timeline")
    if not project.is_deleted:
        _examine_from_outside(project, timeline, saves, client, findings)
    elif client.send("GET", f"/projects/{project_id}/").status != 404:
        findings.wrong.append(f"{project_id} is in the trash, and is read")
    return findings


def _summary(timeline: Timeline) -> dict:
    numbers = summarise(timeline.state)
    saved_at = timeline.updated_at.replace(tzinfo=None)  # as the driver reads it
    return {"version": timeline.version, **numbers, "saved_at": saved_at}


def _is_whole(document: Document, findings: Findings) -> bool:
    """Head, revisions and audit entries agree, and every version can be proven."""
    try:
        count = history.verify(document) if document.version else 0
    except history.HistoryDamaged as error:
        findings.wrong.append(str(error))
        return False
    revisions = list(history.of(document).values_list("pk", "version"))
    entries = list(_entries(document).values_list("pk", "from_version", "to_version"))
    if entries != [(pk, version - 1, version) for pk, version in revisions]:
        findings.wrong.append(f"{document.kind} {document.project_id}: audit and history differ")
    if [version for _, version in revisions] != list(range(1, count + 1)):
        findings.wrong.append(f"{document.kind} {document.project_id}: versions aren't 1 … n")
    return True


def _entries(document: Document) -> QuerySet[AuditEntry]:
    of = AuditEntry.objects.filter(document_id=document.pk, kind=document.kind)
    return of.order_by("to_version")


def _examine_saves(document: Document, saves: Sequence[Save], findings: Findings) -> set[str]:
    """Acknowledged saves are there as they were sent; refused ones aren't; none is twice.

    What made a version is known by the id of its request. Returns the tokens of those that are
    there.
    """
    stored = _stored(document)
    makers = dict(_entries(document).values_list("to_version", "request_id"))
    tokens = Counter(makers.values())
    sent = {save.token: save for save in saves}
    findings.doubled += [token for token, count in tokens.items() if count > 1 and token in sent]
    for version, token in makers.items():
        save = sent.get(token)
        if save and (save.base + 1 != version or not _is_what_was_sent(save, stored)):
            findings.wrong.append(f"{save.token}: version {version} isn't what was sent")
    for save in saves:
        is_there = bool(tokens[save.token])
        if save.is_acknowledged:
            findings.acknowledged += 1
            if makers.get(save.version) != save.token:
                findings.lost.append(f"{save.token}, acknowledged as version {save.version}")
        elif save.is_refused:
            findings.refused += 1
            if is_there:
                findings.wrong.append(f"{save.token} was refused, and is there")
        else:
            findings.unknown += 1
            findings.landed += is_there
    return set(tokens)


def _stored(document: Document) -> dict[int, object]:
    """Every version's state: all decoded in one go, and some by themselves."""
    stored, content = {}, b""
    for revision in history.of(document):
        is_whole = revision.full_version == revision.version
        content = frames.decompress(bytes(revision.frame), None if is_whole else content)
        stored[revision.version] = states.decode(content, document.state_type)
    for version in {(len(stored) + 1) // 2, len(stored)} & set(stored):
        assert history.read(document, version) == stored[version]
    return stored


def _is_what_was_sent(save: Save, stored: dict[int, object]) -> bool:
    """Whether the version after the one that it was made on is what a save had to make of that."""
    state = stored[save.base + 1]
    if (save.kind, save.method) == ("timeline", "PUT"):
        return state == parse_save(save.body)[0]
    if not save.base:
        return state.name == save.title
    before, after = states.to_builtins(stored[save.base]), states.to_builtins(state)
    match save.kind, save.method:
        case "timeline", "PATCH":
            return after == before | {"metadata": before["metadata"] | {"token": save.token}}
        case "project", "PATCH":
            return after == before | {"name": save.title}
    return after == before  # deleted, or restored


def _examine_answers(
    project: Project, saves: Sequence[Save], there: set[str], findings: Findings
) -> None:
    """An answer is kept exactly when its save, that had a key, is in the history."""
    kept = {a.key: a.answer for a in KeptAnswer.objects.filter(project_id=project.project_id)}
    keyed = {save.key: save for save in saves if save.key}
    recorded = {key for key, save in keyed.items() if save.token in there}
    findings.wrong += [f"{key}: an answer, and no version" for key in kept.keys() - recorded]
    findings.wrong += [f"{key}: a version, and no answer" for key in recorded - kept.keys()]
    for key in recorded & kept.keys():
        save = keyed[key]
        if save.is_acknowledged and save.reply.body != kept[key].body:
            findings.wrong.append(f"{save.token} was answered otherwise than what is kept")


def _examine_from_outside(
    project: Project, timeline: Timeline, saves: Sequence[Save], client: Client, findings: Findings
) -> None:
    """Over HTTP, the newest versions are what is stored, and keys get their old answers."""
    path = f"/projects/{project.project_id}/"
    seen = client.send("GET", path)
    for at, document in ((path, project), (f"{path}timeline/", timeline)):
        if document.version and list(_listed(at, client)) != list(range(document.version, 0, -1)):
            findings.wrong.append(f"{at}versions/ doesn't list every version")
    if (seen.json["version"], seen.json["name"]) != (project.version, project.name):
        findings.wrong.append(f"{path} reads as {seen.json}")
    if seen.json["timeline"]["version"] != timeline.version:
        findings.wrong.append(f"{path} shows the summary of another timeline")
    if timeline.version:
        read = client.send("GET", f"{path}timeline/")
        if (read.json["version"], read.etag) != (timeline.version, str(timeline.etag)):
            findings.wrong.append(f"{path}timeline/ reads as version {read.json['version']}")
        if parse_save(read.body)[0] != timeline.state:
            findings.wrong.append(f"{path}timeline/ reads as another state than what is stored")
    keyed = [save for save in saves if save.key and save.is_acknowledged]
    for save in keyed[:1] + keyed[1:][-REPEATS:]:
        again = client.send(save.method, save.path, save.body, **save.headers)
        if again.body != save.reply.body:
            findings.wrong.append(f"{save.token}, sent again, was answered otherwise")


def _listed(path: str, client: Client) -> Iterator[int]:
    """The versions that the API lists, page by page."""
    cursor: str | None = ""
    while cursor is not None:
        page = client.send("GET", f"{path}versions/?page_size=200{cursor}").json
        yield from (version["version"] for version in page["results"])
        cursor = f"&cursor={quote(page['next'])}" if page["next"] else None
