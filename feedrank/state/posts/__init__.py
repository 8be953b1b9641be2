"""What is fitted about posts: clusters, latent factors, and both as their text alone says."""
