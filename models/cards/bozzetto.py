"""Cards of this project's own models."""

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

DRAFT = ModelCard(
    id="draft",
    family="layered_depth",
    task="image-to-points",
    title="Draft",
    description="One forward pass to a coloured cloud: front and back surface per pixel.",
    licence=Licence(code="Apache-2.0", weights="CC-BY-4.0", outputs="unrestricted"),
    parameters=(NUM_POINTS, SEED),
    points=4096,
    resampled=True,
    steps=1,
    image_size=96,
    memory_bytes=414_000_000,
    measured_seconds={"2 cores of an Intel Xeon": 0.066},
    weights=(
        WeightFile(
            "draft/weights.safetensors",
            "1e5b179b577ef4c1192325807bb1e18b25baee8157c2ee0aecfe06f2d4e19f42",
            11_125_158,
        ),
    ),
    sources=(
        "Kenney, Quaternius, The Base Mesh, MakeHuman, pmndrs market assets (CC0 1.0)",
        "LDraw Parts Library, ldraw.org, and its part authors (CC BY 2.0)",
        "Mini Mike's Metro Minis by Mike Judge, mikelovesrobots (CC BY 4.0)",
        "Mesh-Kit-Library by Kellojo (MIT)",
    ),
)

BOZZETTO_XS = ModelCard(
    id="bozzetto-xs",
    family="point_diffusion",
    task="image-to-points",
    title="Bozzetto XS",
    description="Diffusion of a coloured cloud with normals, each point conditioned on what the "
    "picture shows where it is projected.",
    licence=Licence(code="Apache-2.0", weights="CC-BY-4.0", outputs="unrestricted"),
    # Chosen on 16 training objects: docs/models/bozzetto-s.md.
    parameters=(
        NUM_POINTS,
        STEPS,
        replace(SAMPLER, default="dpmpp_2m"),
        replace(GUIDANCE_SCALE, default=1.5),
        CANDIDATES,
        SEED,
    ),
    points=4096,
    resampled=False,
    steps=16,
    image_size=96,
    memory_bytes=507_000_000,
    measured_seconds={"2 cores of an AMD EPYC, 16 steps": 2.9},
    weights=(
        WeightFile(
            "bozzetto-xs/weights-1.safetensors",
            "cbf510dd4af12dffdc19af79880174973b7e35c196a49da0e4c8d9367158fdf2",
            15785454,
        ),
        WeightFile(
            "bozzetto-xs/weights-2.safetensors",
            "b58fa2d4531cc17d169327ed5b284a0f975c3f87c03e4d8e23fcdf5bbba7ccf2",
            2864614,
        ),
    ),
    sources=DRAFT.sources,
    tolerance=5e-3,
)
