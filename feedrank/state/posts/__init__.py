"""What is fitted about posts: clusters, latent factors, taste words, and what a text alone says."""
