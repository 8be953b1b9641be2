"""One self-contained page of what validation found."""
