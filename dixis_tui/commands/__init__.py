"""The commands of `dixis`, a module for what belongs together; `dixis_tui.cli` imports one when it is called."""
