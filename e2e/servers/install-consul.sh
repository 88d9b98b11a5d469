#!/bin/sh
# Puts a real Consul into an ignored folder, for the tests that hold the embedded agent against it. Changes nothing on the
# system and needs no root: Debian's package is fetched with a private apt state and unpacked beside the checkout.
#
#   sh e2e/servers/install-consul.sh        prints the path of the binary; quick when it is there
#
# HEDDLE_TOOLS   folder for such tools, default .heddle/tools under the checkout
#
# The mirror, its proxy and its keys are those of the machine's own apt sources. The package is the machine's own release's
# when that has one, else that of Debian's suite "bullseye" (1.8.7, the last that carries Consul).
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
tools=${HEDDLE_TOOLS:-$root/.heddle/tools}
binary=$tools/consul/usr/bin/consul

if [ -x "$binary" ]; then
  echo "$binary"
  exit 0
fi
if found=$(command -v consul); then
  echo "$found"
  exit 0
fi
for command in apt-get apt-cache dpkg-deb; do
  command -v "$command" >/dev/null || { echo "install-consul: expected $command (a Debian or Ubuntu machine), or a consul on PATH" >&2; exit 1; }
done

mkdir -p "$tools"
work=$(mktemp -d "$tools/consul-install.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/package"
: >"$work/status"

# apt with a state of its own; the machine's apt.conf.d (proxy, certificates) still counts.
private() {
  command=$1
  shift
  "$command" -q -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$work/lists" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" \
    -o APT::Sandbox::User=root -o APT::Get::List-Cleanup=0 "$@"
}

download() {
  (cd "$work/package" && "$@" download consul) >"$work/download.log" 2>&1
}

own() {
  apt-get -q -o APT::Sandbox::User=root "$@"
}

# The Debian mirror among the machine's sources: of the archive proper, so not of its security or of third parties.
mirror() {
  apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
    sed -n 's/^Debian|Debian|//p' | head -n 1 | grep . && return
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources 2>/dev/null |
    grep -Ev '^[[:space:]]*#' | grep -Eo '(https?|mirror\+[a-z]+|file|copy)://?[^][[:space:]]+/debian/?([[:space:]]|$)' | head -n 1 | tr -d '[:space:]'
}

if ! download own; then
  uri=$(mirror)
  [ -n "$uri" ] || { echo "install-consul: expected a Debian mirror in the machine's apt sources, found none" >&2; exit 1; }
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  option=
  [ ! -r "$keyring" ] || option="[signed-by=$keyring]"
  echo "deb $option ${uri%/} bullseye main" >"$work/sources.list"
  private apt-get update >"$work/update.log" 2>&1 || { cat "$work/update.log" >&2; exit 1; }
  download private apt-get || { cat "$work/download.log" >&2; exit 1; }
fi

mkdir "$work/tree"
dpkg-deb -x "$work"/package/consul_*.deb "$work/tree"
rm -rf "$tools/consul"
# A rename: two that install at once each leave a whole tree.
mv -T "$work/tree" "$tools/consul" 2>/dev/null || [ -x "$binary" ]
"$binary" version >/dev/null
echo "$binary"
