# The router, on Debian slim: docker build -f router.Dockerfile --build-arg VERSION=0.1.0 .
# Run it with --ulimit memlock=268435456:268435456 --ulimit core=0 --read-only, and its keys as files that uid 1000
# alone can read.
ARG NODE=22-bookworm-slim
FROM node:${NODE} AS install
ARG VERSION
WORKDIR /srv/router
RUN test -n "$VERSION" && npm install --ignore-scripts --no-audit --no-fund "nomyo-native@$VERSION"

FROM node:${NODE}
# What talks to a TPM; without --tcti it is not needed.
RUN apt-get update \
  && apt-get install -y --no-install-recommends libtss2-esys-3.0.2-0 libtss2-mu0 libtss2-tcti-device0 libtss2-tctildr0 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/router
COPY --from=install /srv/router/node_modules node_modules
USER 1000:1000
EXPOSE 8443
ENTRYPOINT ["node", "node_modules/nomyo-native/dist/cli/main.js", "router", "--host", "0.0.0.0", "--port", "8443"]
