"""The machines of the application: commands, files, its settings and its assets."""
