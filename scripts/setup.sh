#!/usr/bin/env bash
# Installs the Debian packages that Millrace needs, and nothing else: what building needs, and with "test" what the tests need on top.
#   scripts/setup.sh [build|test]
set -euo pipefail

build=(g++ cmake ninja-build ccache pkg-config git
  libboost1.81-dev libssl-dev libbson-dev libmongoc-dev librdkafka-dev liblmdb-dev libxxhash-dev libsimdjson-dev
  libintelrdfpmath-dev libpcre2-dev libhowardhinnant-date-dev libspdlog-dev libfmt-dev libcli11-dev libyaml-cpp-dev
  libsnappy-dev zlib1g-dev libzstd-dev tzdata)
# For the tests: GoogleTest, the Python clients, and what the real servers under compat/servers need.
test=(libgtest-dev libbenchmark-dev python3 python3-bson python3-pymongo python3-pip python3-yaml libcurl4 openssl kcat
  openjdk-17-jre-headless maven clang libclang-rt-14-dev valgrind)

case "${1:-build}" in
  build) wanted=("${build[@]}") ;;
  test) wanted=("${build[@]}" "${test[@]}") ;;
  *) echo "usage: scripts/setup.sh [build|test]" >&2; exit 2 ;;
esac

# A Java or Node.js that was installed in another way will do.
if [ "${1:-build}" = test ]; then
  command -v java >/dev/null && wanted=("${wanted[@]/openjdk-17-jre-headless}")
  command -v mvn >/dev/null && wanted=("${wanted[@]/maven}")
  command -v npm >/dev/null || wanted+=(nodejs npm)
fi

missing=()
for package in "${wanted[@]}"; do
  [ -z "$package" ] || dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

command -v apt-get >/dev/null || { echo "setup: these Debian packages are missing, and there is no apt-get: ${missing[*]}" >&2; exit 1; }
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)
echo "setup: installing ${missing[*]}" >&2
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
