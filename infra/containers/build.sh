#!/usr/bin/env bash
# Builds the images with docker, podman or buildah and prints their digests. `--push` also pushes them; `--load CLUSTER` loads them into a
# kind cluster. Variables (default):
#   BUILDER      docker, podman or buildah (the first installed)     IMAGES       stages to build (core train evaluate tracking)
#   REGISTRY     prefix of the image names (longrun)             VERSION      tag (the project's version)
#   TORCH        build of torch: cuda or cpu (cuda)              TORCH_INDEX  package index for torch (cpu: PyTorch's own)
#   INDEX        package index instead of PyPI                   NETRC, CA    .netrc for it; certificates to trust
#   BASE         base image, by digest (the Containerfile's)     GPU_BASE     base of images that compile GPU kernels
#   BUILD_FLAGS  further flags for BUILDER build                 PUSH_FLAGS   further flags for BUILDER push
#   DIGESTS      output file for the digests (.longrun/images.toml)
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/../.."

fail() { echo "$1" >&2; exit 1; }
by_digest() { case $2 in *@sha256:*) ;; *) fail "$1 is $2; allowed: an image with a digest, NAME@sha256:..." ;; esac; }
no_login() { case $2 in *//*@*) fail "$1 contains a login (not shown), which would stay in the image; put it into a .netrc file and set NETRC to its path" ;; esac; }
readable() { [ -z "$2" ] || [ -r "$2" ] || fail "$1 is $2, which is not a readable file"; }

push='' cluster=''
case ${1:-} in
    '') ;;
    --push) push=1 ;;
    --load) cluster=${2:-}; [ -n "$cluster" ] || fail "--load needs the name of a kind cluster" ;;
    *) fail "$1 is unknown; allowed: --push, --load CLUSTER" ;;
esac

builder=${BUILDER:-}
for known in docker podman buildah; do
    [ -n "$builder" ] || ! command -v "$known" > /dev/null || builder=$known
done
[ -n "$builder" ] || fail "no image builder on the PATH: install docker, podman or buildah"
case $builder in docker | podman | buildah) ;; *) fail "BUILDER is $builder; allowed: docker, podman, buildah" ;; esac
command -v "$builder" > /dev/null || fail "BUILDER is $builder, but $builder is not on the PATH"

torch=${TORCH:-cuda}
case $torch in cpu) torch_index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu} ;; cuda) torch_index=${TORCH_INDEX:-} ;;
    *) fail "TORCH is $torch; allowed: cuda, cpu" ;; esac
[ -z "${UV_INDEX:-}" ] || fail "UV_INDEX is no longer supported: use TORCH=cpu, TORCH_INDEX for another index with torch, or INDEX to replace PyPI"
[ -z "${BASE:-}" ] || by_digest BASE "$BASE"
# Triton compiles a launcher for each kernel at run time, so GPU images need gcc, which the slim base lacks.
gpu_base=${GPU_BASE:-${BASE:-docker.io/library/python:3.11-bookworm@sha256:35d3a4a3d5e42e02ab916d44513a050689f12c0533d45598d229672503fe77ca}}
by_digest GPU_BASE "$gpu_base"
no_login INDEX "${INDEX:-}"
no_login TORCH_INDEX "$torch_index"
readable NETRC "${NETRC:-}"
readable CA "${CA:-}"

stages=${IMAGES:-core train evaluate tracking}
for stage in $stages; do
    grep -qE "^FROM layer-[a-z]+ AS $stage\$" infra/containers/Containerfile || fail "IMAGES names $stage, which is not a stage of infra/containers/Containerfile"
    [ "$stage $torch" != "vllm cpu" ] || fail "IMAGES names vllm, which exists only with CUDA's torch; remove it, or TORCH=cpu"
