"""Server: the listening socket, its connections and the processes that answer them."""
