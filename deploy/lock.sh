#!/bin/sh
# Pins the dependencies of pyproject.toml by hash: the newest that fit, wheels only, no word of where they came from.
set -eu
cd "$(dirname "$0")/.."

tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
.venv/bin/python -m venv "$tool"
"$tool/bin/python" -m pip install --quiet uv

pin() {
  lock=$1
  shift
  "$tool/bin/uv" pip compile --quiet --upgrade --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
    --generate-hashes --only-binary :all: --no-emit-index-url --no-annotate --no-header "$@" pyproject.toml \
    --output-file "$tool/$lock"
  {
    echo "# Pinned by \`make lock\` from pyproject.toml: wheels for Linux on x86-64 and arm64, Python 3.11 to 3.13."
    cat "$tool/$lock"
  } > "$lock"
}

pin requirements.lock
pin requirements-dev.lock --group dev --constraint requirements.lock --no-binary nkeys

# The pins were made for one platform and hold for all, or this fails.
for machine in x86_64 aarch64; do
  for version in 3.11 3.12 3.13; do
    echo "Looking for every wheel: Python $version on $machine"
    platforms=$(for glibc in 17 24 26 27 28; do echo "--platform manylinux_2_${glibc}_$machine"; done)
    # shellcheck disable=SC2086 # several options
    "$tool/bin/python" -m pip download --quiet --no-deps --require-hashes --only-binary :all: --dest "$tool/wheels" \
      $platforms --platform "manylinux2014_$machine" --implementation cp --python-version "$version" \
      --abi "cp$(echo "$version" | tr -d .)" --abi abi3 --abi none -r requirements.lock
  done
done
