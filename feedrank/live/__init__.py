"""Live state: a feature store that follows the network between two builds."""
