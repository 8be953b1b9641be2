"""Following the network between two builds: the delta log, and who reads and writes it."""
