"""Flask's routes and responses. It knows no SQL."""
