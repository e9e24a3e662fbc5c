"""A batch of documents in: parse, group by shard, fold, isolate what fails, poison."""
