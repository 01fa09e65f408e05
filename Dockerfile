# The daemon's image. Built by compose/docker-compose.yml, or alone by: docker build -t exai .

FROM node:22.21.1-bookworm-slim AS charts

# Chart.js for the dashboard, its hash checked.
WORKDIR /charts
COPY exai_ops/dashboard/package.json exai_ops/dashboard/package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund --silent && npm run --silent vendor


FROM python:3.13.9-slim-bookworm AS build

WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore

# Every package, its hash checked; then a wheel of ours made with the locked build backend, offline.
COPY requirements.lock ./
RUN python -m pip wheel --quiet --require-hashes --wheel-dir /wheels -r requirements.lock
RUN python -m venv /build && /build/bin/python -m pip install --quiet --no-index --find-links /wheels hatchling
COPY pyproject.toml README.md ./
COPY exai_ops ./exai_ops
COPY --from=charts /charts/vendor ./exai_ops/dashboard/static/vendor
RUN /build/bin/python -m pip wheel --quiet --no-index --no-deps --no-build-isolation --wheel-dir /wheels .

# What the wheel needs of these and nothing more: no pip, no build backend.
RUN python -m venv --without-pip /opt/exai \
    && python -m pip --python /opt/exai/bin/python install --quiet --no-index --find-links /wheels exai-ops \
    && /opt/exai/bin/python -m compileall -q /opt/exai/lib
COPY compose/exai-ready /opt/exai/bin/exai-ready


FROM python:3.13.9-slim-bookworm

RUN groupadd --gid 10001 exai \
    && useradd --uid 10001 --gid exai --no-create-home --home-dir /var/lib/exai --shell /usr/sbin/nologin exai \
    && install --directory --owner exai --group exai --mode 0700 /var/lib/exai
COPY --from=build /opt/exai /opt/exai

ENV PATH=/opt/exai/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    EXAI_STATE_DIR=/var/lib/exai
WORKDIR /var/lib/exai
USER 10001:10001
EXPOSE 8079
VOLUME /var/lib/exai
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["exai-ready"]
CMD ["exai", "serve"]
