#!/bin/sh
# Starts Redis with the password of REDIS_PASSWORD. Arguments go to redis-server.
#
# Redis takes a password from its configuration or its command line, and command lines can be read by others.
# So the configuration of this run is made in memory (a tmpfs), with the password's SHA-256 in place of itself.
set -eu
umask 077

conf=${REDIS_CONF:-/usr/local/etc/redis/redis.conf}
run=${REDIS_RUN_DIR:-/run/redis}

if [ -z "${REDIS_PASSWORD:-}" ]; then
    echo "redis-start: REDIS_PASSWORD is empty; set it in .env.docker" >&2
    exit 1
fi

digest=$(printf %s "$REDIS_PASSWORD" | sha256sum)
{
    printf 'include "%s"\n' "$conf"
    printf 'user default on sanitize-payload #%s ~* &* +@all\n' "${digest%% *}"
} >"$run/run.conf"

unset REDIS_PASSWORD digest
exec redis-server "$run/run.conf" "$@"
