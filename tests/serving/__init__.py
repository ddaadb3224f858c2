"""End to end: real gunicorn workers, real databases, real sockets."""
