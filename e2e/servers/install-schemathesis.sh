#!/bin/sh
# Puts Python programs that the end-to-end tests use into an ignored folder: schemathesis, which holds the platform against its own
# OpenAPI document, and grpcio, for a backend in Python. Changes nothing on the system and needs no root.
#
#   sh e2e/servers/install-schemathesis.sh        prints the folder of the programs; quick when they are there
#
# HEDDLE_TOOLS   folder for such tools, default .heddle/tools under the checkout
#
# Needs python3 (3.10 or later) with its module venv, which Debian has in a package of its own: python3-venv.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
tools=${HEDDLE_TOOLS:-$root/.heddle/tools}
packages='schemathesis==4.32.5 grpcio==1.85.1 grpcio-tools==1.85.1 grpcio-reflection==1.85.1 googleapis-common-protos==1.76.0'
folder=$tools/python
wanted=$(printf '%s' "$packages" | cksum | cut -d' ' -f1)

if [ -e "$folder/complete-$wanted" ]; then
  echo "$folder/bin"
  exit 0
fi
command -v python3 >/dev/null || { echo "install-schemathesis: expected python3 on PATH" >&2; exit 1; }

mkdir -p "$tools"
rm -rf "$folder"
python3 -m venv "$folder"
# shellcheck disable=SC2086
"$folder/bin/pip" install --quiet --disable-pip-version-check --no-input $packages >&2
"$folder/bin/schemathesis" --version >&2
# A name that tells it from the system's own.
ln -s python "$folder/bin/grpc_tools_python"
: >"$folder/complete-$wanted"
echo "$folder/bin"
