"""The soak: clients that come and go for long, and what of them stays in the workers."""
