#!/usr/bin/env bash
# Builds the images with whatever builder is here, and says their digests. `--push` pushes them too; `--load CLUSTER` puts them into a
# cluster of kind. Variables:
#   BUILDER      docker, podman or buildah (the first that is there)   IMAGES       stages to build (core train evaluate tracking)
#   REGISTRY     prefix of the names (longrun)                         VERSION      tag (the project's)
#   TORCH        build of torch: cuda or cpu (cuda)                    TORCH_INDEX  index that has it (cpu: PyTorch's own)
#   INDEX        package index in place of PyPI                        NETRC, CA    .netrc for it, bundle of certificates to trust
#   BASE         base image, by digest (the Containerfile's)           GPU_BASE     the same for images that compile kernels for GPUs
#   BUILD_FLAGS  further flags of BUILDER build                        PUSH_FLAGS   further flags of BUILDER push
#   DIGESTS      file for the digests (.longrun/images.toml)
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/../.."

fail() { echo "$1" >&2; exit 1; }
by_digest() { case $2 in *@sha256:*) ;; *) fail "$1 is $2; allowed: an image by digest, NAME@sha256:..." ;; esac; }
no_login() { case $2 in *//*@*) fail "$1 holds a login, which an image would keep (not shown); put it into a file and name that as NETRC" ;; esac; }
readable() { [ -z "$2" ] || [ -r "$2" ] || fail "$1 is $2, which is no file that can be read"; }

push='' cluster=''
case ${1:-} in
    '') ;;
    --push) push=1 ;;
    --load) cluster=${2:-}; [ -n "$cluster" ] || fail "--load needs the name of a cluster of kind" ;;
    *) fail "$1 is unknown; allowed: --push, --load CLUSTER" ;;
esac

builder=${BUILDER:-}
for known in docker podman buildah; do
    [ -n "$builder" ] || ! command -v "$known" > /dev/null || builder=$known
done
[ -n "$builder" ] || fail "no builder of images on the PATH: install docker, podman or buildah"
case $builder in docker | podman | buildah) ;; *) fail "BUILDER is $builder; allowed: docker, podman, buildah" ;; esac
command -v "$builder" > /dev/null || fail "BUILDER is $builder, and $builder is not on the PATH"

torch=${TORCH:-cuda}
case $torch in cpu) torch_index=${TORCH_INDEX:-https://download.pytorch.org/whl/cpu} ;; cuda) torch_index=${TORCH_INDEX:-} ;;
    *) fail "TORCH is $torch; allowed: cuda, cpu" ;; esac
[ -z "${UV_INDEX:-}" ] || fail "UV_INDEX is not read any more: use TORCH=cpu, TORCH_INDEX for another index of torch, INDEX for one in place of PyPI"
[ -z "${BASE:-}" ] || by_digest BASE "$BASE"
# Triton compiles a launcher for each kernel where it runs: GPUs need a base with gcc, which the slim one has not.
gpu_base=${GPU_BASE:-${BASE:-docker.io/library/python:3.11-bookworm@sha256:35d3a4a3d5e42e02ab916d44513a050689f12c0533d45598d229672503fe77ca}}
by_digest GPU_BASE "$gpu_base"
no_login INDEX "${INDEX:-}"
no_login TORCH_INDEX "$torch_index"
readable NETRC "${NETRC:-}"
readable CA "${CA:-}"

stages=${IMAGES:-core train evaluate tracking}
for stage in $stages; do
    grep -qE "^FROM layer-[a-z]+ AS $stage\$" infra/containers/Containerfile || fail "no stage $stage in infra/containers/Containerfile"
    [ "$stage $torch" != "vllm cpu" ] || fail "IMAGES names vllm, which has CUDA's torch alone; leave it out, or TORCH=cpu"
done
# A name without a host is Docker Hub's for docker, kind and Kubernetes; podman and buildah would call it localhost/...
registry=${REGISTRY:-longrun}
[ -z "$push" ] || [ -n "${REGISTRY:-}" ] || fail "REGISTRY is not set: name the registry to push to, such as ghcr.io/example/longrun"
case ${registry%%/*} in *.* | *:* | localhost) ;; *) registry=docker.io/$registry ;; esac
version=${VERSION:-$(sed -nE 's/^version = "(.*)"/\1/p' pyproject.toml)}
read -ra build_flags <<< "${BUILD_FLAGS:-}"
read -ra push_flags <<< "${PUSH_FLAGS:-}"
"$builder" info > /dev/null 2>&1 || fail "$builder is here, but its engine does not answer: start it, or choose another with BUILDER="
[ -z "$cluster" ] || command -v kind > /dev/null || fail "kind is not on the PATH: install it, or push the images to a registry"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export DOCKER_BUILDKIT=1 # docker before 23 has another builder by default, without RUN --mount
# podman and docker keep layers by themselves
[ "$builder" != buildah ] || build_flags=(--layers ${build_flags[@]+"${build_flags[@]}"})
arguments=(--build-arg "TORCH=$torch" ${torch_index:+--build-arg "TORCH_INDEX=$torch_index"} ${INDEX:+--build-arg "INDEX=$INDEX"}
    ${NETRC:+--secret "id=netrc,src=$NETRC"} ${CA:+--secret "id=ca,src=$CA"})

build() {
    local base=${BASE:-}
    case "$1 $torch" in 'train cuda' | 'evaluate cuda' | 'vllm cuda') base=$gpu_base ;; esac
    "$builder" build --file infra/containers/Containerfile --target "$1" --tag "$2" ${base:+--build-arg "BASE=$base"} \
        "${arguments[@]}" ${build_flags[@]+"${build_flags[@]}"} .
}

# What the builder calls the image; a push may compress it anew, so only the registry's digest is one that pods can ask for
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
        # docker leaves docker.io/ away
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
    case $digest in sha256:*) ;; *) fail "$builder says no digest of $name" ;; esac
    lines+=("$stage = \"$digest\"")
done

# A part of a profile: longrun profile create NAME --from site.toml --from FILE
file=${DIGESTS:-.longrun/images.toml}
mkdir -p "$(dirname "$file")"
{
    [ -n "$push" ] || echo "# as $builder calls them; a registry may give others: make push writes those"
    printf 'image_registry = "%s"\n\n[image_digests]\n' "$registry"
    printf '%s\n' "${lines[@]}"
} | tee "$file"
echo "longrun: the digests are in $file; into a profile: longrun profile create NAME --from PROFILE.toml --from $file --replace" >&2
