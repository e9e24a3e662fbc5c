"""The domain, laid out as the data flows. Knows nothing of Azure Functions.

1. ``documents``: what the sources write: models, validation, schema versions, upcasters
2. ``facts``: what is kept of a document, priced
3. ``ingest``: a batch in: parse, group by shard, fold, isolate, poison
4. ``ledger``: what has been counted: pages, partials, versions, shards, generations, the fold
5. ``aggregates``: from facts to counts; ``scores``: formulas. Both pure
6. ``builds``: what is built from ledger pages: the content of days and months
7. ``views``: from counts and contents to documents, one module per view. Pure
8. ``publishing``: documents out: plan, inputs, decision, write; schedules, builds, usage, system health
9. ``maintenance``: audit, rebuild, reprice, replay
10. ``archive``: aged documents to Blob Storage, and back
11. ``people``: the export and the erasure of one person
12. ``queries``: reads for the web application and its dashboards
13. ``fleet``: everything wired together

Next to the flow: ``pricing`` (the price list and overrides), ``poison`` (documents that could not be
processed), ``privacy`` (the class of every source field, and what may leave a document), ``cosmos`` (the
edge to the database: client, retries, costs, control documents), ``storage`` (the edge to Blob Storage),
``containers`` (every container, described once), ``rights`` (what each function may do there), and modules
for addresses, settings, clock, errors, logs, units, periods and concurrency.
"""
