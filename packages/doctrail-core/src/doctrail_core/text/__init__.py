"""Pure functions on text: identity, snapshots, tags and arrival. Every text in here is hostile."""
