import numpy as np

from geometry.mesh import Mesh
from geometry.shading_normals import face_vectors

_RECORD = np.dtype([("normal", "<f4", (3,)), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def write_mesh(mesh: Mesh) -> bytes:
    """The mesh as a binary STL file. STL has no colour; facets without area get a zero normal."""
    records = np.zeros(len(mesh.faces), _RECORD)
    records["corners"] = mesh.vertices[mesh.faces]
    areas = face_vectors(mesh.vertices, mesh.faces)
    length = np.linalg.norm(areas, axis=1, keepdims=True)
    records["normal"] = np.divide(areas, length, out=np.zeros_like(areas), where=length > 0)
    # A header that began with "solid" would be taken for the text form.
    header = b"binary STL, bozzetto".ljust(80, b"\0")
    return header + np.uint32(len(records)).tobytes() + records.tobytes()
