"""The latent flow of DPM: affine coupling layers between codes and normal noise."""

import torch
from torch import Tensor, nn


class CouplingLayer(nn.Module):
    """One half of a code decides how the other is scaled and shifted.

    `swap` exchanges the halves before and after. Of an odd size the first half is the larger one,
    and the second exchange does not undo the first: so it was published.
    """

    def __init__(self, size: int, hidden: int, swap: bool) -> None:
        super().__init__()
        self.swap = swap
        self.kept = size - size // 2
        self.net_s_t = nn.Sequential(
            nn.Linear(self.kept, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 2 * (size - self.kept)),
        )

    def forward(self, x: Tensor, reverse: bool = False) -> tuple[Tensor, Tensor]:
        """x [B, C] to the layer's other side, and the logarithm of its scales, summed: [B, 1]."""
        x = self._exchanged(x)
        fixed, moved = x[:, : self.kept], x[:, self.kept :]
        raw, shift = self.net_s_t(fixed).chunk(2, dim=1)
        scale = torch.sigmoid(raw + 2)
        moved = (moved - shift) / scale if reverse else moved * scale + shift
        volume = torch.log(scale).sum(dim=1, keepdim=True)
        return self._exchanged(torch.cat([fixed, moved], dim=1)), volume

    def _exchanged(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, self.kept :], x[:, : self.kept]], dim=1) if self.swap else x


class LatentFlow(nn.Module):
    """Forward leads from a code to noise, reverse from noise to a code."""

    def __init__(self, size: int, depth: int, hidden: int) -> None:
        super().__init__()
        self.chain = nn.ModuleList(
            CouplingLayer(size, hidden, swap=number % 2 == 0) for number in range(depth)
        )

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The noise of the codes z [B, C], and how much log-density is lost on the way, [B, 1]."""
        lost = z.new_zeros(len(z), 1)
        for layer in self.chain:
            z, volume = layer(z)
            lost = lost - volume
        return z, lost

    def states(self, w: Tensor) -> list[Tensor]:
        """From noise w [B, C] towards its code, after each layer, the last layer first."""
        states = []
        for layer in reversed(self.chain):
            w, _ = layer(w, reverse=True)
            states.append(w)
        return states

    def codes(self, w: Tensor) -> Tensor:
        """The codes of the noise w [B, C]."""
        return self.states(w)[-1] if len(self.chain) else w
