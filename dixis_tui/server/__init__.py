"""What is asked of the database server beside the shop's rows: health, variables, connections, sessions."""
