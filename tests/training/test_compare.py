import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.systems import ENCODER, PARAMETERS, PICTURE
from models.catalog import CATALOG
from models.errors import ParameterError
from tests.training.shapes import pack_mesh
from tests.training.shapes import sphere as sphere_mesh
from training import compare
from training.baselines import sphere
from training.comparison_picture import draw
from training.dataset import validation_picture
from training.reports import to_table
from training.summary import Scored

PAGE = compare.PAGE.read_text()
METRICS = ("cd", "f@0.02", "f@0.05")


def written(results, model, kind="cpu", **figures):
    hardware = {"processor": "abacus", "load_1_min": 0.1, "versions": {"torch": "9"}, "gpu": "H200"}
    content = {f"{model}: {name}": value for name, value in figures.items()}
    text = json.dumps({"hardware": hardware, "figures": content})
    (results / f"systems-{kind}.json").write_text(text)


def evaluated(results, model, **scores):
    """Results of a picture of each object, all metrics of it alike; CATEGORY_x are of one."""
    items = [
        Scored(name, 0, name.split("_")[0], {"st": dict.fromkeys(METRICS, value)}, False, 1)
        for name, value in scores.items()
    ]
    tables = {f"{model}, track {track}": to_table(items) for track in "AB"}
    (results / f"evaluation-{model}-val.json").write_text(json.dumps({"pictures": tables}))


def row(text, start):
    """Cells of the first row that starts so: presets stand before published sizes."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_says_what_the_results_say():
    assert compare.insert(PAGE, compare.RESULTS) == PAGE, "run `python -m training.compare`"


def test_no_system_is_left_out():
    missing = {card.id for card in CATALOG.values()} - {s.model for s in compare.SYSTEMS}
    assert not missing
    text = compare.render(compare.RESULTS)
    for system in compare.SYSTEMS:
        assert row(text, system.name)[1] == f"`{system.model}`"


def test_without_results_every_cell_says_so(tmp_path):
    text = compare.render(tmp_path)
    assert set(row(text, "Bozzetto")[2:]) == {"not measured"}
    untrained = [card.id for card in CATALOG.values() if not card.weights]
    for system in compare.SYSTEMS:
        quality = row(text, f"{system.name} (`{system.model}`)")[1:]
        expected = "not trained" if system.model in untrained else "not measured"
        assert set(quality) == {expected}, system


def test_measured_figures_stand_in_their_cells(tmp_path):
    written(tmp_path, "draft", **{PARAMETERS: 7.25, ENCODER: 5.5, PICTURE: 0.123})
    evaluated(tmp_path, "draft", a=0.25, b=0.75)
    text = compare.render(tmp_path)
    speed = row(text, "Bozzetto, one pass")
    assert speed[2] == "1.75 + 5.50"
    assert speed[5:7] == ["0.12", "not measured"]
    quality = row(text, "Bozzetto, one pass (`draft`)")
    assert quality[1:] == ["0.5000", "0.500", "0.500"] * 2


def test_rows_are_compared_on_the_pictures_that_all_have(tmp_path):
    evaluated(tmp_path, "draft", a=0.25, b=0.75)
    evaluated(tmp_path, "bozzetto-xs", b=0.5, c=0.125)
    text = compare.render(tmp_path)
    assert "Means over the 1 objects of the 1 pictures that all rows have" in text
    assert row(text, "Bozzetto, one pass (`draft`)")[1] == "0.7500"
    assert row(text, "Bozzetto (`bozzetto-xs`)")[1] == "0.5000"
    assert set(row(text, "sphere")[1:]) == {"not measured"}


def test_no_category_counts_alone_because_it_has_enough_objects(tmp_path):
    evaluated(tmp_path, "draft", a_1=0.5, a_2=0.5, a_3=0.5, a_4=0.5, a_5=0.5, b=0.8)
    quality = row(compare.render(tmp_path), "Bozzetto, one pass (`draft`)")
    assert quality[1] == "0.5500"


def test_a_study_of_steps_has_its_table(tmp_path):
    means = {"cd": 0.04, "f@0.02": 0.3, "f@0.05": 0.7}
    point = {"sampler": "ddim", "means": means, "interval": [0.2, 0.4], "seconds": 1.5}
    points = [{**point, "steps": n} for n in (16, 1000)]
    loss = {"sampler": "ddim", "steps": 16, "against": "ddim 1000", "loss": 0.015}
    report = {"model": "x-mini", "pictures": 6, "num_points": 2048, "points": points}
    report["losses"] = [{**loss, "interval": [-0.01, 0.04]}]
    (tmp_path / "steps-x-mini.json").write_text(json.dumps(report))
    lines = [line for line in compare.render(tmp_path).splitlines() if "`x-mini`" in line]
    assert lines == [
        "| `x-mini` | 6 | 2,048 | ddim | 16 | 0.0400 | 0.300 | 0.200 to 0.400 | 0.700 "
        "| +1.5% (-1.0% to +4.0%) | - | 1.50 |",
        "| `x-mini` | 6 | 2,048 | ddim | 1000 | 0.0400 | 0.300 | 0.200 to 0.400 | 0.700 "
        "| - | - | 1.50 |",
    ]


def test_a_model_without_steps_has_no_study():
    with pytest.raises(ParameterError, match="no such parameter"):
        compare.study(compare.parse(["--steps", "draft"]))


def test_a_column_for_each_model_and_a_row_for_each_picture(tmp_path):
    mesh = pack_mesh(*sphere_mesh(0.5, 24))
    shown = [validation_picture(mesh, 0, np.random.default_rng(k), 96, 512) for k in range(2)]
    path = tmp_path / "deep" / "sheet.png"
    draw(shown, {"one": [sphere(0.4, 300)] * 2, "two": [sphere(0.2, 300)] * 2}, path)
    with Image.open(path) as sheet:
        assert sheet.size == (4 * 160, 24 + 2 * 160)


def test_only_trained_models_are_drawn():
    assert {"bozzetto-xs", "draft"} <= {system.model for system in compare.ready()}
    assert all(CATALOG[system.model].weights for system in compare.ready())
