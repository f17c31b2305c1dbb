#!/bin/sh
# Runs inside an image build. Installs locks from /opt/longrun/locks into /opt/longrun, and links the added files into /layers/NAME. The
# locks are copied too: they stay in the image and list its packages. `bootstrap` installs the installer itself. INDEX and TORCH_INDEX are
# build arguments; the secrets `ca` (certificates) and `netrc` (logins) are in no layer.
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
# the directory already exists, with the locks in it
[ -x /opt/longrun/bin/python ] || $uv venv --quiet --allow-existing /opt/longrun
for lock in "$@"; do
    case $lock in
        # only torch comes from PyTorch's index, whose other packages are old; its dependencies are in the lock `train`
        torch-*) $uv pip install --quiet --no-deps ${TORCH_INDEX:+--index "$TORCH_INDEX"} -r "/opt/longrun/locks/$lock.txt" ;;
        *) $uv pip install --quiet -r "/opt/longrun/locks/$lock.txt" ;;
    esac
done

# hard links to the files that this step added, so that nothing is stored twice
mkdir -p "/layers/$layer"
cd /opt/longrun
find . ! -type d -cnewer "$before" -print0 | xargs -0 cp --parents --no-dereference --link --target-directory="/layers/$layer"
for lock in "$@"; do cp --parents "locks/$lock.txt" "/layers/$layer"; done
rm -f "$before"
