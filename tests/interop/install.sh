#!/usr/bin/env bash
# Installs the real clients and the tracker that `make interop` talks to, and what
# reads and makes torrents: eight packages from Debian or Ubuntu (one is the browser of `make page`, one is xmllint,
# which `make grade` has read a report, and one is `ip`, for networks of a test's own), libtorrent from PyPI, rqbit from the crate registry, WebTorrent from npm's.
#
#   PIECEMEAL_INTEROP_PREFIX  where the last three go (default: target/interop)
#   PIECEMEAL_INTEROP_SKIP    programs to leave out, with commas; the tests obey it too
set -euo pipefail
cd "$(dirname "$0")/../.."

prefix=${PIECEMEAL_INTEROP_PREFIX:-target/interop}
mkdir -p "$prefix/bin"

wanted() {
    case ",${PIECEMEAL_INTEROP_SKIP:-}," in
        *",$1,"*) echo "SKIPPED: $1 (PIECEMEAL_INTEROP_SKIP)"; return 1 ;;
    esac
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Debian would start the daemons it installs, open to the whole network.
without_services() {
    local policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        as_root "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    local outcome=0
    as_root "$@" || outcome=$?
    as_root rm -f "$policy"
    return "$outcome"
}

packages=()
missing() {
    wanted "$1" && ! command -v "$1" >/dev/null
}
if missing transmission-daemon; then packages+=(transmission-daemon); fi
if missing aria2c; then packages+=(aria2); fi
if missing transmission-show; then packages+=(transmission-cli); fi
if missing mktorrent; then packages+=(mktorrent); fi
if missing opentracker; then packages+=(opentracker); fi
if missing chromium; then packages+=(chromium); fi
if missing xmllint; then packages+=(libxml2-utils); fi
if missing ip; then packages+=(iproute2); fi

has_libtorrent() {
    "$1" -c 'import libtorrent' 2>/dev/null
}
make_venv=false
if wanted libtorrent && ! has_libtorrent "$prefix/venv/bin/python3" && ! has_libtorrent python3; then
    make_venv=true
    # Debian leaves venv out of its python3.
    if ! python3 -c 'import ensurepip' 2>/dev/null; then packages+=(python3-venv); fi
fi

has_webtorrent() {
    [ "$(node -p 'require(require("path").resolve(process.argv[1])).version' "$prefix/node_modules/webtorrent/package.json" 2>/dev/null)" = 1.9.7 ]
}
make_webtorrent=false
if wanted webtorrent && ! has_webtorrent; then
    make_webtorrent=true
    if ! command -v node >/dev/null; then packages+=(nodejs); fi
    if ! command -v npm >/dev/null; then packages+=(npm); fi
fi

if [ "${#packages[@]}" -gt 0 ]; then
    as_root apt-get update
    without_services env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${packages[@]}"
fi

if "$make_venv"; then
    python3 -m venv "$prefix/venv"
    "$prefix/venv/bin/python3" -m pip install --quiet libtorrent==2.1.1
fi

if "$make_webtorrent"; then
    # The last version of plain JavaScript: later ones load a WebRTC library in
    # machine code before they do anything else. No package's script is run.
    npm install --prefix "$prefix" --no-save --ignore-scripts --omit=dev --omit=optional \
        --no-audit --no-fund --loglevel=error webtorrent@1.9.7
fi

if wanted rqbit && ! "$prefix/bin/rqbit" --version 2>/dev/null | grep -q ' 9\.1\.0$'; then
    # It need not be fast, but it must be built: unoptimized it takes three
    # minutes on two cores, optimized six.
    start=$SECONDS
    CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_DEBUG=0 \
        CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256 \
        CARGO_TARGET_DIR="$prefix/rqbit-target" \
        cargo install --quiet --locked --version 9.1.0 --no-default-features --features rust-tls \
        --root "$prefix" rqbit
    rm -rf "$prefix/rqbit-target"
    echo "rqbit was built in $((SECONDS - start)) s"
fi
