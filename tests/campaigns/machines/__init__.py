"""Rowcast on two machines behind HAProxy, with one PostgreSQL: `make machines`.

The machines are network namespaces with a cable each to a third one, where HAProxy, the database,
the writers and the clients are. The clock of one of them is five minutes ahead. The machines are
deployed one after the other, one of them is stopped and started, and one loses its cable, of which
no FIN and no RST tells. Writers, clients, journals and the verdict are the torture's.
"""
