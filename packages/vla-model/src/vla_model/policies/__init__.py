"""Networks behind the one `Policy` interface."""
