#!/usr/bin/env bash
# Builds the images with whatever builder is here. Variables:
#   BUILDER   docker, podman or buildah (the first that is there)      IMAGES    stages to build (all)
#   REGISTRY  prefix of the names (longrun)                            VERSION   tag (the project's)
#   BASE      base image, by digest (the Containerfile's)              UV_INDEX  a further package index, for torch's CPU build
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { echo "$1" >&2; exit 1; }

builder=${BUILDER:-}
for known in docker podman buildah; do
    [ -n "$builder" ] || ! command -v "$known" > /dev/null || builder=$known
done
[ -n "$builder" ] || fail "no builder of images on the PATH: install docker, podman or buildah"
case $builder in docker | podman | buildah) ;; *) fail "BUILDER is $builder; allowed: docker, podman, buildah" ;; esac
command -v "$builder" > /dev/null || fail "BUILDER is $builder, and $builder is not on the PATH"
case ${BASE:-@sha256:} in *@sha256:*) ;; *) fail "BASE is $BASE; allowed: an image by digest, NAME@sha256:..." ;; esac
"$builder" info > /dev/null 2>&1 || fail "$builder is here, but its engine does not answer: start it, or choose another with BUILDER="

version=${VERSION:-$(sed -nE 's/^version = "(.*)"/\1/p' pyproject.toml)}
for stage in ${IMAGES:-core data train evaluate vllm tracking}; do
    grep -qE "^FROM [a-z]+ AS $stage\$" infra/containers/Containerfile || fail "no stage $stage in infra/containers/Containerfile"
    echo "longrun: building ${REGISTRY:-longrun}/$stage:$version with $builder"
    "$builder" build --file infra/containers/Containerfile --target "$stage" --tag "${REGISTRY:-longrun}/$stage:$version" \
        ${BASE:+--build-arg "BASE=$BASE"} ${UV_INDEX:+--build-arg "UV_INDEX=$UV_INDEX"} .
done
