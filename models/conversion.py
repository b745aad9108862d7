"""An author's checkpoint to safetensors and a card under `DATA_DIR/models/ID`."""

import errno
import fcntl
import hashlib
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from models import registry, unpickle
from models.card import ModelCard, WeightFile
from models.errors import CheckpointError, LicenceError, WeightsError
from models.local_catalog import CARD, card_of, check_id, models_folder
from models.published import SYSTEMS, UNPUBLISHED, System

TIMEOUT_S = 900
MAX_TENSORS = 10_000  # the largest published checkpoint has 700, which are looked at many times
WEIGHTS = "weights.safetensors"
PARTIAL = ".partial-"  # how the folder of a conversion under way begins
# Entries of a checkpoint that hold a network, the averaged weights first.
AVERAGED = ("ema_state_dict", "model_ema", "state_dict_ema", "ema")
OUTER = (*AVERAGED, "model", "model_state", "model_state_dict", "state_dict")
# Steps of a path that come from how a network was wrapped, and from how settings are pickled.
_WRAPPERS = frozenset({"module", "_orig_mod"})
_BOXES = frozenset({"_content", "_val"})
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")

Keys = tuple[str, ...]


class _SystemModule(Protocol):
    def identify(
        self, tensors: Mapping[str, Tensor], notes: Mapping[str, object]
    ) -> tuple[str, dict[str, Tensor]]: ...


@dataclass(frozen=True, slots=True)
class Contents:
    """What is in a checkpoint file, by path, in its order."""

    tensors: dict[Keys, Tensor]
    notes: dict[str, object]

    def outline(self) -> str:
        """Its outermost entries in a few words."""
        names = list(dict.fromkeys(keys[0] for keys in self.tensors))
        more = f" and {len(names) - 6} more" if len(names) > 6 else ""
        first = ", ".join(name[:60] for name in names[:6])
        return f"{first}{more} ({len(self.tensors)} tensors)" if names else "nothing"


def convert(
    system_name: str,
    paths: Sequence[Path],
    data_dir: Path,
    *,
    model_id: str | None = None,
    accepted: Iterable[str] = (),
    origin: str = "",
) -> ModelCard:
    """Read checkpoints of one model, find out what they are, and write weights and card.

    Args:
        paths: more than one where the system's networks come in files of their own.
        model_id: made of the system and the file's name where it is None.
        accepted: names of licences.
        origin: the address it was fetched from, for the card.

    Raises:
        LicenceError: the system's licence is not among those accepted.
        CheckpointError: no such system, an unreadable file, or a layout that is not known.
        WeightsError: the network that it claims to be does not take its tensors.
        OSError: no room, or no right to write.
    """
    system = find_system(system_name)
    check_licence(system, accepted)
    model_id = model_id or f"{system.name}-{_slug(paths[0].stem)}"
    try:
        check_id(model_id)
    except ValueError as error:
        raise CheckpointError(f"--id: {error}") from None
    network, tensors = "", dict[str, Tensor]()
    with scratch(data_dir) as work:
        for path in paths:
            contents = read(path, Path(tempfile.mkdtemp(dir=work)))
            found, named = _identify(system, path, contents)
            if twice := tensors.keys() & named.keys():
                raise CheckpointError(f"{path}: {min(twice)} is in an earlier file too")
            tensors |= named
            if found not in system.parts:
                network = found
        if not network:
            raise CheckpointError(f"{paths[0]}: a part of {system.title}; its base is needed too")
        return _write(system, model_id, network, tensors, work, paths, origin)


