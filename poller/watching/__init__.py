"""The live page of `rowcast watch`: a program of one reader, on the reader's own machine.

    gate      who may see it: one address with a token that opens once, then a cookie
    tables    which tables there are, and the feed of each that is looked at
    facts     what the page has to know of a table beside its rows
    app       the routes; the streams are those of any application
    program   the server, from the first poll to Ctrl-C
    page/     what the browser gets: no build step, nothing inline

Nothing is written to the database, and nobody but this machine can connect.
"""
