"""The revisions. Each holds its own picture of the tables, which `server.tables` has moved on from."""
