# syntax=docker/dockerfile:1
FROM python:3.11.14-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
RUN python -m venv /opt/mediasvc
# The dependencies first: their layer stays while only our own code changes. Their hashes are those of the wheels for
# amd64 and arm64; nothing is compiled.
COPY deploy/constraints.txt deploy/constraints.txt
RUN /opt/mediasvc/bin/pip install --no-deps --require-hashes --only-binary=:all: -r deploy/constraints.txt
COPY pyproject.toml README.md LICENSE ./
COPY mediasvc mediasvc
RUN /opt/mediasvc/bin/pip install --no-deps . && /opt/mediasvc/bin/pip check


FROM python:3.11.14-slim-bookworm

LABEL org.opencontainers.image.title="mediasvc" \
      org.opencontainers.image.description="Local images for gathered articles" \
      org.opencontainers.image.url="https://github.com/mediasvc/mediasvc" \
      org.opencontainers.image.source="https://github.com/mediasvc/mediasvc" \
      org.opencontainers.image.documentation="https://github.com/mediasvc/mediasvc/tree/main/docs" \
      org.opencontainers.image.vendor="mediasvc maintainers" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="0.1.0"
RUN groupadd --gid 10001 mediasvc \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/mediasvc --shell /usr/sbin/nologin mediasvc \
    && install -d -o 10001 -g 10001 /var/lib/mediasvc
COPY --from=build /opt/mediasvc /opt/mediasvc
COPY --chmod=0755 deploy/entrypoint /usr/local/bin/entrypoint

ENV PATH=/opt/mediasvc/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MEDIASVC_HOST=0.0.0.0 \
    MEDIASVC_DATA_DIR=/var/lib/mediasvc
USER 10001:10001
WORKDIR /var/lib/mediasvc
VOLUME /var/lib/mediasvc
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('MEDIASVC_PORT', '8080') + '/healthz', timeout=4)"]
ENTRYPOINT ["entrypoint"]
CMD ["serve"]
