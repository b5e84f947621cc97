# A server of runs:          docker build --tag ssna .
# With the trained demo:     docker compose up --detach --wait
# See docs/guide/operating.md. Where pip's torch brings GPU libraries, name an index of CPU builds, as pytorch.org says:
# --build-arg PIP_EXTRA_INDEX_URL=...
FROM python:3.11-slim-bookworm AS build
ARG PIP_EXTRA_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/ssna
COPY constraints.txt ./
RUN /opt/ssna/bin/pip install --constraint constraints.txt torch
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/ssna/bin/pip install --constraint constraints.txt '.[serve,demo]'

FROM build AS trained
RUN /opt/ssna/bin/pip download --no-deps --dest wheels recbole==1.2.1 \
    && /opt/ssna/bin/ssna demo --out /demo --wheel wheels/recbole-1.2.1-py3-none-any.whl

FROM python:3.11-slim-bookworm AS base
RUN useradd --system --uid 10001 --user-group --no-create-home ssna \
    && install --directory --owner=ssna --group=ssna /state
COPY --from=build /opt/ssna /opt/ssna
# The root may be read-only: all that is written goes to /tmp and /state.
ENV PATH=/opt/ssna/bin:$PATH HOME=/tmp HF_HUB_OFFLINE=1
WORKDIR /tmp
USER 10001:10001
VOLUME /state
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=3s --start-period=5m \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/ready', timeout=2)"]
ENTRYPOINT ["ssna"]
CMD ["serve", "/runs/best", "--state", "/state", "--host", "0.0.0.0", "--allowed-host", "localhost"]

FROM base AS demo
COPY --from=trained /demo/runs /runs

FROM base AS service
