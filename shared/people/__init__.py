"""One person: everything that is stored about them is found, exported and erased.

In this order:

requests    requests to export or erase, and what remains of them: the audit
state       the person in ``view_state``, in every generation
places      the person in the containers of the catalogue
tombstones  the copies of tombstones in Blob Storage
erasure     the numbered steps of an erasure
export      the person's data as an archive of JSON files
"""
