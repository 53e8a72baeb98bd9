"""The commands of judging: run, plan, protocols."""
