"""Clusters and latent factors of posts."""
