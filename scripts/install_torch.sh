#!/bin/sh
# Installs PyTorch into an environment: install_torch.sh PYTHON cpu|cuda
# On Linux the public index holds the CUDA build alone, a few gigabytes with what it asks for. The
# label +cpu keeps every route of the CPU variant from it.
set -eu
cd "$(dirname "$0")/.."
python=$1
variant=$2
pinned=$(cat requirements/torch.txt)

install() {
    "$python" -m pip --disable-pip-version-check install --quiet --only-binary :all: "$@"
}

case "$variant" in
cpu | cuda) ;;
*)
    echo "TORCH is cpu or cuda, not '$variant'" >&2
    exit 2
    ;;
esac

present=$("$python" -m pip --disable-pip-version-check show torch 2>/dev/null |
    sed -n 's/^Version: /torch==/p')
case "$variant/$present" in
*/) ;;
"cpu/$pinned+cpu") exit 0 ;;
"cuda/$pinned+cpu") "$python" -m pip uninstall --quiet --yes torch ;;
"cuda/$pinned"*) exit 0 ;;
*) "$python" -m pip uninstall --quiet --yes torch ;;
esac

if [ "$variant" = cuda ]; then
    # Here the label rules the CPU build out, which pip would rank above the plain release.
    install "$pinned,!=${pinned#torch==}+cpu"
elif [ "$(uname -s)" != Linux ]; then
    install --no-deps "$pinned"
elif ! install --no-deps "$pinned+cpu" 2>/dev/null; then
    # None of pip's sources has it; uv knows PyTorch's own index.
    install --require-hashes -r requirements/lock-uv.txt
    "$python" -m uv pip install --quiet --system-certs --python "$python" --no-deps \
        --torch-backend=cpu "$pinned" || {
        echo "No source has $pinned+cpu. Point pip at a folder that holds its wheel by" \
            "PIP_FIND_LINKS, or take the CUDA build by TORCH=cuda." >&2
        exit 1
    }
fi
