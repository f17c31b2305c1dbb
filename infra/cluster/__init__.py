"""Adapters to Kubernetes: profiles, pods, the services of a cluster, and helm."""
