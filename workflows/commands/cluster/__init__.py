"""Commands for clusters: manage profiles, deploy and remove services, check a cluster, and submit and follow runs."""
