"""What the tests stand on: private databases, a real gunicorn, strict SSE readers.

Nothing here knows the code under test, except `gunicorn.py`, which starts it as a user would.
Every process started here ends with the test session, also when that is killed (`process.py`).
"""
