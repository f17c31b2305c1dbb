#!/usr/bin/env bash
# Compiles one lock per dependency group; all groups agree on every version.
set -euo pipefail
cd "$(dirname "$0")/.."
export UV_FIND_LINKS="${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}"
[ -n "$UV_FIND_LINKS" ] || unset UV_FIND_LINKS
together=$(mktemp)
trap 'rm -f "$together"' EXIT
compile() {
    .venv/bin/uv pip compile --quiet --python-version 3.11 --no-emit-find-links --no-emit-index-url --no-header "$@"
}
groups=(core data train evaluate crawl cluster tracking dev)
# What is locked already stays where it may: remove infra/locks/*.txt first to move everything
for group in "${groups[@]}"; do cat "infra/locks/$group.txt" 2> /dev/null || true; done > "$together"
compile pyproject.toml "${groups[@]/#/--group=}" --no-annotate --output-file "$together"
for group in "${groups[@]}"; do
    compile pyproject.toml --group "$group" --constraint "$together" --generate-hashes --no-annotate |
        # torch differs between its CPU and CUDA builds, so it has a version but no hash
        sed -E '/^torch==/{s/\+[a-z0-9]+//;s/ *\\$//;:a;n;/^ +--hash/{N;s/.*\n//;/^ +--hash/ba}}' > "infra/locks/$group.txt.new"
    mv "infra/locks/$group.txt.new" "infra/locks/$group.txt"
done
