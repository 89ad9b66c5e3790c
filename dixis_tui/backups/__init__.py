"""Backups: made whole, described by a manifest, restored to be believed, pruned, and made by the clock."""
