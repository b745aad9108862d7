"""The card of our own coloured clouds by one diffusion of position and colour."""

from dataclasses import replace

from models.card import CANDIDATES, NUM_POINTS, SAMPLER, SEED, STEPS, Licence, ModelCard, WeightFile
from models.cards.bozzetto import DRAFT

COLORED_MINI = ModelCard(
    id="colored-mini",
    family="colored_shape",
    task="image-to-points",
    title="Coloured shape mini",
    description="Smoke-size rung, trained on two shared CPU cores: position and colour of every "
    "point from one diffusion. The published system of that idea has no code to compare with.",
    licence=Licence(code="Apache-2.0", weights="CC-BY-4.0", outputs="unrestricted"),
    parameters=(
        NUM_POINTS,
        replace(STEPS, default=16, maximum=1000),
        replace(SAMPLER, default="dpmpp_2m"),
        CANDIDATES,
        SEED,
    ),
    points=4096,
    resampled=False,
    steps=16,
    image_size=96,
    memory_bytes=641_000_000,
    measured_seconds={"2 cores of an Intel Xeon": 0.97},
    weights=(
        *DRAFT.weights,  # of the encoder
        WeightFile(
            "colored-mini/weights.safetensors",
            "0797c0cce4e2ccb06d8bdfab4f0c08a4fee05161af2c5b9ed211e9890237065a",
            3258356,
        ),
    ),
    sources=(
        "3D Colored Shape Reconstruction, Li, Wei, Liu, Wang, He and Lai, Expert Systems with "
        "Applications 252, 2024 (the idea alone)",
        *DRAFT.sources,
    ),
    network="mini",
)
