"""The record of a run: its journal and logs, who signed, and what is told of it afterwards."""
