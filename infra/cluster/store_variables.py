"""Sets the environment variables from which libraries in a pod learn how to reach the artifact store.

| read by | endpoint | key | region, TLS off |
|---|---|---|---|
| obstore: artifacts, checkpoints, sources in a bucket | `AWS_ENDPOINT_URL_S3` | `AWS_…` | `AWS_REGION`, `AWS_ALLOW_HTTP` |
| Flyte's runtime, on obstore: code, inputs, outputs | `FLYTE_AWS_ENDPOINT` | `FLYTE_AWS_…`, else `AWS_…` | `AWS_REGION`, always |
| boto3 | `AWS_ENDPOINT_URL_S3` | `AWS_…` | `AWS_DEFAULT_REGION`, by the URL |
| MLflow, where it reaches the store itself | `MLFLOW_S3_ENDPOINT_URL` | `AWS_…` | as boto3 |
| obstore and Flyte on gs:// | none | `GOOGLE_SERVICE_ACCOUNT_KEY`, JSON | none |

`AWS_ENDPOINT_URL` is not set: it would apply to every Amazon service, also to STS, which a pod with an identity (IRSA) asks for
credentials. pyarrow 25.0 reads no endpoint from the environment, so no bucket is opened with pyarrow. A pod with a cloud identity
gets no key from here, but from the cloud's webhook or metadata service. With a key the metadata service is disabled, because it
does not answer outside a cloud.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.cluster.profiles import Profile

ENDPOINT = ("AWS_ENDPOINT_URL_S3", "FLYTE_AWS_ENDPOINT", "MLFLOW_S3_ENDPOINT_URL")
REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")
WITHOUT_TLS = ("AWS_ALLOW_HTTP",)
WITHOUT_METADATA = ("AWS_EC2_METADATA_DISABLED",)
SECRETS = (
    ("AWS_ACCESS_KEY_ID", "FLYTE_AWS_ACCESS_KEY_ID"),
    ("AWS_SECRET_ACCESS_KEY", "FLYTE_AWS_SECRET_ACCESS_KEY"),
    ("AWS_SESSION_TOKEN",),
    ("GOOGLE_SERVICE_ACCOUNT_KEY",),
)
"""Names under which libraries read each secret; the profile uses one of them."""

_REGION_OF_OTHERS = "us-east-1"
"""Region for stores other than Amazon's if none is set; signing a request requires one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreVariables:
    """Environment variables for a process that uses the profile's artifact store."""

    plain: Mapping[str, str]
    """Name -> value, for values that are not secret."""
    secret: Mapping[str, tuple[str, str]]
    """Name -> name and key of the Kubernetes Secret that holds the value."""


def store_variables(profile: Profile) -> StoreVariables:
    """The variables that the profile's pods need, without those that the profile's secrets define themselves."""
    references = profile.pod_secrets
    plain = _plain(profile, by_key="AWS_ACCESS_KEY_ID" in _known(references))
    return StoreVariables(
        plain={name: value for name, value in plain.items() if name not in references},
        secret={name: where for name, where in _known(references).items() if name not in references},
    )


def _plain(profile: Profile, by_key: bool) -> dict[str, str]:
    if not profile.artifact_root.startswith("s3://"):
        return {}
    endpoint = profile.object_store_endpoint
    region = profile.object_store_region or (_REGION_OF_OTHERS if endpoint else "")
    values = {
        **dict.fromkeys(ENDPOINT, endpoint),
        **dict.fromkeys(REGION, region),
        **dict.fromkeys(WITHOUT_TLS, "true" if endpoint.startswith("http://") else ""),
        **dict.fromkeys(WITHOUT_METADATA, "true" if by_key else ""),
    }
    return {name: value for name, value in values.items() if value}


def _known(references: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """References of the store's secrets, each under all names of `SECRETS`."""
    known: dict[str, tuple[str, str]] = {}
    for names in SECRETS:
        where = next((references[name] for name in names if name in references), None)
        known |= dict.fromkeys(names, where) if where else {}
    return known
