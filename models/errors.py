class ModelError(Exception):
    """Anything a model, its weights or its input can do wrong.

    ModelError
    +- UnknownModelError     no such id in the catalogue
    +- ParameterError        a field the model does not know, or out of its bounds
    |  +- CameraError            no camera, or one that does not see the object
    +- WeightsError          missing, truncated or altered weight file
    +- CheckpointError       no checkpoint, or none of a layout that is known
    +- LicenceError          a licence that must be accepted first
    +- CardError             a card.json that is none
    +- DownloadError         no connection, no room, or not the file that was expected
    +- NonFiniteError        the network gave NaN or infinity
    +- ImageError            bytes that are no acceptable picture
    |  +- ImageTypeError         not PNG, JPEG or WebP
    |  +- ImageTooLargeError     more pixels than allowed
    |  +- ImageUndecodableError  truncated or corrupt
    +- NoForegroundError     nothing in the picture to reconstruct
       +- EmptyMaskError         nothing in the mask that came with it
    """


class UnknownModelError(ModelError):
    def __init__(self, model_id: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown model {model_id!r}; known: {', '.join(known)}")
        self.model_id = model_id
        self.known = known


class ParameterError(ModelError):
    """`field` names the parameter, the message its bounds."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field


class CameraError(ParameterError):
    def __init__(self, message: str) -> None:
        super().__init__("camera", message)


class WeightsError(ModelError):
    pass


class NonFiniteError(ModelError):
    """`rows` are the positions, within the batch, of the states that went wrong."""

    def __init__(self, rows: tuple[int, ...]) -> None:
        super().__init__(f"the network gave NaN or infinity in rows {list(rows)}")
        self.rows = rows


class ImageError(ModelError):
    pass


class ImageTypeError(ImageError):
    pass


class ImageTooLargeError(ImageError):
    pass


class ImageUndecodableError(ImageError):
    pass


class NoForegroundError(ModelError):
    pass


class EmptyMaskError(NoForegroundError):
    pass


class CheckpointError(ModelError):
    pass


class LicenceError(ModelError):
    """`name` is what must be accepted."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class CardError(ModelError):
    pass


class DownloadError(ModelError):
    """`partial` says that what came is kept, and that another try goes on from there."""

    def __init__(self, message: str, *, partial: bool = False) -> None:
        super().__init__(message)
        self.partial = partial
