"""Files, folders, URLs and progress."""
