"""The only SQL: database, table, fence, a file per dialect. It knows no log, stream or Flask."""
