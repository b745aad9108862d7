"""The card of our own preset of DiT-3D."""

from dataclasses import replace

from models.card import (
    CANDIDATES,
    GUIDANCE_SCALE,
    NUM_POINTS,
    SAMPLER,
    SEED,
    STEPS,
    Licence,
    ModelCard,
    WeightFile,
)
from models.cards.bozzetto import DRAFT

DIT3D_MINI = ModelCard(
    id="dit3d-mini",
    family="dit3d",
    task="image-to-points",
    title="DiT-3D mini",
    description="Smoke-size rung of DiT-3D, trained on two shared CPU cores: a diffusion "
    "transformer over a grid, here with cross attention to a picture.",
    licence=Licence(code="Apache-2.0", weights="CC-BY-4.0", outputs="unrestricted"),
    parameters=(
        NUM_POINTS,
        replace(STEPS, default=32, maximum=1000),
        replace(SAMPLER, default="ddim"),
        GUIDANCE_SCALE,
        CANDIDATES,
        SEED,
    ),
    points=4096,
    resampled=True,
    steps=32,
    image_size=96,
    memory_bytes=626_000_000,
    measured_seconds={"2 cores of an Intel Xeon": 0.38},
    weights=(
        *DRAFT.weights,  # of the encoder
        WeightFile(
            "dit3d-mini/weights.safetensors",
            "cf05b1777f19d442a096cd9531e91d14ee7bb6245ee93e1eb7f694aef555d550",
            7841312,
        ),
    ),
    sources=(
        "DiT-3D: Exploring Plain Diffusion Transformers for 3D Shape Generation, Mo, Xie, Chu, "
        "Yao, Hong, Niessner and Li, NeurIPS 2023",
        *DRAFT.sources,
    ),
    network="mini",
)
