"""ClickHouse as an index: filled from sealed segments, made anew from them whenever it must be.

It is never where anything is committed. By default ClickHouse says that it has what it has not written to stable
storage yet (`fsync_after_insert = 0`), and after a power cut may have lost what it said it had.
"""
