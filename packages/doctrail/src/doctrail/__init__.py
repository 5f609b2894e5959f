"""The doctrail application: a command line that answers "where did that answer come from?"."""
