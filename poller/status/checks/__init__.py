"""The checks: figures in, sentences out. Pure.

A check says one thing in one sentence. It is `ok`, it wants `attention`, or it is `unknown`: what
could not be looked at is never called well.
"""
