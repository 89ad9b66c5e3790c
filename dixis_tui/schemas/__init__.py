"""What the source's tables are and hold, and what becomes of them on the target."""
