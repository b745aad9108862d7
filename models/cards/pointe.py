"""Card of our own small Point-E."""

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

POINTE_MINI = ModelCard(
    id="pointe-mini",
    family="pointe",
    task="image-to-points",
    title="Point-E mini",
    description="Point-E's two transformers, much smaller: 512 coloured points by diffusion, then "
    "1,536 more between them. A smoke-size rung, trained on two shared CPU cores.",
    licence=Licence(code="Apache-2.0", weights="CC-BY-4.0", outputs="unrestricted"),
    parameters=(
        NUM_POINTS,
        replace(STEPS, default=16, maximum=1000),
        replace(SAMPLER, default="dpmpp_2m"),
        replace(GUIDANCE_SCALE, default=1.5),
        CANDIDATES,
        SEED,
    ),
    points=2048,
    resampled=True,
    steps=32,  # 16 in each of the two stages
    image_size=96,
    memory_bytes=468_000_000,
    measured_seconds={"2 cores of an Intel Xeon": 1.10},
    weights=(
        *DRAFT.weights,  # of the encoder
        WeightFile(
            "pointe-mini/weights.safetensors",
            "0a3745099b03fe23dd7708f928d42b8cf41c52291bb8c5e82b93b3ffb502d49d",
            4373432,
        ),
    ),
    sources=(
        "Nichol et al. 2022, Point-E: A System for Generating 3D Point Clouds from Complex Prompts",
        *DRAFT.sources,
    ),
    network="mini",
)
