"""What texts tell: a design of words, quality, and the words in which users differ."""
