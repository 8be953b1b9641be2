"""The versioned directory that the service loads."""
