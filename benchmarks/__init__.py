"""The suite: tasks, protocols, the plan, the jobs and the result store."""
