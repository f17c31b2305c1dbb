"""Computes the environment variables that tell libraries in a pod how to reach the artifact store.

| read by | endpoint | key | region | plain HTTP |
|---|---|---|---|---|
| obstore: artifacts, checkpoints, sources in a bucket | `AWS_ENDPOINT_URL_S3` | `AWS_…` | `AWS_REGION` | `AWS_ALLOW_HTTP` |
| Flyte's runtime: code, inputs, outputs | `FLYTE_AWS_ENDPOINT` | `FLYTE_AWS_…`, else `AWS_…` | `AWS_REGION` | allowed |
| boto3 | `AWS_ENDPOINT_URL_S3` | `AWS_…` | `AWS_DEFAULT_REGION` | by the URL's scheme |
| MLflow, where it reaches the store itself | `MLFLOW_S3_ENDPOINT_URL` | `AWS_…` | as boto3 | as boto3 |
| obstore and Flyte on gs:// | none | `GOOGLE_SERVICE_ACCOUNT_KEY`, JSON | none | none |

`AWS_ENDPOINT_URL` is not set: it would apply to every Amazon service, including STS, from which a pod with a cloud identity
(IRSA) obtains its credentials. pyarrow 25.0 reads no endpoint from the environment, so no bucket is opened with pyarrow.

This module sets no key for a pod with a cloud identity; the cloud's webhook or metadata service provides credentials. If an
access key is configured, the EC2 metadata service is disabled, because outside AWS it does not answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.cluster.profiles import Profile

ENDPOINT_VARIABLES = ("AWS_ENDPOINT_URL_S3", "FLYTE_AWS_ENDPOINT", "MLFLOW_S3_ENDPOINT_URL")
REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")
ALLOW_HTTP_VARIABLES = ("AWS_ALLOW_HTTP",)
DISABLE_METADATA_VARIABLES = ("AWS_EC2_METADATA_DISABLED",)
SECRET_ALIASES = (
    ("AWS_ACCESS_KEY_ID", "FLYTE_AWS_ACCESS_KEY_ID"),
    ("AWS_SECRET_ACCESS_KEY", "FLYTE_AWS_SECRET_ACCESS_KEY"),
    ("AWS_SESSION_TOKEN",),
    ("GOOGLE_SERVICE_ACCOUNT_KEY",),
)
"""Names under which libraries read each secret; a profile defines the secret under any one of them."""

_DEFAULT_REGION = "us-east-1"
"""Default region for S3-compatible stores other than Amazon's; signing a request requires one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreVariables:
    """Environment variables for a process that uses the profile's artifact store."""

    plain: Mapping[str, str]
    """Name -> value, for values that are not secret."""
    secret: Mapping[str, tuple[str, str]]
    """Name -> name and key of the Kubernetes Secret that holds the value."""


def store_variables(profile: Profile) -> StoreVariables:
    """The variables that the profile's pods need, except those that the profile's secrets already define."""
    references = profile.pod_secrets
    plain = _plain(profile, uses_access_key="AWS_ACCESS_KEY_ID" in _with_aliases(references))
    return StoreVariables(
        plain={name: value for name, value in plain.items() if name not in references},
        secret={name: where for name, where in _with_aliases(references).items() if name not in references},
    )


def _plain(profile: Profile, uses_access_key: bool) -> dict[str, str]:
    if not profile.artifact_root.startswith("s3://"):
        return {}
    endpoint = profile.object_store_endpoint
    region = profile.object_store_region or (_DEFAULT_REGION if endpoint else "")
    values = {
        **dict.fromkeys(ENDPOINT_VARIABLES, endpoint),
        **dict.fromkeys(REGION_VARIABLES, region),
        **dict.fromkeys(ALLOW_HTTP_VARIABLES, "true" if endpoint.startswith("http://") else ""),
        **dict.fromkeys(DISABLE_METADATA_VARIABLES, "true" if uses_access_key else ""),
    }
    return {name: value for name, value in values.items() if value}


def _with_aliases(references: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """The profile's references to object-store secrets, repeated under every alias in `SECRET_ALIASES`."""
    known: dict[str, tuple[str, str]] = {}
    for names in SECRET_ALIASES:
        where = next((references[name] for name in names if name in references), None)
        known |= dict.fromkeys(names, where) if where else {}
    return known
