"""Documents out, in five steps: plan, read inputs, render, decide, write.

plan            which documents the changed states affect (no I/O)
merge, inputs   the states that they are computed from
contents        the built contents that they are computed from
decide          what to do with a document, given what is published (pure)
existing        the documents that are published already
writer          executes the decision under an etag
publisher       the five steps for one document, with retries and poison
report          the outcome of a batch
whole_periods   which periods the sources held whole, so that they may be published (pure)
readiness       which documents may be published
scheduled       the documents that a timer publishes
content_builds  the builds that are due, and the documents that show what was built
system_health   figures of five minutes from ledger pages, by the same steps
passage_usage   citations of passages, into ``personality_vectors``
"""
