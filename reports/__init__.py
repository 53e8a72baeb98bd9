"""Tables from the result store: read, aggregate, declare, write."""
