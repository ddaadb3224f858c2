"""Settings, log, metrics, turns for other greenlets, for every room. It knows no other room."""
