"""Documents out, in five steps: plan, read inputs, render, decide, write.

plan            which documents changed states concern (no I/O)
merge, inputs   the states that they are computed from
decide          what to do with a document, by what is published of it (pure)
existing        what is published already
writer          executes the decision under an etag
publisher       the five steps for one document, with retries and poison
report          what a batch came to
readiness       which documents may be published
scheduled       what a timer publishes
system_health   five minutes' figures from ledger pages, by the same steps
passage_usage   citations of passages, into ``personality_vectors``
"""
