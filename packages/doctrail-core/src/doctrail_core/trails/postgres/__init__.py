"""The trail store in PostgreSQL: one for all homes whose records a server keeps."""
