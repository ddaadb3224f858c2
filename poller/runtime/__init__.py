"""Settings, log, metrics, turns for other greenlets: what every room uses. It knows no other room."""
