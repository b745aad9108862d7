import gzip

import pytest

from service.gateway.headers import accepts_gzip
from service.gateway.package_files import read_folder


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP, br", True),
        ("br;q=1.0, gzip;q=0.5", True),
        ("*", True),
        ("br, *;q=0.1", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("identity", False),
        ("br", False),
    ],
)
def test_accepts_gzip(header, accepted):
    assert accepts_gzip(header) is accepted


async def test_text_is_sent_compressed_to_those_who_take_it(client):
    plain = await client.get("/static/docs.html", headers={"Accept-Encoding": "identity"})
    packed = await client.get("/static/docs.html", headers={"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
    assert plain.headers["etag"] != packed.headers["etag"]


async def test_pictures_are_sent_as_they_are(client):
    answer = await client.get("/static/examples/duck.webp", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    assert answer.headers["content-type"] == "image/webp"


@pytest.mark.parametrize("coding", ["gzip", "identity"])
@pytest.mark.parametrize("path", ["/", "/docs", "/static/icon.svg"])
async def test_what_a_browser_has_is_not_sent_again(client, path, coding):
    headers = {"Accept-Encoding": coding}
    first = await client.get(path, headers=headers)
    assert first.headers["cache-control"] == "no-cache"
    again = await client.get(path, headers=headers | {"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = await client.head(path, headers=headers)
    assert (head.status_code, head.content) == (200, b"")


async def test_pages_of_other_sites_may_load_the_elements(client):
    answer = await client.get("/static/icon.svg", headers={"Origin": "https://shop.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
    page = await client.get("/", headers={"Origin": "https://shop.example"})
    assert "access-control-allow-origin" not in page.headers


def test_a_folder_is_read_with_what_lies_below(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.js").write_text("export {};\n" * 100)
    (tmp_path / "tiny.txt").write_text("x")
    files = read_folder(tmp_path)
    assert set(files) == {"deep/a.js", "tiny.txt"}
    script = files["deep/a.js"]
    assert script.media_type == "text/javascript"
    assert script.zipped is not None
    assert gzip.decompress(script.zipped) == script.data
    assert files["tiny.txt"].zipped is None
