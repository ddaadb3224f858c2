"""Live streams move from one worker of a server to another, and their clients notice nothing.

    marks      who is here, and who is coming: names in the server's private folder
    protocol   what two workers say to each other; here is why no client ever has two writers
    stock      what this worker could give away, and what it has room for
    giver      gives a batch, or takes it back
    taker      takes what others give
    circle     the other workers, as they describe themselves now
    leaving    a worker that ends gives all it has
    sharing    a worker that is new asks for its share

`serving/handover.py` is something else: there a connection is taken over from gunicorn.
"""
