#!/usr/bin/env bash
# Creates .venv and installs the locked dependencies. If everything is installed already, it does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

[ "$(uname -s)" = Linux ] || { echo "longrun runs only on Linux; this machine runs $(uname -s)" >&2; exit 1; }
python=$(command -v python3.11 || true)
[ -n "$python" ] || { echo "longrun needs Python 3.11: install it so that python3.11 is on the PATH" >&2; exit 1; }

wanted=$(cat infra/locks/*.txt pyproject.toml | sha256sum | cut -d' ' -f1)
[ "$(cat .venv/installed 2>/dev/null || true)" = "$wanted" ] && exit 0

echo "longrun: installing the locked dependencies into .venv (only the first time; takes a few minutes without a package cache)"
[ -x .venv/bin/pip ] || { rm -rf .venv; "$python" -m venv .venv; }
.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r infra/locks/bootstrap.txt
# uv reads its own variable for extra wheel directories
export UV_FIND_LINKS="${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}"
[ -n "$UV_FIND_LINKS" ] || unset UV_FIND_LINKS
locks=()
for group in core data train evaluate curation cluster tracking dev; do locks+=(-r "infra/locks/$group.txt"); done
# the public build of torch has further dependencies, pinned by its own lock; other builds have none
.venv/bin/uv pip install --quiet --python .venv/bin/python --compile-bytecode "${locks[@]}" \
    --constraint <(sed '/^torch==/,/[^\\]$/d' infra/locks/torch-cuda.txt)
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
echo "$wanted" > .venv/installed
echo "longrun: installed"
