# Two images from one file:
#   docker build --target gateway .    the HTTP side, without PyTorch
#   docker build --target worker .     the networks; --build-arg TORCH=cuda for a GPU
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS base
ENV PATH=/opt/bozzetto/bin:$PATH \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONUNBUFFERED=1 \
    BOZZETTO_DATA_DIR=/data \
    BOZZETTO_GATEWAY__HOST=0.0.0.0
RUN python3 -m venv /opt/bozzetto \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin bozzetto \
    && install -d -o bozzetto /data
WORKDIR /opt/bozzetto

# Our own packages and command, laid out like the environment that they are copied into.
FROM base AS package
COPY requirements/lock-build.txt requirements/
RUN pip install --quiet --require-hashes -r requirements/lock-build.txt
WORKDIR /src
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY geometry geometry
COPY kernels kernels
COPY models models
COPY service service
RUN pip install --quiet --no-deps --no-build-isolation --prefix /package .

FROM base AS gateway
COPY requirements/lock-gateway.txt requirements/
RUN pip install --quiet --require-hashes --no-deps --only-binary :all: \
        -r requirements/lock-gateway.txt
COPY --from=package /package /opt/bozzetto
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["sh", "-c", "python3 -c \"import urllib.request as r; r.urlopen('http://127.0.0.1:${BOZZETTO_GATEWAY__PORT:-8000}/livez', timeout=2)\""]
ENTRYPOINT ["bozzetto"]
CMD ["gateway"]

FROM base AS worker
ARG TORCH=cpu
# PyTorch has a layer of its own: large, and changed by its own pin alone.
COPY requirements/torch.txt requirements/lock-uv.txt requirements/
COPY scripts/install_torch.sh scripts/
RUN scripts/install_torch.sh python3 ${TORCH}
COPY requirements/lock.txt requirements/
RUN pip install --quiet --require-hashes --no-deps --only-binary :all: -r requirements/lock.txt
COPY --from=package /package /opt/bozzetto
USER 10001
VOLUME /data
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s \
    CMD ["python3", "-m", "service.worker.alive"]
ENTRYPOINT ["bozzetto"]
CMD ["worker"]
