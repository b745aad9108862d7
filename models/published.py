"""What authors have published: systems, licences, addresses. Standard library only.

An address is here where its authors' own documents or scripts give it; sizes and hashes that they
do not state are None, and what was fetched is shown and kept in the model's card.
"""

from dataclasses import dataclass, replace

from models.card import (
    CAMERA,
    CANDIDATES,
    GUIDANCE_SCALE,
    LABEL,
    NUM_POINTS,
    SAMPLER,
    SEED,
    STEPS,
    Licence,
    Parameter,
)

_STEPS = replace(STEPS, default=64, maximum=1000)


@dataclass(frozen=True, slots=True)
class System:
    """What the cards of one system's published checkpoints have in common.

    Attributes:
        accept: licence that must be accepted by name before a model of it is fetched, converted or
            served; "" is none.
        why: what is restricted, said before the name is asked for.
        expects: a checkpoint's layout in words, for who brings another file.
        memory_bytes: an estimate, since none of these checkpoints could be had here.
        parts: networks that come in files of their own and are none of the model's without others.
        resampled: they sample a number of points of their own, whatever is asked for.
    """

    name: str
    title: str
    description: str
    licence: Licence
    expects: str
    parameters: tuple[Parameter, ...]
    points: int
    steps: int
    image_size: int
    sources: tuple[str, ...]
    memory_bytes: int
    accept: str = ""
    why: str = ""
    parts: tuple[str, ...] = ()
    resampled: bool = False


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """`bytes` and `sha256` are None where the authors do not say."""

    url: str
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """Checkpoints that make one model.

    Attributes:
        files: none where there is no address to fetch from without a browser.
        page: where a person finds them.
    """

    id: str
    system: str
    title: str
    page: str
    files: tuple[RemoteFile, ...] = ()


SYSTEMS: dict[str, System] = {
    system.name: system
    for system in (
        System(
            name="pc2",
            title="PC²",
            description="The authors' projection-conditioned diffusion, one category per file.",
            licence=Licence("none given", "none given: all rights reserved", "not stated"),
            expects="a dict with `model`, keys point_cloud_model.model.* and feature_model.model.*",
            parameters=(
                NUM_POINTS,
                _STEPS,
                replace(SAMPLER, default="ddim"),
                CAMERA,
                CANDIDATES,
                SEED,
            ),
            points=4096,
            steps=64,
            image_size=224,
            sources=("Melas-Kyriazi, Rupprecht, Vedaldi: PC², CVPR 2023",),
            memory_bytes=1_200_000_000,
            accept="PC2-no-licence",
            why="The repository of PC² has no licence: neither code nor weights may be used "
            "without the authors' leave.",
        ),
        System(
            name="dit3d",
            title="DiT-3D",
            description="The authors' transformer over voxels, by class; takes no picture.",
            licence=Licence(
                "Apache-2.0", "Apache-2.0; parts after DiT, CC-BY-NC-4.0", "not stated"
            ),
            expects="a dict with `model_state` or `ema`, keys model.module.* or model.*",
            parameters=(
                NUM_POINTS,
                _STEPS,
                replace(SAMPLER, default="ddim"),
                replace(
                    GUIDANCE_SCALE,
                    description="how much more the label counts than the model's idea of objects; "
                    "1 is off",
                ),
                LABEL,
                SEED,
            ),
            points=2048,
            resampled=True,
            steps=64,
            image_size=96,
            sources=("Mo et al.: DiT-3D, NeurIPS 2023",),
            memory_bytes=1_000_000_000,
            accept="CC-BY-NC-4.0",
            why="DiT-3D is Apache-2.0 by its own word, but its files credit DiT, whose licence is "
            "CC BY-NC 4.0: no commercial use.",
        ),
        System(
            name="pointe",
            title="Point-E",
            description="The authors' transformer over coloured points, and its upsampler.",
            licence=Licence("MIT", "MIT", "unrestricted; its card advises research use"),
            expects="a flat dict with input_proj.*, backbone.resblocks.*, output_proj.*; beside it "
            "CLIP's file",
            parts=("upsample", "clip"),
            parameters=(
                NUM_POINTS,
                _STEPS,
                replace(SAMPLER, default="heun"),
                replace(GUIDANCE_SCALE, default=3.0),
                SEED,
            ),
            points=4096,
            resampled=True,
            steps=254,  # Heun's, of both diffusions
            image_size=224,
            sources=("Nichol et al.: Point-E, arXiv 2212.08751",),
            memory_bytes=3_000_000_000,
        ),
        System(
            name="gecco",
            title="GECCO",
            description="The authors' set transformer over points with features of the picture.",
            licence=Licence("Apache-2.0", "Apache-2.0", "unrestricted"),
            expects="a dict with `ema_state_dict` or `state_dict`, keys backbone.model.*",
            parameters=(NUM_POINTS, _STEPS, replace(SAMPLER, default="heun"), CAMERA, SEED),
            points=2048,
            steps=127,
            image_size=137,  # of ShapeNet's pictures
            sources=("Tyszkiewicz, Fua, Trulls: GECCO, ICCV 2023",),
            memory_bytes=1_000_000_000,
        ),
        System(
            name="dpm",
            title="Diffusion point cloud",
            description="The authors' point-wise diffusion from a latent; takes no picture.",
            licence=Licence("MIT", "MIT", "unrestricted"),
            expects="a dict with `args` and `state_dict`, keys encoder.*, diffusion.*, flow.*",
            parameters=(
                NUM_POINTS,
                replace(STEPS, default=100, maximum=1000),
                replace(SAMPLER, default="ddpm"),
                SEED,
            ),
            points=2048,
            steps=101,  # one for the code
            image_size=96,
            sources=(
                "Luo, Hu: Diffusion Probabilistic Models for 3D Point Cloud Generation, 2021",
            ),
            memory_bytes=600_000_000,
        ),
    )
}
# Systems without anything to convert, and why.
UNPUBLISHED = {
    "buildiff": "BuilDiff's authors have published no code and no checkpoint: there is no layout",
    "ccd3dr": "CCD-3DR was never released; checkpoints of PC² are converted as pc2",
    "colored": "the coloured-shape diffusion was never released",
}

