#!/bin/sh
# Writes the locks under requirements/: lock.sh UV [option of `uv pip compile`, as --upgrade]...
# They hold for every platform and Python >= 3.11, with hashes and without an index address.
set -eu
cd "$(dirname "$0")/.."
uv=$1
shift

compile() {
    output=$1
    shift
    "$uv" pip compile --quiet --system-certs --universal --python-version 3.11 \
        --config-file requirements/uv.toml --generate-hashes --no-annotate \
        --custom-compile-command "make lock" --no-emit-package torch --output-file "requirements/$output" "$@"
}

compile lock.txt pyproject.toml --constraints requirements/torch.txt "$@"
# The smaller locks follow the first, so that one package has one version everywhere.
compile lock-dev.txt pyproject.toml --extra dev --constraints requirements/lock.txt "$@"
compile lock-gateway.txt requirements/gateway.in --constraints requirements/lock.txt "$@"
compile lock-build.txt requirements/build.in --constraints requirements/lock.txt "$@"
compile lock-triton-3.6.txt requirements/triton-3.6.in "$@"
compile lock-bench.txt requirements/bench.in --constraints requirements/lock-dev.txt "$@"
compile lock-uv.txt requirements/uv.in "$@"
compile lock-tools.txt requirements/tools.in "$@"
