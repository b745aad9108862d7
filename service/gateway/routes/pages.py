"""The viewer page, the elements for other pages and the API reference: no other host is asked."""

from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.errors import NotFoundError
from service.gateway.package_files import PackageFile, read_folder

STATIC: Final = Path(__file__).parents[1] / "static"

# `wasm-unsafe-eval` lets WebAssembly be compiled, which unpacks compressed meshes, and no text.
# Results are read from blob: and data: addresses.
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
        "img-src 'self' blob: data:; connect-src 'self' blob: data:; media-src 'self' blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "Permissions-Policy": "camera=(self), xr-spatial-tracking=(self)",
    "Referrer-Policy": "no-referrer",
}
# Pages of any site may load the elements; what these then ask the API for is another matter.
_FILE_HEADERS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Cross-Origin-Resource-Policy": "cross-origin",
}

router = APIRouter(include_in_schema=False)


@cache
def load_files() -> dict[str, PackageFile]:
    """All files of the page, read and compressed once."""
    return read_folder(STATIC)


@router.get("/")
@router.head("/")
async def viewer(request: Request) -> Response:
    return load_files()["index.html"].answer(request.headers, _PAGE_HEADERS)


@router.get("/docs")
@router.head("/docs")
async def reference(request: Request) -> Response:
    return load_files()["docs.html"].answer(request.headers, _PAGE_HEADERS)


@router.get("/static/{path:path}")
@router.head("/static/{path:path}")
async def static_file(path: str, request: Request) -> Response:
    file = load_files().get(path)
    if file is None:
        raise NotFoundError(f"no file {path[:64]}")
    # A page is one under this address too: no other site may frame it.
    is_page = file.media_type == "text/html"
    return file.answer(request.headers, _PAGE_HEADERS if is_page else _FILE_HEADERS)
