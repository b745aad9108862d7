"""Jobs to text and back, whatever version wrote them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.jobs import Artifact, JobError, JobState, Preview, Progress, request_to_json
from service.queue.codec import decode_job, pair_up, to_json
from tests.service.queue.kit import HOPELESS, MESH, make_request

MINIMAL = {
    "id": "ab",
    "request": request_to_json(make_request()),
    "state": "queued",
    "created_at": "12.5",
    "attempt": "0",
}
texts = st.text(max_size=20)


def test_what_is_not_there_has_its_default() -> None:
    job = decode_job(MINIMAL)
    assert (job.state, job.created_at, job.request) == (JobState.QUEUED, 12.5, make_request())
    assert (job.progress, job.artifacts, job.error, job.metrics) == (Progress(), (), None, {})
    assert (job.started_at, job.finished_at, job.expires_at) == (None, None, None)


def test_fields_of_a_newer_version_are_ignored() -> None:
    request = json.loads(MINIMAL["request"])
    newer = {
        **MINIMAL,
        "request": json.dumps(
            {**request, "v": 2, "views": 4, "input": {**request["input"], "depth": 16}}
        ),
        "shape": "round",
        "progress": '{"percent":5,"mood":"fine","preview":null}',
        "error": json.dumps({**json.loads(to_json(HOPELESS)), "cause": []}),
        "artifacts": json.dumps([{**json.loads(to_json([MESH]))[0], "colour": 1}]),
    }
    job = decode_job(newer)
    assert (job.progress, job.error, job.artifacts) == (Progress(percent=5), HOPELESS, (MESH,))
    assert job.request == make_request()


@given(
    artifacts=st.lists(
        st.builds(Artifact, texts, texts, texts, st.integers(0, 2**40), texts), max_size=3
    ),
    error=st.builds(JobError, texts, texts, st.booleans(), st.none() | texts),
    metrics=st.dictionaries(texts, st.floats(allow_nan=False, allow_infinity=False), max_size=4),
)
def test_results_come_back_as_they_went(artifacts, error, metrics) -> None:
    job = decode_job(
        {
            **MINIMAL,
            "artifacts": to_json(artifacts),
            "error": to_json(error),
            "metrics": to_json(metrics),
        }
    )
    assert (job.artifacts, job.error, job.metrics) == (tuple(artifacts), error, metrics)


@given(
    st.builds(
        Progress,
        st.floats(0, 100),
        texts,
        st.integers(0, 200),
        st.integers(0, 200),
        st.none() | st.builds(Preview, texts, texts, st.integers(0), st.integers(0)),
    )
)
def test_progress_comes_back_as_it_went(progress) -> None:
    assert decode_job({**MINIMAL, "progress": to_json(progress)}).progress == progress


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_no_json_that_others_cannot_read(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json({"gpu_seconds": number})


def test_pairs() -> None:
    assert pair_up(["a", "1", "b", "2"]) == {"a": "1", "b": "2"}
    with pytest.raises(ValueError, match="shorter"):
        pair_up(["a"])