done
# For docker, kind and Kubernetes a name without a host means Docker Hub; for podman and buildah, localhost/...
registry=${REGISTRY:-longrun}
[ -z "$push" ] || [ -n "${REGISTRY:-}" ] || fail "REGISTRY is not set; set it to the registry to push to, such as ghcr.io/example/longrun"
case ${registry%%/*} in *.* | *:* | localhost) ;; *) registry=docker.io/$registry ;; esac
version=${VERSION:-$(sed -nE 's/^version = "(.*)"/\1/p' pyproject.toml)}
read -ra build_flags <<< "${BUILD_FLAGS:-}"
read -ra push_flags <<< "${PUSH_FLAGS:-}"
"$builder" info > /dev/null 2>&1 || fail "$builder is installed, but its engine does not answer: start it, or choose another builder with BUILDER="
[ -z "$cluster" ] || command -v kind > /dev/null || fail "kind is not on the PATH: install it, or push the images with --push instead"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export DOCKER_BUILDKIT=1 # before version 23, docker's default builder does not support RUN --mount
# buildah caches layers only with --layers
[ "$builder" != buildah ] || build_flags=(--layers ${build_flags[@]+"${build_flags[@]}"})
arguments=(--build-arg "TORCH=$torch" ${torch_index:+--build-arg "TORCH_INDEX=$torch_index"} ${INDEX:+--build-arg "INDEX=$INDEX"}
    ${NETRC:+--secret "id=netrc,src=$NETRC"} ${CA:+--secret "id=ca,src=$CA"})

build() {
    local base=${BASE:-}
    case "$1 $torch" in 'train cuda' | 'evaluate cuda' | 'vllm cuda') base=$gpu_base ;; esac
    "$builder" build --file infra/containers/Containerfile --target "$1" --tag "$2" ${base:+--build-arg "BASE=$base"} \
        "${arguments[@]}" ${build_flags[@]+"${build_flags[@]}"} .
}

# The builder's own digest of an image. A push may compress layers again, so pods can use only the registry's digest
digest_here() {
    case $builder in
        docker) docker image inspect --format '{{.Id}}' "$1" ;;
        podman) podman image inspect --format '{{.Digest}}' "$1" ;;
        buildah) buildah inspect --type image --format '{{.FromImageDigest}}' "$1" ;;
    esac
}

push_and_digest() {
    if [ "$builder" = docker ]; then
        docker push ${push_flags[@]+"${push_flags[@]}"} "$1" >&2
        # docker omits docker.io/
        local name=${1%:*}
        docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$1" | sed -nE "s|^(docker.io/)?${name#docker.io/}@||p" | tail -n 1
    else
        "$builder" push ${push_flags[@]+"${push_flags[@]}"} --digestfile "$scratch/digest" "$1" >&2
        cat "$scratch/digest"
    fi
}

load() {
    case $builder in
        docker | podman) "$builder" save --output "$scratch/$2.tar" "$1" ;;
        buildah) buildah push "$1" "docker-archive:$scratch/$2.tar:$1" ;;
    esac
    kind load image-archive "$scratch/$2.tar" --name "$cluster"
    rm -f "$scratch/$2.tar"
}

lines=()
for stage in $stages; do
    name=$registry/$stage:$version
    echo "longrun: building $name with $builder" >&2
    build "$stage" "$name" >&2
    [ -z "$cluster" ] || load "$name" "$stage" >&2
    if [ -n "$push" ]; then digest=$(push_and_digest "$name"); else digest=$(digest_here "$name"); fi
    case $digest in sha256:*) ;; *) fail "$builder printed no digest for $name" ;; esac
    lines+=("$stage = \"$digest\"")
done

# This file is a part of a profile: longrun profile create NAME --from site.toml --from FILE
file=${DIGESTS:-.longrun/images.toml}
mkdir -p "$(dirname "$file")"
{
    [ -n "$push" ] || echo "# local digests of $builder; a registry may assign others, which make push writes"
    printf 'image_registry = "%s"\n\n[image_digests]\n' "$registry"
    printf '%s\n' "${lines[@]}"
} | tee "$file"
echo "longrun: wrote the digests to $file; add them to a profile with: longrun profile create NAME --from PROFILE.toml --from $file --replace" >&2
