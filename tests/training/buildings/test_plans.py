from itertools import pairwise

import numpy as np
import pytest

from training.buildings.extensions import beside
from training.buildings.plans import PLANS, stepped, wings
from training.buildings.solids import Rect


def overlap(a: Rect, b: Rect) -> tuple[float, float]:
    return min(a.x1, b.x1) - max(a.x0, b.x0), min(a.z1, b.z1) - max(a.z0, b.z0)


@pytest.mark.parametrize("kind", PLANS)
def test_every_wing_runs_into_another_and_out_of_the_main_one(kind):
    rng = np.random.default_rng(0)
    for _ in range(20):
        length, depth = rng.uniform(10, 30), rng.uniform(6, 10)
        main, *sides = wings(kind, length, depth, rng)

        assert main.size == pytest.approx((length, depth))
        for side in sides:
            others = [rect for rect in (main, *sides) if rect is not side]
            assert max(min(overlap(side, other)) for other in others) > 0.5
            assert side.z1 > main.z1 + 1
        flush = [(r.x0, r.x1) for r in (main, *sides[:2])]
        assert len({x for pair in flush for x in pair}) == 2 * len(flush)


def test_tiers_stand_on_each_other():
    tiers = stepped(Rect(-8, -6, 8, 6), 4, np.random.default_rng(0))

    assert len(tiers) == 4
    for below, above in pairwise(tiers):
        assert below.x0 < above.x0 < above.x1 < below.x1
        assert below.z0 < above.z0 < above.z1 < below.z1


@pytest.mark.parametrize("side", range(4))
def test_what_is_added_beside_a_wall_touches_it_and_stays_along_it(side):
    main = Rect(-5, -3, 5, 3)
    rect = beside(main, side, 99.0, 2.0, 0.7)

    assert min(overlap(main, rect)) == pytest.approx(0.5)
    assert max(overlap(main, rect)) == pytest.approx(10 if side % 2 == 0 else 6)
    outward = ((0, 1), (1, 0), (0, -1), (-1, 0))[side]
    away = np.array(rect.middle) - np.array(main.middle)
    assert float(away @ np.array(outward)) > 0
