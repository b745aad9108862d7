"""Point-E's way from points to a mesh: a network that predicts a signed distance (Nichol et al.
2022, section 4.5), and marching cubes.

The sizes are the published ones. How the authors name the network's tensors is not among the facts
that this was written from, so that these names are our own and their checkpoint does not load.
"""

from dataclasses import dataclass

import numpy as np
import torch
from skimage.measure import marching_cubes
from torch import Tensor, nn

from geometry.mesh import Mesh
from geometry.neighbors import nearest
from geometry.point_cloud import PointCloud
from geometry.shading_normals import vertex_normals
from kernels.attention import attention
from kernels.checks import trust_values
from models.diffusion.pointe_network import Backbone, Mlp

RESOLUTION = 64  # cells along the longest side
_SPREAD = 0.25  # of a cloud's coordinates, which are divided by it
_MARGIN = 4  # cells around the points
_QUERIES_AT_ONCE = 16_384


@dataclass(frozen=True, slots=True)
class SdfConfig:
    """`points` is how many of a cloud the network sees at most."""

    width: int = 256
    encoder_layers: int = 8
    decoder_layers: int = 4
    heads: int = 4
    points: int = 4096


class CrossBlock(nn.Module):
    """Queries look the points up; they do not see each other."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2, self.ln_3 = (nn.LayerNorm(width) for _ in range(3))
        self.c_q = nn.Linear(width, width)
        self.c_kv = nn.Linear(width, 2 * width)
        self.c_proj = nn.Linear(width, width)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor, points: Tensor) -> Tensor:
        """x [B, M, C], points [B, N, C]."""
        B, M, C = x.shape
        q = self.c_q(self.ln_1(x)).view(B, M, self.heads, -1).transpose(1, 2)
        kv = self.c_kv(self.ln_2(points)).view(B, points.shape[1], 2, self.heads, -1)
        k, v = kv.permute(2, 0, 3, 1, 4)
        mixed = attention(q, k, v)  # [B, H, M, C / H]
        x = x + self.c_proj(mixed.transpose(1, 2).reshape(B, M, C))
        y: Tensor = x + self.mlp(self.ln_3(x))
        return y


class SdfNet(nn.Module):
    def __init__(self, config: SdfConfig) -> None:
        super().__init__()
        self.config = config
        width, heads = config.width, config.heads
        self.encoder_input_proj = nn.Linear(3, width)
        self.encoder = Backbone(width, config.encoder_layers, heads)
        self.decoder_input_proj = nn.Linear(3, width)
        self.decoder = nn.ModuleList(CrossBlock(width, heads) for _ in range(config.decoder_layers))
        self.ln_post = nn.LayerNorm(width)
        self.output_proj = nn.Linear(width, 1)

    @trust_values()  # activations
    def encode(self, points: Tensor) -> Tensor:
        """Points [B, N, 3], of a cloud in a box of side 1, to what queries look up, [B, N, width].

        Once for a cloud.
        """
        y: Tensor = self.encoder(self.encoder_input_proj(points / _SPREAD))
        return y

    @trust_values()
    def forward(self, queries: Tensor, encoded: Tensor) -> Tensor:
        """Queries [B, M, 3] to their signed distances [B, M], positive outside."""
        x = self.decoder_input_proj(queries / _SPREAD)
        for block in self.decoder:
            x = block(x, encoded)
        y: Tensor = self.output_proj(self.ln_post(x))[..., 0]
        return y


@torch.no_grad()
def mesh_by_distance(net: SdfNet, cloud: PointCloud, resolution: int = RESOLUTION) -> Mesh | None:
    """The surface where the predicted distance is 0, with the nearest points' colours.

    None where the network sees no inside, or what it sees encloses no volume.
    """
    device = net.output_proj.weight.device
    some = np.linspace(0, len(cloud) - 1, min(len(cloud), net.config.points)).astype(np.intp)
    known = torch.from_numpy(cloud.positions[some]).to(device)
    encoded = net.encode(known[None])
    low, high = cloud.positions.min(axis=0), cloud.positions.max(axis=0)
    cell = float((high - low).max()) / resolution
    if cell == 0:
        return None
    start = low - _MARGIN * cell
    counts = np.ceil((high - low) / cell).astype(int) + 2 * _MARGIN + 1
    axes = [
        torch.arange(n, device=device) * cell + float(at)
        for n, at in zip(counts, start, strict=True)
    ]
    nodes = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).view(-1, 3).to(known)
    pieces = [net(some[None], encoded)[0] for some in torch.split(nodes, _QUERIES_AT_ONCE)]
    inside = -torch.cat(pieces).view(*counts).float().cpu().numpy()
    # Closed at the box, whatever the network thinks of what lies outside.
    closed = np.pad(inside[1:-1, 1:-1, 1:-1], 1, constant_values=-cell)
    if not np.isfinite(closed).all() or closed.max() <= 0:
        return None
    found, faces, _, _ = marching_cubes(closed, 0.0, gradient_direction="ascent")
    vertices = (found * cell + start).astype(np.float32)
    mesh = Mesh(vertices, faces.astype(np.int32))
    colors = None
    if cloud.colors is not None:
        _, near = nearest(cloud.positions.astype(np.float64), 1, vertices.astype(np.float64))
        colors = cloud.colors[near[:, 0]]
    return Mesh(vertices, mesh.faces, colors, vertex_normals(mesh))
