"""The proof that every value arrived: both sides in one form, down to the cell."""
