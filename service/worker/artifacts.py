import hashlib
from collections.abc import Iterable

from service.jobs import Artifact
from service.store.contract import Store
from service.worker.pipeline import Output


def store_outputs(store: Store, folder: str, outputs: Iterable[Output]) -> list[Artifact]:
    """Put each file under `folder/<name>`; they are unseen until the job is finished with them.

    Raises:
        StoreFullError, StoreError.
    """
    artifacts = []
    for output in outputs:
        key = f"{folder}/{output.name}"
        store.put(key, output.data)
        artifacts.append(
            Artifact(
                name=output.name,
                key=key,
                format=output.format,
                bytes=len(output.data),
                sha256=hashlib.sha256(output.data).hexdigest(),
                points=output.points,
                vertices=output.vertices,
                faces=output.faces,
                quality=output.quality,
            )
        )
    return artifacts
