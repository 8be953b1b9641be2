"""The working folder and what is committed: the way back."""
