"""The `bozzetto` command. Everything heavy is imported by the command that needs it."""

import argparse
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from models.catalog import DEFAULT_MODEL, SAMPLERS

DONE, FAILED, BAD_INPUT, CANNOT_START = 0, 1, 2, 3


def main(argv: Sequence[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    try:
        code: int = arguments.run(arguments)
    except KeyboardInterrupt:
        return 130
    return code


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bozzetto", description="Turns a picture into a 3D point cloud or mesh."
    )
    parser.add_argument("--version", action="version", version=f"bozzetto {_version()}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser(
        "serve", help="gateway and worker in one, with a queue server of its own if none is set"
    )
    _add_listen_options(serve)
    _add_data_dir(serve)
    serve.set_defaults(run=_serve)

    gateway = commands.add_parser("gateway", help="the HTTP side only")
    _add_listen_options(gateway)
    _add_data_dir(gateway)
    gateway.set_defaults(run=_gateway)

    worker = commands.add_parser("worker", help="a worker only")
    _add_data_dir(worker)
    worker.add_argument("--tied", action="store_true", help=argparse.SUPPRESS)
    worker.set_defaults(run=_worker)

    _add_generate(commands.add_parser("generate", help="pictures to files, without a server"))

    _add_models(commands.add_parser("models", help="what can be run"))
    return parser


def _add_listen_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=_port, help="port; 0 takes a free one (default 8000)")


def _add_data_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=Path, help="pictures, results and queue (default data)")


def _add_models(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listed = actions.add_parser("list", help="all models, and whether their weights are here")
    verified = actions.add_parser("verify", help="check the weights against their pinned sha256")
    pulled = actions.add_parser("pull", help="fetch a published checkpoint, and convert it")
    converted = actions.add_parser(
        "convert", help="turn an author's published checkpoint into safetensors"
    )
    for action in (verified, pulled):
        action.add_argument("model", nargs="*", help="ids; verify takes all if none is given")
    converted.add_argument("system", help="pc2, dit3d, pointe, gecco or dpm")
    converted.add_argument(
        "checkpoint",
        nargs="+",
        type=Path,
        help="the authors' file; several where networks come in files of their own",
    )
    converted.add_argument("--id", dest="model_id", help="of the model (default: from the file)")
    for action in (pulled, converted):
        action.add_argument("--member", help="which file, of an archive of several")
        action.add_argument(
            "--accept-licence",
            action="append",
            default=[],
            metavar="NAME",
            help="a licence that you have read and accept",
        )
    for action in (listed, verified, pulled, converted):
        _add_data_dir(action)
        action.set_defaults(run=_models, action=action.prog.rsplit(" ", 1)[-1])


def _add_generate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    parser.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path(),
        help="a .glb, .ply, .obj, .stl, .usdz, .png, .gif or .webp file, or a folder "
        "(default: here, .glb)",
    )
    parser.add_argument(
        "--model", default=DEFAULT_MODEL, help="see `bozzetto models list` (default %(default)s)"
    )
    parser.add_argument("--num-points", type=int, help="points of the cloud, 256 to 16384")
    parser.add_argument("--seed", type=int, help="same seed, same object; drawn if not given")
    sampling = parser.add_argument_group("for models that sample")
    sampling.add_argument(
        "--steps", type=int, help="of the sampler; the model says how many at most"
    )
    sampling.add_argument("--sampler", help=", ".join(SAMPLERS))
    sampling.add_argument(
        "--guidance-scale", type=float, help="how much more the picture counts; 1 is off"
    )
    sampling.add_argument("--candidates", type=int, help="sample so many, keep the best; 1 to 8")
    sampling.add_argument("--label", type=int, help="class of object, of models of classes")
    sampling.add_argument("--camera", help="auto, or JSON that describes it")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--mesh", action="store_const", const="mesh", dest="kind")
    kind.add_argument("--points", action="store_const", const="points", dest="kind")
    parser.add_argument("--remove-background", choices=("auto", "always", "never"), default="auto")
    parser.add_argument("--target-faces", type=int, help="simplify the mesh to about so many")
    parser.add_argument(
        "--texture-size", type=int, help="bake a texture of so many pixels a side into GLB and USDZ"
    )
    parser.add_argument(
        "--compression",
        choices=("none", "quantized", "meshopt"),
        default="none",
        help="of GLB files",
    )
    parser.add_argument("--preview", action="store_true", help="also write NAME.preview.png")
    parser.set_defaults(run=_generate)


def _serve(arguments: argparse.Namespace) -> int:
    from service.commands import serve

    return serve(arguments.host, arguments.port, arguments.data_dir)


def _gateway(arguments: argparse.Namespace) -> int:
    from service.commands import gateway

    return gateway(arguments.host, arguments.port, arguments.data_dir)


def _worker(arguments: argparse.Namespace) -> int:
    from service.commands import worker

    return worker(arguments.data_dir, tied=arguments.tied)


def _generate(arguments: argparse.Namespace) -> int:
    from service.commands import generate

    return generate(arguments)


def _models(arguments: argparse.Namespace) -> int:
    from service.model_commands import models

    return models(arguments)


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65_535:
        raise argparse.ArgumentTypeError("must be 0 to 65535")
    return number


def _version() -> str:
    try:
        return version("bozzetto")
    except PackageNotFoundError:
        return "unknown"


if __name__ == "__main__":
    sys.exit(main())
