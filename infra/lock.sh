#!/usr/bin/env bash
# Compiles one lock per dependency group; all groups but vllm agree on every version.
set -euo pipefail
cd "$(dirname "$0")/.."
export UV_FIND_LINKS="${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}"
[ -n "$UV_FIND_LINKS" ] || unset UV_FIND_LINKS
together=$(mktemp)
trap 'rm -f "$together"' EXIT
compile() {
    .venv/bin/uv pip compile --quiet --python-version 3.11 --no-emit-find-links --no-emit-index-url --no-header "$@"
}
# torch differs between its CPU and CUDA builds, so it has a version but no hash
unhashed_torch() {
    sed -E '/^torch==/{s/\+[a-z0-9]+//;s/ *\\$//;:a;n;/^ +--hash/{N;s/.*\n//;/^ +--hash/ba}}'
}
groups=(core data train evaluate curation cluster tracking dev)
# What is locked already stays where it may: remove infra/locks/*.txt first to move everything
for group in "${groups[@]}"; do cat "infra/locks/$group.txt" 2> /dev/null || true; done > "$together"
compile pyproject.toml "${groups[@]/#/--group=}" --no-annotate --output-file "$together"
for group in "${groups[@]}"; do
    compile pyproject.toml --group "$group" --constraint "$together" --generate-hashes --no-annotate |
        unhashed_torch > "infra/locks/$group.txt.new"
    mv "infra/locks/$group.txt.new" "infra/locks/$group.txt"
done
# vLLM shares an image with what its tasks import, and nothing with the other locks: its mistral-common wants numpy < 2.4, and vLLM
# itself transformers < 5.20. Where these two do not matter it takes the versions that the others have.
overrides=$(mktemp --suffix=.txt)
trap 'rm -f "$together" "$overrides"' EXIT
printf '%s\n' 'numpy==2.3.5' 'transformers==5.19.0' > "$overrides"
compile pyproject.toml --group core --group cluster --group evaluate --group vllm --override "$overrides" \
    --generate-hashes --no-annotate | unhashed_torch > infra/locks/vllm.txt.new
mv infra/locks/vllm.txt.new infra/locks/vllm.txt