@contextmanager
def scratch(data_dir: Path) -> Iterator[Path]:
    """A hidden folder among the models, gone at the end, as are those of processes that died.

    Raises OSError.
    """
    folder = models_folder(data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        for left in folder.glob(f"{PARTIAL}*"):
            _remove_ended(left)
        work = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=folder))
        # Its own lock, until then, or until this process is no more, says that it is in use.
        handle = os.open(work, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield work
    finally:
        with _locked(folder):
            _remove(work)
        os.close(handle)


def _remove_ended(left: Path) -> None:
    try:
        handle = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:  # none of ours
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(left)
    except BlockingIOError:
        pass  # its conversion is under way
    finally:
        os.close(handle)


def _remove(work: Path) -> None:
    """With all that is in it, but for a model whose successor did not get to its place."""
    for before in work.glob("before/*"):
        if not (place := work.parent / before.name).exists():
            before.rename(place)
    shutil.rmtree(work, ignore_errors=True)


def find_system(name: str) -> System:
    """Raises CheckpointError."""
    if name in UNPUBLISHED:
        raise CheckpointError(f"{name}: {UNPUBLISHED[name]}")
    system = SYSTEMS.get(name)
    if system is None:
        raise CheckpointError(f"no system {name[:80]!r}; known: {', '.join(SYSTEMS)}")
    return system


def check_licence(system: System, accepted: Iterable[str]) -> None:
    """Raises LicenceError."""
    if system.accept and system.accept not in set(accepted):
        raise LicenceError(system.accept, f"{system.title} is restricted. {system.why}")


def read(path: Path, scratch: Path) -> Contents:
    """The tensors and plain values of a safetensors file, or of a pickle, by a child process.

    Raises:
        CheckpointError: it cannot be read, or holds too many tensors; nothing of it was run.
        OSError: `scratch` has no room for what it holds.
    """
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise CheckpointError(f"{path}: no file")
        with path.open("rb") as file:
            start = file.read(16)
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from None
    if path.suffix == ".safetensors" or start[8:9] == b"{":
        return Contents({(name,): tensor for name, tensor in _tensors(path, path)}, {})
    _unpickle(path, scratch)
    paths = json.loads((scratch / "contents.json").read_text("utf-8"))
    numbered = dict(_tensors(scratch / "tensors.safetensors", path))
    tensors = {tuple(keys): numbered[str(i)] for i, keys in enumerate(paths["tensors"])}
    return Contents(tensors, _notes(paths["notes"]))


def _tensors(path: Path, named: Path) -> Iterator[tuple[str, Tensor]]:
    """Of the file `path`; errors name the checkpoint it is, or was made of."""
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            if len(names) > MAX_TENSORS:
                raise CheckpointError(f"{named}: has {len(names)} tensors, more than any network")
            for name in names:
                yield name, file.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{named}: no safetensors file: {error}") from None


def _unpickle(path: Path, scratch: Path) -> None:
    files = (path.absolute(), scratch.absolute())
    command = [sys.executable, "-I", unpickle.__file__, *map(str, files)]
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
    try:
        child = subprocess.run(  # noqa: S603  this interpreter, a file of ours
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            env=kept | {"OPENBLAS_NUM_THREADS": "1"},
            cwd=scratch,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CheckpointError(f"{path}: not read after {TIMEOUT_S} s") from None
    if child.returncode == unpickle.NO_ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(scratch))
    if child.returncode:
        lines = child.stderr.decode("utf-8", "replace").strip().splitlines()
        said = lines[-1][:500] if lines else f"reading it ended with code {child.returncode}"
        raise CheckpointError(f"{path}: {said}")


def _notes(values: list[tuple[list[str], object]]) -> dict[str, object]:
    """Plain values by their last name, the outermost first, and by their whole path."""
    notes: dict[str, object] = {}
    for keys, value in sorted(values, key=lambda entry: len(entry[0])):
        names = [key for key in keys if key not in _BOXES]
        if names:
            notes.setdefault(names[-1], value)
            notes.setdefault(".".join(names), value)
    return notes


def candidates(contents: Contents) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """What may be a network's tensors, the likeliest first: the entry's name, then flat tensors."""
    groups: dict[str, dict[Keys, Tensor]] = {}
    for keys, tensor in contents.tensors.items():
        groups.setdefault(keys[0], {})[keys[1:]] = tensor
    for name in OUTER:
        group = groups.get(name, {})
        if not group or () in group:
            continue
        if name in AVERAGED and all(keys[-1].isdecimal() for keys in group):
            yield from _averaged(name, group, groups)
        elif name in AVERAGED and len({keys[0] for keys in group}) == 1 and len(min(group)) > 1:
            yield name, {clean(keys[1:]): tensor for keys, tensor in group.items()}
        else:
            yield name, {clean(keys): tensor for keys, tensor in group.items()}
    yield "the file", {clean(keys): tensor for keys, tensor in contents.tensors.items()}


def clean(keys: Keys) -> str:
    """A tensor's name in its network, without what wrapped that."""
    return ".".join(step for step in ".".join(keys).split(".") if step not in _WRAPPERS)


def _averaged(
    name: str, group: dict[Keys, Tensor], groups: dict[str, dict[Keys, Tensor]]
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """A list of averages in the order of a network's parameters, which that network names."""
    averages = list(group.values())
    for outer in OUTER:
        if outer in AVERAGED or outer not in groups:
            continue
        network = {clean(keys): tensor for keys, tensor in groups[outer].items()}
        trained = [key for key in network if not key.endswith(_BUFFERS)]
        tops = {key: key.split(".")[0] for key in trained}
        sizes = Counter[str | None](tops.values())
        for frozen in (None, *sizes):
            if len(trained) - sizes[frozen] != len(averages):
                continue
            names = [key for key in trained if tops[key] != frozen]
            if [network[key].shape for key in names] == [tensor.shape for tensor in averages]:
                yield f"{outer} with {name}", network | dict(zip(names, averages, strict=True))
                return


def _identify(system: System, path: Path, contents: Contents) -> tuple[str, dict[str, Tensor]]:
    reasons: list[str] = []
    for _, tensors in candidates(contents):
        try:
            return _told(system, tensors, contents.notes)
        except WeightsError as error:
            reasons.append(str(error))
    for other in SYSTEMS.values():
        if other is system:
            continue
        for _, tensors in candidates(contents):
            try:
                _told(other, tensors, contents.notes)
            except WeightsError:
                continue
            raise CheckpointError(f"{path}: a checkpoint of {other.title}, not of {system.title}")
    raise CheckpointError(
        f"{path}: no layout of {system.title} that is known; found {_shown(contents.outline())}, "
        f"expected {system.expects}: {_shown(reasons[0])}"
    )


def _told(
    system: System, tensors: Mapping[str, Tensor], notes: Mapping[str, object]
) -> tuple[str, dict[str, Tensor]]:
    """Raises WeightsError, also where the names are the system's and shapes or settings are not."""
    try:
        return _module(system.name).identify(tensors, notes)
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise WeightsError(f"shapes or settings that {system.title} cannot have: {error}") from None


def _shown(text: str) -> str:
    """What a file says, fit for a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:500]


def _module(name: str) -> _SystemModule:
    # Only names of the table come here, never a caller's.
    return cast(_SystemModule, importlib.import_module(f"models.diffusion.{name}"))


def _write(
    system: System,
    model_id: str,
    network: str,
    tensors: dict[str, Tensor],
    work: Path,
    paths: Sequence[Path],
    origin: str,
) -> ModelCard:
    whole = {name: _plain(name, tensor) for name, tensor in tensors.items()}
    target = work.parent / model_id
    with _replacing(target, work) as fresh:
        try:
            save_file(whole, fresh / WEIGHTS)
        except SafetensorError as error:  # the library's own, whatever the disk said
            raise OSError(errno.EIO, f"not written: {error}", str(target)) from None
        (fresh / WEIGHTS).chmod(0o644)  # the library's files are their owner's alone
        weights = WeightFile(WEIGHTS, sha256_of(fresh / WEIGHTS), (fresh / WEIGHTS).stat().st_size)
        try:
            card = card_of(model_id, system.name, network, (weights,), fresh)
        except ValueError as error:
            raise CheckpointError(str(error)) from None
        # What is written can be served.
        registry.build(card, whole, torch.device("cpu"))
        sources = [
            {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}
            for path in paths
        ]
        record = {
            "id": model_id,
            "system": system.name,
            "family": card.family,
            "network": network,
            "weights": [asdict(weights)],
            "licence": asdict(card.licence),
            "accept": card.accept,
            "restrictions": system.why,
            "converted_from": sources,
            "origin": origin,
        }
        (fresh / CARD).write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return replace(card, folder=str(target.absolute()))


def _plain(name: str, tensor: Tensor) -> Tensor:
    """Of its own memory, at least float32 where it is a float."""
    if tensor.is_complex():
        raise CheckpointError(f"{name} has complex numbers")
    if not tensor.is_floating_point():
        return tensor.clone().contiguous()
    try:
        whole = tensor.float() if tensor.itemsize < 4 else tensor.clone()
    except NotImplementedError:
        raise CheckpointError(f"{name} has {tensor.dtype}, which cannot be read here") from None
    if not bool(torch.isfinite(whole.float()).all()):  # as the networks compute
        raise CheckpointError(f"{name} has values that are not finite")
    return whole.contiguous()


@contextmanager
def _replacing(target: Path, work: Path) -> Iterator[Path]:
    """A new folder in `work` that takes the place of `target` when all went well."""
    fresh = work / "new"
    fresh.mkdir()
    yield fresh
    fresh.chmod(0o755)
    with _locked(target.parent):
        if target.exists():
            before = work / "before"
            before.mkdir()
            target.rename(before / target.name)
        fresh.rename(target)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Conversions take turns: of two to one id the later one stays."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].rstrip("-") or "published"
