#!/usr/bin/env bash
# Compiles one lock per dependency group. All groups except vllm use the same versions. Versions that are already locked are kept if
# possible: delete infra/locks/*.txt first to update everything.
set -euo pipefail
cd "$(dirname "$0")/.."
links="${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}"
unset UV_FIND_LINKS
cpu_torch="${TORCH_INDEX:-https://download.pytorch.org/whl/cpu}"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
compile() {
    .venv/bin/uv pip compile --quiet --python-version 3.11 --no-emit-find-links --no-emit-index-url --no-header --no-annotate "$@"
}
# A checkout may install either build of torch, so its locks pin torch's version without hashes
unhashed_torch() {
    sed -E '/^torch==/{s/\+[a-z0-9]+//;s/ *\\$//;:a;n;/^ +--hash/{N;s/.*\n//;/^ +--hash/ba}}'
}
# The entries of the first lock whose packages are in none of the other files
beside() {
    awk 'FNR == 1 { file++ } /^[A-Za-z0-9]/ { split($1, pin, "=="); kept = file == files && !(pin[1] in known); known[pin[1]] = 1 }
         file == files && kept' files=$# "${@:2}" "$1"
}
groups=(core data train evaluate curation cluster tracking dev)
together=$scratch/together.txt
for group in "${groups[@]}"; do cat "infra/locks/$group.txt" 2> /dev/null || true; done > "$together"
compile pyproject.toml "${groups[@]/#/--group=}" ${links:+--find-links "$links"} --output-file "$together"
for group in "${groups[@]}"; do
    compile pyproject.toml --group "$group" ${links:+--find-links "$links"} --constraint "$together" --generate-hashes |
        unhashed_torch > "$scratch/$group.txt"
done
# Images contain one build of torch, with the hashes of its files: the public build with the CUDA libraries and the kernel compiler
# that it depends on, which a lock compiled with a CPU build does not contain, or PyTorch's CPU build from its own index.
version=$(sed -nE 's/^torch==([0-9.]+).*/\1/p' "$scratch/train.txt")
sed -E 's/^(torch==[0-9.]+)\+[a-z0-9]+/\1/' "$together" > "$scratch/public.txt"
cp infra/locks/torch-cuda.txt "$scratch/whole.txt" 2> /dev/null || true
compile pyproject.toml --group train --constraint "$scratch/public.txt" --generate-hashes --output-file "$scratch/whole.txt"
sed -E '/^torch==/d' "$scratch/train.txt" > "$scratch/others.txt"
beside "$scratch/whole.txt" "$scratch/others.txt" > "$scratch/torch-cuda.txt"
cp infra/locks/torch-cpu.txt "$scratch/torch-cpu.txt" 2> /dev/null || true
if ! grep -q "^torch==$version+cpu " "$scratch/torch-cpu.txt" 2> /dev/null; then
    echo "torch==$version+cpu" |
        compile - --no-deps --index "$cpu_torch" ${links:+--find-links "$links"} --generate-hashes --output-file "$scratch/torch-cpu.txt"
fi
# vLLM has an image and a lock of its own: its mistral-common requires numpy < 2.4, and vLLM itself transformers < 5.20. Apart from
# these two it uses the versions of the other locks. It is compiled together with CUDA's torch, which it requires: with a CPU build
# the resolver chose a triton that torch does not support.
printf '%s\n' 'numpy==2.3.5' 'transformers==5.19.0' > "$scratch/overrides.txt"
cp infra/locks/vllm.txt "$scratch/vllm.txt" 2> /dev/null || true
compile pyproject.toml --group core --group cluster --group evaluate --group vllm --override "$scratch/overrides.txt" \
    --generate-hashes --output-file "$scratch/vllm.txt"
for lock in "${groups[@]}" torch-cuda torch-cpu vllm; do mv "$scratch/$lock.txt" "infra/locks/$lock.txt"; done
