"""What the libraries of a pod read to reach the artifact store: one table, filled from a profile and its secret references.

| read by | endpoint | key | region, without TLS |
|---|---|---|---|
| obstore: artifacts, checkpoints, sources in a bucket | `AWS_ENDPOINT_URL_S3` | `AWS_…` | `AWS_REGION`, `AWS_ALLOW_HTTP` |
| Flyte's runtime, on obstore: code, inputs, outputs | `FLYTE_AWS_ENDPOINT` | `FLYTE_AWS_…`, else `AWS_…` | `AWS_REGION`, always |
| boto3 | `AWS_ENDPOINT_URL_S3` | `AWS_…` | `AWS_DEFAULT_REGION`, by the URL |
| MLflow, where it reaches the store itself | `MLFLOW_S3_ENDPOINT_URL` | `AWS_…` | as boto3 |
| obstore and Flyte on gs:// | none | `GOOGLE_SERVICE_ACCOUNT_KEY`, JSON | none |

`AWS_ENDPOINT_URL` would be read too, but for every service of Amazon: a pod with an identity (IRSA) asks STS for its rights.
pyarrow reads no endpoint from the environment (25.0), so nothing opens a bucket with it. By identity there is no key here: the
cloud's own webhook or metadata service gives it. With a key nobody asks that metadata service, which does not answer outside a
cloud.
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
"""Each secret by the names under which libraries read it: the profile refers to it under one of them."""

_REGION_OF_OTHERS = "us-east-1"
"""What stores other than Amazon's take for a region where none is named; requests are signed with some."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreVariables:
    """Environment variables of a process that reaches the profile's artifact store."""

    plain: Mapping[str, str]
    """Name -> value; none is a secret."""
    secret: Mapping[str, tuple[str, str]]
    """Name -> name and key of a Kubernetes Secret."""


def store_variables(profile: Profile) -> StoreVariables:
    """What pods of the profile need, beside what its secrets name themselves: those always win."""
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
    """The reference of each secret of the store under all of its names."""
    known: dict[str, tuple[str, str]] = {}
    for names in SECRETS:
        where = next((references[name] for name in names if name in references), None)
        known |= dict.fromkeys(names, where) if where else {}
    return known
