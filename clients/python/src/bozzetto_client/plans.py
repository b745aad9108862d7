"""Every call of the API as a plan: what to send, when to wait, what to make of the answers.

A plan is a generator that does no I/O. It yields a `Call` and is sent the `Answer`, or is thrown a
`ConnectionLostError`; or it yields a `Pause`. The two clients carry the same plans out, one by
blocking and one by awaiting.
"""

import json
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

from bozzetto_client.errors import (
    BozzettoError,
    ConflictError,
    ConnectionLostError,
    NotFoundError,
    UnexpectedAnswerError,
    error_of_answer,
    error_of_job,
)
from bozzetto_client.files import check
from bozzetto_client.objects import Job, JobPage, Model, models_of
from bozzetto_client.pictures import Picture, media_type, read_picture
from bozzetto_client.retry import RetryPolicy, Tries, retry_after_s

T = TypeVar("T")

VERSION: Final = "0.1.0"


@dataclass(frozen=True, slots=True)
class Call:
    """A request, with its path below the server's address. `files` make it a form."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, tuple[str, bytes, str]] = field(default_factory=dict)  # name, bytes, type


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # looked up in any case
    body: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    seconds: float


Plan = Generator[Call | Pause, Answer, T]


def address(server: str) -> str:
    """The server's address without a slash at its end. Raises ValueError."""
    parts = urlsplit(server)
    # A port out of range raises a ValueError of its own.
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError(f"a server is an address such as http://127.0.0.1:8000, not {server!r}")
    return server.rstrip("/")


def standing_headers(api_key: str | None) -> dict[str, str]:
    """Those of every request. Raises ValueError for a key that no header can hold."""
    if api_key and not (api_key.isascii() and api_key.isprintable()):
        raise ValueError("an API key is printable ASCII; is there a line end in it?")
    headers = {"User-Agent": f"bozzetto-client/{VERSION} python"}
    return headers | ({"Authorization": f"Bearer {api_key}"} if api_key else {})


def send(call: Call, policy: RetryPolicy) -> Plan[Answer]:
    """The first good answer. Raises BozzettoError when there is none."""
    tries = Tries(policy)
    lost = False
    while True:
        try:
            answer = yield call
        except ConnectionLostError as connection:
            lost = True
            yield Pause(tries.pause_after(connection))
            continue
        error = error_in(answer)
        if error is None:
            return answer
        if lost and call.method == "DELETE" and isinstance(error, NotFoundError):
            return answer  # the try whose answer was lost has done it
        yield Pause(tries.pause_after(error))


def error_in(answer: Answer) -> BozzettoError | None:
    """None when the call was answered as it was meant."""
    if answer.status < 300:
        return None
    if answer.status < 400:
        return UnexpectedAnswerError(
            f"the server points elsewhere: {answer.headers.get('location')}",
            status=answer.status,
            hint="Give that address, without the path of the call, as the server's.",
        )
    wait = retry_after_s(answer.headers.get("retry-after"))
    return error_of_answer(answer.status, answer.body, wait)


def read_models(policy: RetryPolicy) -> Plan[tuple[Model, ...]]:
    return _read((yield from send(Call("GET", "/models"), policy)), models_of)


def read_model(model_id: str, policy: RetryPolicy) -> Plan[Model]:
    path = f"/models/{quote(model_id, safe='')}"
    return _read((yield from send(Call("GET", path), policy)), Model.of)


def submit(
    image: Picture,
    mask: Picture | None,
    fields: Mapping[str, Any],
    key: str | None,
    policy: RetryPolicy,
) -> Plan[Job]:
    """The key is what makes it safe to send a submit again: the server then knows it already."""
    files = {"image": _part("image", image)}
    if mask is not None:
        files["mask"] = _part("mask", mask)
    form = {name: text for name, value in fields.items() if (text := _text(value)) is not None}
    headers = {"Idempotency-Key": key or uuid.uuid4().hex}
    call = Call("POST", "/reconstruct", headers=headers, form=form, files=files)
    return _read((yield from send(call, policy)), Job.of)


def read_job(job: str | Job, policy: RetryPolicy) -> Plan[Job]:
    return _read((yield from send(Call("GET", job_path(job)), policy)), Job.of)


def read_jobs(
    state: str | None, cursor: str | None, limit: int | None, policy: RetryPolicy
) -> Plan[JobPage]:
    wanted = {"state": state, "cursor": cursor, "limit": limit}
    query = {name: str(value) for name, value in wanted.items() if value is not None}
    return _read((yield from send(Call("GET", "/jobs", query), policy)), JobPage.of)


def cancel(job: str | Job, policy: RetryPolicy) -> Plan[Job]:
    try:
        answer = yield from send(Call("POST", f"{job_path(job)}/cancel"), policy)
    except ConflictError:
        # Perhaps it was our own first try that ended it, and only the answer was lost.
        found = yield from read_job(job, policy)
        if found.status != "canceled":
            raise
        return found
    return _read(answer, Job.of)


def delete(job: str | Job, policy: RetryPolicy) -> Plan[None]:
    yield from send(Call("DELETE", job_path(job)), policy)


def download(job: str | Job, name: str, policy: RetryPolicy) -> Plan[bytes]:
    known = job if isinstance(job, Job) else None
    if known is None or not known.final:
        known = yield from read_job(job, policy)
    artifact = known.artifact(name)
    if artifact is None:
        names = ", ".join(item.name for item in known.artifacts) or "none"
        raise NotFoundError(
            f"the job, which is {known.status}, has no artifact {name}; it has {names}"
        )
    path = f"{job_path(known)}/artifacts/{quote(name, safe='')}"
    answer = yield from send(Call("GET", path), policy)
    return check(artifact, answer.body)


def job_path(job: str | Job) -> str:
    return f"/jobs/{quote(job.id if isinstance(job, Job) else job, safe='')}"


def succeeded(job: Job) -> Job:
    """The job, if it has a result. Raises JobFailedError."""
    if not job.succeeded:
        raise error_of_job(job)
    return job


def _read(answer: Answer, convert: Callable[[Mapping[str, Any]], T]) -> T:
    try:
        return convert(json.loads(answer.body))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnexpectedAnswerError(
            f"the answer is not that of a Bozzetto server: {error!r}",
            status=answer.status,
            hint="Check the server's address.",
        ) from error


def _part(name: str, picture: Picture) -> tuple[str, bytes, str]:
    data = read_picture(picture)
    return name, data, media_type(data)


def _text(value: object) -> str | None:
    """A form field's text; None is not sent."""
    match value:
        case None:
            return None
        case bool():
            return str(value).lower()
        case Mapping():
            return json.dumps(value)
        case list() | tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)
