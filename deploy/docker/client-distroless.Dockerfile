# The same without a shell or a package manager. The library that verifies quotes is taken from Debian's own image of
# the same release.
FROM node:22-bookworm-slim AS install
RUN apt-get update && apt-get install -y --no-install-recommends libtss2-mu0 \
  && mkdir -p /libraries && cp -L /usr/lib/*/libtss2-mu.so.0 /libraries/
WORKDIR /srv/app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY . .

FROM gcr.io/distroless/nodejs22-debian12:nonroot
COPY --from=install /libraries/ /usr/lib/
WORKDIR /srv/app
COPY --from=install /srv/app .
CMD ["main.js"]
