#!/bin/sh
# Makes the virtual environment .venv of this checkout from the lock, or does nothing where it is up to date.
#
#   deploy/bootstrap.sh        what running needs
#   deploy/bootstrap.sh dev    what tests and checks need besides
#
# The environment variable PYTHON names the interpreter to use; pip's own settings (index, proxy, …) are the user's.
set -eu
# The path of the checkout may mean nothing in the locale's encoding.
export PYTHONUTF8=1

cd "$(dirname "$0")/.."
checkout=$(pwd)
venv=$checkout/.venv
what=${1:-run}
case $what in
  run) lock=requirements.lock only="--only-binary :all:" ;;
  # nkeys publishes no wheel; it is plain Python and only tests use it.
  dev) lock=requirements-dev.lock only="--only-binary :all: --no-binary nkeys" ;;
  *) echo "usage: $0 [dev]" >&2; exit 2 ;;
esac

# Two at once (make serve, make test) take turns. The lock is on this file and goes with the process.
exec 9< "$0"
if command -v flock > /dev/null && ! flock -n 9; then
  echo "Waiting for another make, which looks after the environment .venv too" >&2
  flock 9
fi

# Complete or not, and of what: an interrupted install leaves "incomplete", and is then not believed.
stamp=$venv/trainledger-installed
key="$(cksum < "$lock") $what $checkout"
run_key="$(cksum < requirements.lock) run $checkout"
version='import sys; print("%d.%d" % sys.version_info[:2])'
stays() { # the environment runs, and on the Python that the user names, if any
  present=$("$venv/bin/python" -c "$version" 2> /dev/null) &&
    { [ -z "${PYTHON:-}" ] || [ "$("$PYTHON" -c "$version" 2> /dev/null)" = "$present" ]; }
}
if stays && grep -qxF "$key" "$stamp" 2> /dev/null; then
  exit 0
fi

fits='import sys; sys.exit(not ((3, 11) <= sys.version_info[:2] < (3, 14) and sys.implementation.name == "cpython"))'
find_python() {
  if [ "${PYTHON:-}" ]; then set -- "$PYTHON"; else set -- python3.13 python3.12 python3.11 python3 python; fi
  for candidate; do
    if "$candidate" -c "$fits" 2> /dev/null; then
      command -v "$candidate"
      return
    fi
  done
  if [ "${PYTHON:-}" ]; then
    echo "PYTHON=$PYTHON is no Python 3.11, 3.12 or 3.13 that runs." >&2
  else
    echo "TrainLedger needs Python 3.11, 3.12 or 3.13 and finds none; on Debian: apt-get install python3 python3-venv" >&2
  fi
  return 1
}

# $1 is what the attempt printed.
explain_venv() {
  if "$python" -c 'import ensurepip' 2> /dev/null; then
    echo "$python cannot make the virtual environment $venv:" >&2
    echo "$1" | tail -n 5 >&2
    exit 1
  fi
  found=$("$python" -c "$version")
  package=python3-venv
  if [ "$(/usr/bin/python3 -c "$version" 2> /dev/null)" != "$found" ]; then package=python$found-venv; fi
  echo "$python cannot make virtual environments, which Debian packages apart: apt-get install $package" >&2
  exit 1
}

# Where $python has no pip to put into the environment, a pip outside of it can fill it just as well.
make_environment() {
  echo "Making the environment .venv with $python" >&2
  rm -rf "$venv"
  mkdir "$venv"
  echo incomplete > "$stamp"
  if said=$("$python" -m venv "$venv" 2>&1 && "$venv/bin/python" -m pip --version 2>&1); then
    return
  fi
  if "$python" -m venv --without-pip --clear "$venv" > /dev/null 2>&1 && echo incomplete > "$stamp" &&
    "$python" -m pip --python "$venv/bin/python" --version > /dev/null 2>&1; then
    return
  fi
  rm -rf "$venv"
  explain_venv "$said"
}

run_pip() {
  if "$venv/bin/python" -m pip --version > /dev/null 2>&1; then
    "$venv/bin/python" -m pip "$@"
  else
    "${python:-$(find_python)}" -m pip --python "$venv/bin/python" "$@"
  fi
}

for written in "$checkout" "$venv"; do
  if [ -e "$written" ] && [ ! -w "$written" ]; then
    echo "$written cannot be written to, and the environment .venv belongs there: clone to a directory of your own." >&2
    exit 1
  fi
done

if ! stays || [ ! -f "$stamp" ] || grep -qx incomplete "$stamp" || ! grep -qF " $checkout" "$stamp"; then
  if [ -e "$venv" ] && [ ! -f "$stamp" ] && [ -f "$venv/pyvenv.cfg" ]; then
    echo "$venv is a virtual environment that something else made; move it away first." >&2
    exit 1
  fi
  python=$(find_python)
  make_environment
fi

echo "Installing the dependencies of $lock" >&2
# What tests need only adds to what running needs, at the same versions; so a service may run meanwhile.
if [ $what = run ] || ! grep -qxF "$run_key" "$stamp"; then echo incomplete > "$stamp"; else echo "$run_key" > "$stamp"; fi
# A user's PIP_USER or PIP_TARGET would install elsewhere.
# shellcheck disable=SC2086 # the options are several words
unset PIP_TARGET PIP_PREFIX PIP_ROOT
PIP_USER=0 PIP_DISABLE_PIP_VERSION_CHECK=1 run_pip install --quiet --require-hashes $only -r "$lock"

site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# This checkout, relative to .venv/lib/python3.N/site-packages: Python reads the file in the locale's encoding, in which
# the name of a directory may mean nothing.
echo ../../../.. > "$site/trainledger.pth"
cat > "$venv/bin/trainledger" << SCRIPT
#!/bin/sh
exec "\$(dirname "\$0")/python" -I -X utf8 -m services.cli "\$@"
SCRIPT
chmod +x "$venv/bin/trainledger"

# The first start would otherwise compile all this while somebody waits for it.
"$venv/bin/python" -m compileall -q contracts events projections services

if [ $what = run ]; then echo "$run_key"; else printf '%s\n' "$run_key" "$key"; fi > "$stamp.new"
mv "$stamp.new" "$stamp"
