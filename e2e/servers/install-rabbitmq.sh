#!/bin/sh
# Installs RabbitMQ from the distribution's own packages, for the tests that run the queue service against it. Needs root, and a Debian or Ubuntu.
#
#   sh e2e/servers/install-rabbitmq.sh        quick when it is there
#
# The package would start a broker; the tests start their own, so it is kept from doing so.
set -eu

if [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || command -v rabbitmq-server >/dev/null; then
  exit 0
fi
command -v apt-get >/dev/null || { echo "install-rabbitmq: expected apt-get (a Debian or Ubuntu machine), or a rabbitmq-server on PATH" >&2; exit 1; }

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap 'rm -f "$policy"' EXIT INT TERM
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
apt-get -q update
DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends rabbitmq-server
