"""The card of our own preset of GECCO."""

from dataclasses import replace

from models.card import CANDIDATES, NUM_POINTS, SAMPLER, SEED, STEPS, Licence, ModelCard, WeightFile
from models.cards.bozzetto import DRAFT

GECCO_MINI = ModelCard(
    id="gecco-mini",
    family="gecco",
    task="image-to-points",
    title="GECCO mini",
    description="Smoke-size rung of GECCO, trained on two shared CPU cores: a set transformer "
    "whose points look the picture's features up where they are projected.",
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
    memory_bytes=632_000_000,
    measured_seconds={"2 cores of an Intel Xeon": 1.01},
    weights=(
        *DRAFT.weights,  # of the encoder
        WeightFile(
            "gecco-mini/weights.safetensors",
            "87634614f76108ac84c67288c407af4478c24699e9fefbedaf0b8cdf78077e99",
            3256430,
        ),
    ),
    sources=(
        "GECCO: Geometrically-Conditioned Point Diffusion Models, Tyszkiewicz, Fua and Trulls, "
        "ICCV 2023",
        *DRAFT.sources,
    ),
    network="mini",
)
