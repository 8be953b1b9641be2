"""How an artifact goes live: the gate, the switch of links, and the record."""
