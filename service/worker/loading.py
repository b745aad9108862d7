"""Which models a worker serves, and when each is loaded."""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import torch

from models.catalog import CATALOG, DEFAULT_MODEL, DRAFT, ModelCard, get_card
from models.checkpoints import why_unready
from models.contract import Reconstructor
from models.errors import LicenceError, ModelError, WeightsError

AT_START = (DEFAULT_MODEL, DRAFT.id)

LoadModel = Callable[[ModelCard, torch.device], Reconstructor]

_log = logging.getLogger("bozzetto.worker")


class ServedModels(Mapping[str, Reconstructor]):
    """Models by id. One that is not loaded yet is when it is asked for, and stays.

    All may be called from any thread except `[]`, which is the engine's: it is what loads.
    """

    def __init__(
        self, cards: Mapping[str, ModelCard], load: LoadModel, device: torch.device
    ) -> None:
        self._cards = cards
        self._load = load
        self._device = device
        self._loaded: dict[str, Reconstructor] = {}
        self._failed: dict[str, ModelError] = {}
        self._names = tuple(cards)
        # Called when a model turns out not to load, and is served no more.
        self.on_change: Callable[[], None] = lambda: None

    def __getitem__(self, name: str) -> Reconstructor:
        """Raises ModelError: it cannot be loaded. It is not tried a second time."""
        if name in self._failed:
            raise self._failed[name]
        if name not in self._loaded:
            self._loaded[name] = self._load_one(name)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    @property
    def loaded(self) -> Mapping[str, Reconstructor]:
        return self._loaded

    def load_first(self, wanted: Collection[str], *, all_of_them: bool) -> None:
        """Load those that are wanted at the start, or at the least one of all.

        Raises:
            ModelError: none could be loaded, or, with `all_of_them`, not each.
        """
        others = [name for name in self._names if name not in wanted]
        for name in (*(name for name in self._names if name in wanted), *others):
            if self._loaded and name in others:
                break
            try:
                self[name]
            except ModelError:
                if all_of_them:
                    raise
        if not self._loaded:
            raise next(iter(self._failed.values()), WeightsError("no model has its weights here"))

    def _load_one(self, name: str) -> Reconstructor:
        start = time.monotonic()
        try:
            # The engine asks within inference mode, whose tensors are good for nothing else.
            with torch.inference_mode(False):
                model = self._load(self._cards[name], self._device)
        except ModelError as error:
            _log.error("%s is not served: %s", name, error)
            self._failed[name] = error
            self._names = tuple(other for other in self._names if other != name)
            self.on_change()
            raise
        _log.info("loaded %s in %.2f s", name, time.monotonic() - start)
        return model


def choose_models(
    named: Sequence[str], accepted: Collection[str], load: LoadModel, device: torch.device
) -> ServedModels:
    """Those that the settings name, all loaded; or all that this machine has, a few loaded.

    Raises:
        ModelError: a model that the settings name cannot be served, or none can.
    """
    if named:
        cards = {name: get_card(name) for name in named}
        for card in cards.values():
            if card.unfit:
                raise WeightsError(f"{card.id}: {card.unfit}")
            if card.accept and card.accept not in accepted:
                raise LicenceError(card.accept, f"{card.id}: {card.refusal(accepted)}")
    else:
        cards = {}
        for name, card in CATALOG.items():
            if (reason := why_unready(card, accepted)) is None:
                cards[name] = card
            else:
                _log.info("%s is not served: %s", name, reason)
    models = ServedModels(cards, load, device)
    models.load_first(named or AT_START, all_of_them=bool(named))
    return models
