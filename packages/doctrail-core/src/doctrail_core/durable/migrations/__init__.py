"""Migrations of what lies on a server: one environment for all stores."""
