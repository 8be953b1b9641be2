"""Tables of users and posts: which columns are read, and how."""
