"""The edge to Blob Storage: the client of the account in the settings, and a container of it.

client  the connection, by connection string or identity
blobs   one container: create, read, replace, list and delete blobs, with retries and deadlines
"""
