"""Which ids were delivered: ranges, the cursor, its token, the gaps. Pure: no rows, bytes, SQL."""
