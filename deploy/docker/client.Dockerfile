# An application that uses nomyo-native, on Debian slim. Run it with --ulimit memlock=67108864:67108864 --ulimit core=0
# --read-only.
ARG NODE=22-bookworm-slim
FROM node:${NODE} AS install
WORKDIR /srv/app
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY . .

FROM node:${NODE}
# Verifies quotes; without attestation it is not needed.
RUN apt-get update && apt-get install -y --no-install-recommends libtss2-mu0 && rm -rf /var/lib/apt/lists/*
WORKDIR /srv/app
COPY --from=install /srv/app .
USER 1000:1000
CMD ["node", "main.js"]
