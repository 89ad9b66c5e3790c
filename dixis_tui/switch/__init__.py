"""The way over, and the way back."""
