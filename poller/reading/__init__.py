"""The only SQL: database, table, fence, one file per dialect. It knows no event log, stream or Flask."""
