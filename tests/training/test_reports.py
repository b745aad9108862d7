import json

import pytest

from training.reports import category_table, from_table, overall_table, read, to_table, write
from training.summary import Scored, compare, summarise


def scored(path, value, *, colour=None, refused=False):
    row = {"f@0.01": value, "f@0.02": value, "f@0.05": value, "cd": value}
    if colour is not None:
        row["colour"] = colour
    return Scored(path, 0, "chair", {"raw": row, "st": row}, refused, seconds=0.25)


def test_a_table_of_pictures_comes_back_as_it_was():
    items = [scored("a", 0.5, colour=12.0), scored("b", 0.25, refused=True)]
    assert from_table(json.loads(json.dumps(to_table(items)))) == items


def test_a_file_has_a_line_for_each_picture(tmp_path):
    report = {"seed": 0, "pictures": to_table([scored("a", 0.5), scored("b", 0.25)]), "none": []}
    write(report, tmp_path / "deep" / "file.json")
    text = (tmp_path / "deep" / "file.json").read_text()
    assert read(tmp_path / "deep" / "file.json") == report
    assert sum('"chair"' in line for line in text.splitlines()) == 2


def test_no_file_is_an_empty_one(tmp_path):
    assert read(tmp_path / "none.json") == {}


def test_the_tables_say_which_is_above_in_which_category():
    ours = [scored(f"a{k}", 0.5) for k in range(5)]
    theirs = [scored(f"a{k}", 0.4) for k in range(5)]
    lines = category_table(compare(ours, theirs), "draft", "retrieval").splitlines()
    assert lines[2] == "| chair | 5 | 0.500 | 0.400 | +0.100 (+0.100 to +0.100) | yes |"
    assert lines[-1].startswith("| overall |  | 0.500 | 0.400 |")
    overall = overall_table({"draft": summarise(ours)}).splitlines()
    assert overall[-1].startswith("| draft | 0.500 (0.500-0.500) |")
    assert overall[-1].endswith("| 5 |")


@pytest.mark.parametrize("value", [{}, {"a": {}}, {"a": [1, 2]}, {"a": [[1], [2]], "b": "x"}])
def test_what_is_written_is_json(tmp_path, value):
    write(value, tmp_path / "file.json")
    assert json.loads((tmp_path / "file.json").read_text()) == value
