"""Cards of our own presets of PC^2 and CCD-3DR."""

from dataclasses import replace

from models.card import (
    CAMERA,
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

PC2_MINI = ModelCard(
    id="pc2-mini",
    family="pc2",
    task="image-to-points",
    title="PC² mini",
    description="Smoke-size rung of PC², trained on two shared CPU cores: diffusion of a cloud "
    "whose points are told what the picture shows where they can be seen.",
    licence=Licence(code="Apache-2.0", weights="CC-BY-4.0", outputs="unrestricted"),
    parameters=(
        NUM_POINTS,
        replace(STEPS, default=32, maximum=1000),
        replace(SAMPLER, default="ddim"),
        GUIDANCE_SCALE,
        CANDIDATES,
        CAMERA,
        SEED,
    ),
    points=2048,
    resampled=True,
    steps=32,
    image_size=96,
    memory_bytes=497_000_000,
    measured_seconds={"2 cores of an Intel Xeon": 1.40},
    weights=(
        *DRAFT.weights,  # of the encoder
        WeightFile(
            "pc2-mini/weights.safetensors",
            "807de895d496debc5a07f1282ca7cf31e881f41a232ab26d6258d632d8f0dd15",
            3738782,
        ),
    ),
    sources=(
        "PC2: Projection-Conditioned Point Cloud Diffusion for Single-Image 3D Reconstruction, "
        "Melas-Kyriazi, Rupprecht and Vedaldi, CVPR 2023",
        *DRAFT.sources,
    ),
    network="mini",
)

CCD3DR_MINI = replace(
    PC2_MINI,
    id="ccd3dr-mini",
    family="ccd3dr",
    memory_bytes=502_000_000,
    measured_seconds={"2 cores of an Intel Xeon": 1.40},
    title="CCD-3DR mini",
    description="Smoke-size rung of CCD-3DR, trained on two shared CPU cores: PC² among clouds "
    "whose mean is zero, their centre found in the picture.",
    weights=(
        *DRAFT.weights,  # of the encoder
        WeightFile(
            "ccd3dr-mini/weights.safetensors",
            "e6034e1722d01e3725435e6f5109506a1147b68acf738f0b68fc5da2fe174c5f",
            3773508,
        ),
    ),
    sources=(
        "CCD-3DR: Consistent Conditioning in Diffusion for Single-Image 3D Reconstruction, "
        "Di et al., arXiv 2308.07837, 2023",
        *PC2_MINI.sources,
    ),
)
