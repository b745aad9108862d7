"""The card of our own preset of BuilDiff."""

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

BUILDIFF_MINI = ModelCard(
    id="buildiff-mini",
    family="buildiff",
    task="image-to-points",
    title="BuilDiff mini",
    description="Buildings from aerial pictures: smoke-size rung of BuilDiff, trained on two "
    "shared CPU cores on generated buildings alone. 1,024 points under a code of the picture, "
    "then 4,096.",
    licence=Licence(code="Apache-2.0", weights="CC-BY-4.0", outputs="unrestricted"),
    parameters=(
        NUM_POINTS,
        replace(STEPS, default=16, maximum=1000),
        replace(SAMPLER, default="dpmpp_2m"),
        replace(GUIDANCE_SCALE, default=4.0),
        CANDIDATES,
        SEED,
    ),
    points=4096,
    resampled=True,
    steps=32,  # of both diffusions
    image_size=96,
    memory_bytes=581_000_000,
    measured_seconds={"2 cores of an Intel Xeon": 1.59},
    weights=(
        *DRAFT.weights,  # of the encoder
        WeightFile(
            "buildiff-mini/weights.safetensors",
            "77413c4ab29380664b98b129c0abf251e2d6ef48bbb8843b325a7915eb5ea2ae",
            8952892,
        ),
    ),
    sources=(
        "BuilDiff: 3D Building Shape Generation using Single-Image Conditional Point Cloud "
        "Diffusion Models, Wei, Vosselman and Yang, ICCV Workshops 2023",
        *DRAFT.sources,
    ),
    network="mini",
)
