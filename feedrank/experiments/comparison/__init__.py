"""Two runs on the same requests, and the difference between them."""
