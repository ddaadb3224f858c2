"""What a feed by window reads: the newest rows of a table, a view or a SELECT of the application.

look           what one look found; no SQL
query          what is selected, in which order, and by what rows are told apart
order          which rows are the newest
selects        a SELECT of the application as a subquery, its order taken out of it
source         one look after the other, through `Database`
apart          rows that one statement for all cannot bring
sqlite_gate, row_versions    whether anything was written since the last look
volatile       columns that differ at each look though nothing was
"""
