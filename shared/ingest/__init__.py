"""A batch of documents in: parse, group by shard, fold, isolate the documents that fail, poison."""
