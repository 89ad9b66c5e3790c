"""The rows on their way: what is copied, how it is written, and where it goes on after a stop."""
