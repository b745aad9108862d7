"""What the gateway's process holds: nothing that computes."""

import json
import subprocess
import sys

CODE = """
import json, sys
import service.gateway.app, service.queue.redis_queue, service.store.local
names = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps([names, [name for name in sys.modules if name.startswith("models")]]))
"""


def test_no_heavy_imports():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    packages, models = json.loads(done.stdout)
    heavy = {"torch", "triton", "scipy", "skimage", "cv2", "trimesh", "safetensors", "httpx"}
    assert heavy.isdisjoint(packages)
    light = {"models", "models.cameras", "models.card", "models.catalog", "models.errors"}
    light |= {"models.images"}
    assert {name for name in models if not name.startswith("models.cards")} == light
    assert "service" in packages
