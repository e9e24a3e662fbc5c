"""Derived documents: state that is built from the ledger's pages instead of counted in the fold.

What documents can name without limit (passages, chapters, topics) and people as people are built. A build
computes a whole document again from inputs that it names with their revisions. It subtracts nothing, so it
cannot drift, and no transaction limits its size. It reads in this order:

==========  =====================================================================================
graph       which derived documents exist, what each is built from, at which pace
rows        what the rows of a content are about, and their numbers (pure)
content     the content of a period: counts by text, chapter, passage, topic, persona (pure)
counting    what an interaction adds to the content of its day (pure)
reader      the queries
store       manifests and parts of derived documents
builder     builds what is stale
==========  =====================================================================================
"""
