"""docs/api.md and docs/openapi.json against the code."""

import json
import re
import shlex
from pathlib import Path

import pytest

from models.catalog import OUTPUTS, PARAMETERS, SAMPLERS
from service.errors import CATALOGUE
from service.gateway import openapi
from service.gateway.fields import JOB_FIELDS
from service.schemas import JobObject, Problem
from tests.service.gateway.kit import problem

DOCS = Path(__file__).parents[3] / "docs"
API = (DOCS / "api.md").read_text("utf-8")


def error_rows():
    for code, info in CATALOGUE.items():
        retryable = "yes" if info.retryable else "no"
        yield f"| {info.status or ''} | `{code}` | {retryable} | {info.hint} |".replace(
            "|  |", "| |"
        )


def first_cells(heading):
    """The names in the first column of the table under a heading."""
    section = API.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])]


def test_the_openapi_document_is_current():
    committed = (DOCS / "openapi.json").read_text("utf-8")
    assert committed == openapi.render(), "run: python -m service.gateway.openapi"


def test_the_error_catalogue_is_whole():
    table = API.split("| Status | Code | Retryable | Hint |\n|---|---|---|---|\n")[1].split("\n\n")[
        0
    ]
    assert table.splitlines() == list(error_rows())


def test_the_fields_are_those_of_the_code():
    parameters = [item.name for item in PARAMETERS]
    assert first_cells("Fields of a submit") == ["image", "mask", *JOB_FIELDS, *parameters]
    for sampler in SAMPLERS:
        assert f"`{sampler}`" in API
    for output in OUTPUTS:
        assert f"`{output}`" in API


def test_the_job_has_these_fields():
    assert set(first_cells("The job")) == set(JobObject.model_fields)


def test_the_problem_has_these_fields():
    section = API.split("## Errors\n")[1]
    for name in Problem.model_fields:
        assert f"`{name}`" in section


async def test_every_call_is_described(client):
    document = (await client.get("/openapi.json")).json()
    calls = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert set(first_cells("Calls")) - {"HEAD"} == calls
    statuses = {
        int(status)
        for methods in document["paths"].values()
        for operation in methods.values()
        for status in operation["responses"]
    }
    assert {info.status for info in CATALOGUE.values() if info.status} - statuses <= {405, 500}


async def test_the_served_document_is_the_committed_one(client):
    served = (await client.get("/openapi.json")).json()
    version = served["info"].pop("version")
    assert version
    committed = json.loads((DOCS / "openapi.json").read_text("utf-8"))
    committed["info"].pop("version")
    assert served == committed


@pytest.mark.parametrize(
    "line", [line for line in API.splitlines() if line.startswith("curl ")], ids=lambda x: x[:60]
)
async def test_curl_lines_ask_for_what_exists(client, line):
    words = shlex.split(line.replace("$ID", "0" * 32))
    url = next(word for word in words if word.startswith("http"))
    path = url.removeprefix("http://127.0.0.1:8000")
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    if "-F" in words or "--data-binary" in words:
        method = "POST"
    response = await client.request(method, path)
    if "/jobs/" in path:
        assert problem(response, 404, "not_found")["detail"] == "no such job"
    elif method == "POST":
        problem(response, 415, "unsupported_type")
    else:
        assert response.status_code == 200
