#!/bin/sh
# Inside a build: installs locks from /opt/longrun/locks into /opt/longrun, and leaves what that added below /layers/NAME, with the locks,
# which stay in the image and say what it is made of. `bootstrap` makes the installer itself. INDEX and TORCH_INDEX are the build's
# arguments; a bundle of certificates and a .netrc are its secrets `ca` and `netrc`, which no layer keeps.
#   install.sh bootstrap        install.sh NAME LOCK...
set -eu

if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca SSL_CERT_FILE=/run/secrets/ca; fi
if [ -s /run/secrets/netrc ]; then export NETRC=/run/secrets/netrc; fi
if [ -n "${INDEX:-}" ]; then export PIP_INDEX_URL="$INDEX" UV_DEFAULT_INDEX="$INDEX"; fi

layer=$1
shift
if [ "$layer" = bootstrap ]; then
    exec /opt/installer/bin/pip install --quiet --no-cache-dir --require-hashes -r /opt/installer/bootstrap.txt
fi

export VIRTUAL_ENV=/opt/longrun UV_NO_CACHE=1 UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
uv=/opt/installer/bin/uv
before=$(mktemp)
# not empty any more: the locks are there
[ -x /opt/longrun/bin/python ] || $uv venv --quiet --allow-existing /opt/longrun
for lock in "$@"; do
    case $lock in
        # what else torch needs is in the lock `train`; only torch comes from PyTorch's index, which has old versions of other packages
        torch-*) $uv pip install --quiet --no-deps ${TORCH_INDEX:+--index "$TORCH_INDEX"} -r "/opt/longrun/locks/$lock.txt" ;;
        *) $uv pip install --quiet -r "/opt/longrun/locks/$lock.txt" ;;
    esac
done

# links to files of this very step, so nothing is stored twice
mkdir -p "/layers/$layer"
cd /opt/longrun
find . ! -type d -cnewer "$before" -print0 | xargs -0 cp --parents --no-dereference --link --target-directory="/layers/$layer"
for lock in "$@"; do cp --parents "locks/$lock.txt" "/layers/$layer"; done
rm -f "$before"
