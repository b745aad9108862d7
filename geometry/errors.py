class GeometryError(ValueError):
    """A cloud or mesh breaks an invariant, or an operation cannot be done on it."""
