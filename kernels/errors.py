"""What operators raise before they compute anything.

    ValueError
    ├── ShapeError      a tensor has another rank, size or layout than the contract asks for
    └── BackendError    a backend was asked for that the operator lacks or that cannot run here

Wrong types, devices and values are plain ValueErrors. Each message names what was expected and
what was given.
"""


class ShapeError(ValueError):
    """A tensor has another rank, size or layout than the contract asks for."""


class BackendError(ValueError):
    """The operator has no such backend, or it cannot run on the given tensors' device."""
