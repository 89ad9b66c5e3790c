"""The week after: counters of the server, what they mean, and the plan's criteria of success."""
