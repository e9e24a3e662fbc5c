"""The archive: copies of aged documents in Blob Storage, and back. The sources are only read.

In this order:

names      the name of each blob (pure)
content    the copy of a document, its day and its hashes (pure)
due        which documents are due, and how far each feed range is archived (pure)
manifests  what was archived, in parts that nobody can change unnoticed (pure)
pages      due documents of a feed range, whole seconds at a time
store      the archive's blobs and manifests, by day and by person
writing    a piece of a page: blobs first, then the part that lists them
archiver   plan, page after page, status
verify     whether everything is as the manifests say
restore    documents back into their containers
counting   archived documents into a generation
"""