_OPENAI = "https://openaipublic.azureedge.net"
_CLIP_SHA256 = "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"


def _pointe(name: str, base: str, words: str) -> Published:
    return Published(
        f"pointe-{name}",
        "pointe",
        f"Point-E, {words}, with its upsampler and CLIP ViT-L/14",
        "https://github.com/openai/point-e",
        (
            RemoteFile(f"{_OPENAI}/main/point-e/{base}.pt"),
            RemoteFile(f"{_OPENAI}/main/point-e/upsample_40m.pt"),
            # Its address holds the hash that CLIP's own loader checks.
            RemoteFile(f"{_OPENAI}/clip/models/{_CLIP_SHA256}/ViT-L-14.pt", None, _CLIP_SHA256),
        ),
    )


PUBLISHED: dict[str, Published] = {
    item.id: item
    for item in (
        Published(
            "pc2-co3d",
            "pc2",
            "PC², examples for CO3D categories (1.2 GB, an archive of several)",
            "https://github.com/lukemelas/projection-conditioned-point-cloud-diffusion",
            (
                RemoteFile(
                    "https://github.com/lukemelas/projection-conditioned-point-cloud-diffusion"
                    "/releases/download/v0.0/example-logs-and-checkpoints.zip"
                ),
            ),
        ),
        _pointe("40m", "base_40m", "40 M parameters"),
        _pointe("40m-imagevec", "base_40m_imagevec", "40 M parameters, one vector of the picture"),
        _pointe("300m", "base_300m", "300 M parameters"),
        _pointe("1b", "base_1b", "1 B parameters"),
        Published(
            "dit3d-s4-chair",
            "dit3d",
            "DiT-3D S/4, chairs",
            "https://drive.google.com/drive/folders/1sRnCObeDal3HeD-h_1L28gY9qE6fP0ZZ",
        ),
        Published(
            "gecco-published", "gecco", "GECCO, PyTorch", "https://github.com/cvlab-epfl/gecco"
        ),
        Published(
            "dpm-published",
            "dpm",
            "GEN_*.pt and AE_*.pt",
            "https://drive.google.com/drive/folders/1Su0hCuGFo1AGrNb_VMNnlF7qeQwKjfhZ",
        ),
    )
}
