"""The card of our own preset of DPM (diffusion-point-cloud)."""

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

DPM_MINI = ModelCard(
    id="dpm-mini",
    family="dpm",
    task="image-to-points",
    title="DPM mini",
    description="Smoke-size rung of DPM, trained on two shared CPU cores: a code regressed from "
    "the picture, and points that are denoised under it one by one.",
    licence=Licence(code="Apache-2.0", weights="CC-BY-4.0", outputs="unrestricted"),
    # Looked at on two times eight training pictures: docs/models/dpm.md.
    parameters=(
        NUM_POINTS,
        replace(STEPS, default=16, maximum=1000),
        replace(SAMPLER, default="ddim"),
        replace(GUIDANCE_SCALE, default=1.5),
        CANDIDATES,
        SEED,
    ),
    points=4096,
    resampled=False,
    steps=16,
    image_size=96,
    memory_bytes=591_000_000,
    measured_seconds={"2 cores of an Intel Xeon": 0.47},
    weights=(
        *DRAFT.weights,  # of the encoder
        WeightFile(
            "dpm-mini/weights.safetensors",
            "1d72d61b998821452d58cf5d13a167a699061d18018e8f3441301bcfd3fa17c8",
            2758448,
        ),
    ),
    sources=(
        "Diffusion Probabilistic Models for 3D Point Cloud Generation, Luo and Hu, CVPR 2021",
        *DRAFT.sources,
    ),
    network="mini",
)
