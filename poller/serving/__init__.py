"""Sockets, the hand-over from gunicorn, the worker class. It knows no SQL, polling or Flask."""
