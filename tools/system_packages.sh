#!/usr/bin/env bash
# What the tests need from the system: Chromium for the pages, a font with all scripts for the names, PostgreSQL's
# server programs (no server is left running). On Linux as root also what loses packets in a network of the tests' own, and a relay
# (coturn) for it.
set -euo pipefail

missing=()
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
has_firefox=true
command -v firefox-esr >/dev/null || command -v firefox >/dev/null || has_firefox=false
compgen -G "/usr/share/fonts/*/unifont/*" >/dev/null || compgen -G "/usr/share/fonts/*/*/NotoSansCJK*" >/dev/null || missing+=(fonts-unifont)
command -v pg_ctl >/dev/null || compgen -G "/usr/lib/postgresql/*/bin/pg_ctl" >/dev/null || missing+=(postgresql)
if [ "$(id -u)" -eq 0 ] && [ "$(uname)" = Linux ]; then
    command -v nft >/dev/null || missing+=(nftables)
    command -v ip >/dev/null || missing+=(iproute2)
    command -v turnserver >/dev/null || missing+=(coturn)
fi
[ ${#missing[@]} -eq 0 ] && $has_firefox && exit 0

if ! command -v apt-get >/dev/null; then
    [ ${#missing[@]} -eq 0 ] && exit 0
    echo "The tests need: ${missing[*]}. Install Chromium (or run 'playwright install chromium'), a font with all scripts and PostgreSQL's server (pg_ctl on the path)." >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || [ ${#missing[@]} -gt 0 ] || exit 0
    command -v sudo >/dev/null || { echo "The tests need: ${missing[*]}. As root: apt-get install ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
fi
echo "Installing for the tests: ${missing[*]}$($has_firefox || echo " firefox-esr")"
export DEBIAN_FRONTEND=noninteractive
if [[ " ${missing[*]} " == *" postgresql "* ]]; then
    # The tests start servers of their own: without this Debian would make one, and start it with the machine.
    "${as_root[@]}" mkdir -p /etc/postgresql-common/createcluster.d
    echo "create_main_cluster = false" | "${as_root[@]}" tee /etc/postgresql-common/createcluster.d/surveillx-tests.conf >/dev/null
fi
"${as_root[@]}" apt-get update -qq
[ ${#missing[@]} -eq 0 ] || "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
# Ubuntu has Firefox as a snap only, which cannot be installed in a container: there its tests are skipped, and say so.
$has_firefox || "${as_root[@]}" apt-get install -y -qq --no-install-recommends firefox-esr >/dev/null || echo "No package firefox-esr here: the tests in Firefox are skipped."
