"""Pictures to 3D objects by way of a Bozzetto server.

>>> from bozzetto_client import Bozzetto
>>> with Bozzetto("http://127.0.0.1:8000") as client:
...     job = client.reconstruct("chair.jpg")
...     client.download(job, "mesh.glb", "chair.glb")
"""

from bozzetto_client.async_client import AsyncBozzetto
from bozzetto_client.client import Bozzetto
from bozzetto_client.errors import (
    AuthenticationError,
    BozzettoError,
    ChecksumError,
    ConflictError,
    ConnectionLostError,
    GoneError,
    InvalidRequestError,
    JobCanceledError,
    JobExpiredError,
    JobFailedError,
    NotFoundError,
    PermissionDeniedError,
    ProblemItem,
    RateLimitedError,
    ServerError,
    UnexpectedAnswerError,
    WaitTimeoutError,
)
from bozzetto_client.events import Cloud, DoneEvent, JobEvent, ProgressEvent, StateEvent
from bozzetto_client.objects import (
    Artifact,
    Job,
    JobFailure,
    JobPage,
    Licence,
    Model,
    Parameter,
    Preview,
    Progress,
    Quality,
    QueuePlace,
)
from bozzetto_client.pictures import Picture
from bozzetto_client.retry import RetryPolicy

__all__ = [
    "Artifact",
    "AsyncBozzetto",
    "AuthenticationError",
    "Bozzetto",
    "BozzettoError",
    "ChecksumError",
    "Cloud",
    "ConflictError",
    "ConnectionLostError",
    "DoneEvent",
    "GoneError",
    "InvalidRequestError",
    "Job",
    "JobCanceledError",
    "JobEvent",
    "JobExpiredError",
    "JobFailedError",
    "JobFailure",
    "JobPage",
    "Licence",
    "Model",
    "NotFoundError",
    "Parameter",
    "PermissionDeniedError",
    "Picture",
    "Preview",
    "ProblemItem",
    "Progress",
    "ProgressEvent",
    "Quality",
    "QueuePlace",
    "RateLimitedError",
    "RetryPolicy",
    "ServerError",
    "StateEvent",
    "UnexpectedAnswerError",
    "WaitTimeoutError",
]
