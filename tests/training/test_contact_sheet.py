import numpy as np
from PIL import Image

from tests.training.shapes import pack_mesh
from tests.training.shapes import sphere as sphere_mesh
from training.baselines import sphere
from training.contact_sheet import Strip, write_contact_sheet
from training.dataset import validation_picture


def test_a_strip_shows_the_picture_the_prediction_and_the_truth(tmp_path):
    vertices, faces = sphere_mesh(0.5, 24)
    mesh = pack_mesh(vertices, faces, colors=(220, 20, 20))
    ball = validation_picture(mesh, 0, np.random.default_rng(0), 128, 4096)
    path = tmp_path / "deep" / "sheet.png"
    write_contact_sheet([Strip(ball, sphere(0.4, 300), 0.5)] * 3, path, columns=2)
    sheet = np.asarray(Image.open(path).convert("RGB")).astype(int)
    cell = 192
    assert sheet.shape == (26 + 2 * (cell + 20), 2 * 7 * cell + 16, 3)
    centers = sheet[26 + cell // 2, cell // 2 : 7 * cell : cell]
    clay, red = centers[1:4], centers[4:]
    assert (np.ptp(clay, axis=1) < 60).all()  # the prediction has no colour
    assert (red[:, 0] > red[:, 1] + 40).all()
    assert (sheet[-cell:, -cell:] == 255).all()  # no fourth strip
