"""Previews as events of their own: small, exact enough, only of what is there now."""

import base64
import json

import numpy as np
import pytest

from geometry.ply import write_points
from geometry.point_cloud import PointCloud
from service.gateway.clouds import CloudSource, quantized
from tests.service.gateway.kit import Harness


def cloud_of(count: int, *, colored: bool = True, seed: int = 0) -> PointCloud:
    rng = np.random.default_rng(seed)
    colors = rng.integers(0, 256, (count, 3), dtype=np.uint8) if colored else None
    return PointCloud(rng.normal(size=(count, 3)).astype(np.float32), colors)


def decoded(event) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(event["positions"]), "<u2").reshape(-1, 3)
    positions: np.ndarray = np.array(event["origin"]) + event["scale"] * values / 65535
    return positions


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_positions_come_back(scale):
    cloud = cloud_of(500)
    cloud = PointCloud((cloud.positions * scale + scale).astype(np.float32), cloud.colors)
    event = quantized(cloud)
    extent = float(np.ptp(cloud.positions, axis=0).max())
    assert np.abs(decoded(event) - cloud.positions).max() < 1e-5 * extent
    colors = np.frombuffer(base64.b64decode(event["colors"]), np.uint8).reshape(-1, 3)
    np.testing.assert_array_equal(colors, cloud.colors)


def test_one_point_without_a_colour():
    cloud = cloud_of(1, colored=False)
    event = quantized(cloud)
    np.testing.assert_allclose(decoded(event), cloud.positions)
    assert event["colors"] is None


def test_the_largest_preview_stays_below_30_kb():
    text = json.dumps({"step": 16, **quantized(cloud_of(2048))})
    assert len(text) < 30_000


async def test_each_preview_is_told_once(gateway: Harness):
    job = await gateway.submit()
    source = CloudSource(gateway.store)

    async def newest():
        return source.newest(await gateway.queue.get(job["id"]))

    assert await newest() is None
    lease = gateway.claim()
    assert await newest() is None
    for step in (1, 2):
        cloud = cloud_of(20 * step, seed=step)
        gateway.preview(lease, write_points(cloud), step=step)
        event = await newest()
        assert (event["step"], event["points"]) == (step, 20 * step)
        np.testing.assert_allclose(decoded(event), cloud.positions, atol=1e-4)
        assert await newest() is None


async def test_a_preview_that_is_gone_or_torn_is_left_out(gateway: Harness):
    job = await gateway.submit()
    lease = gateway.claim()
    source = CloudSource(gateway.store)
    for damage in (b"no ply at all", write_points(cloud_of(20))[:-7]):
        gateway.preview(lease, damage)
        assert source.newest(await gateway.queue.get(job["id"])) is None
    gateway.store.delete_prefix(lease.job.id)
    assert source.newest(await gateway.queue.get(job["id"])) is None
